"""`python -m planner`: what a plan costs."""

from typing import Annotated

import typer

from planner.billing import HOURS_PER_MONTH, bill, instance_hour, read_prices
from planner.plans import SKUS, PremiumPlan

app = typer.Typer(help="Plan and price the serving of recommendations.", no_args_is_help=True)


@app.callback()
def planner() -> None:
    """Plan and price the serving of recommendations."""


@app.command()
def price(
    sku: Annotated[str, typer.Option(help=f"Size: {', '.join(SKUS)}.")] = "EP1",
    always_ready: Annotated[int, typer.Option(help="Always-ready instances.")] = 1,
    region: Annotated[str, typer.Option(help="Azure region.")] = "eastus",
) -> None:
    """The monthly floor of a Premium plan: its always-ready instances, before any load."""
    try:
        if sku not in SKUS:
            raise ValueError(f"unknown size {sku!r}; Premium has {', '.join(SKUS)}")
        plan = PremiumPlan(sku=SKUS[sku], always_ready=always_ready)
        prices = read_prices(region)
    except ValueError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    month_s = HOURS_PER_MONTH * 3600
    cost = bill(plan.sku, allocated_s=plan.always_ready * month_s, elapsed_s=month_s, prices=prices)
    typer.echo(
        f"{always_ready} x {sku} in {region}: {instance_hour(plan.sku, prices):.4f} {prices.currency} an instance "
        f"hour, {cost:.2f} {prices.currency} a month of {HOURS_PER_MONTH:.0f} hours (list prices of {prices.checked})"
    )


if __name__ == "__main__":
    app()
