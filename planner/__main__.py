"""`python -m planner`: what a plan costs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from planner import commands
from planner.billing import HOURS_PER_MONTH, instance_hour, premium_bill
from planner.plans import PremiumPlan, sku_named
from planner.price_list import PRICES_DIR, read_prices
from planner.price_refresh import refresh_prices
from planner.price_table import change_lines, list_lines
from planner.retail_prices import API_URL

app = typer.Typer(help="Plan and price the serving of recommendations.", no_args_is_help=True)


app.command()(commands.plan)
app.command()(commands.measure)
app.command()(commands.backtest)


@app.callback()
def planner() -> None:
    """Plan and price the serving of recommendations."""


@app.command()
def price(
    sku: Annotated[str, typer.Option(help="Size: EP1, EP2 or EP3.")] = "EP1",
    always_ready: Annotated[int, typer.Option(help="Always-ready instances.")] = 1,
    region: Annotated[str, typer.Option(help="Azure region.")] = "eastus",
) -> None:
    """The monthly floor of a Premium plan: its always-ready instances, before any load."""
    try:
        plan = PremiumPlan(sku=sku_named(sku), always_ready=always_ready)
        prices = read_prices(region)
    except ValueError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    month_s = float(HOURS_PER_MONTH) * 3600
    cost = premium_bill(plan.sku, allocated_s=plan.always_ready * month_s, elapsed_s=month_s, prices=prices)
    hour, currency = instance_hour(plan.sku, prices), prices.currency
    typer.echo(
        f"{always_ready} x {plan.sku.name} in {region}: {hour:.4f} {currency} an instance hour, "
        f"{cost:.2f} {currency} a month of {HOURS_PER_MONTH:.0f} hours "
        f"(list prices of {prices.plans['premium'].checked})"
    )


@app.command()
def prices(
    region: Annotated[str, typer.Option(help="Azure region.")] = "eastus",
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Read Azure's prices from its Retail Prices API first.")
    ] = False,
    api: Annotated[str, typer.Option(metavar="URL", help="Retail Prices API.")] = API_URL,
    folder: Annotated[Path, typer.Option(help="Where price lists are.")] = PRICES_DIR,
) -> None:
    """The newest price list of a region, with what is unconfirmed; or what a refresh changed of it."""
    try:
        if refresh:
            refreshed = refresh_prices(region, today=datetime.now(UTC).date(), folder=folder, api_url=api)
            lines = change_lines(refreshed)
        else:
            lines = list_lines(read_prices(region, folder=folder))
    except ValueError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    for line in lines:
        typer.echo(line)


if __name__ == "__main__":
    app()
