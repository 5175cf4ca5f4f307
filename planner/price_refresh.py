"""A price list of today, from the Azure Retail Prices API.

Each of our meters has one place in the API: a service, a product, a SKU and a meter. Its rows become a price
and a free amount, or the refresh ends without a list: what is missing, or priced in tiers, in another unit or
another currency than bills are made in, is never guessed.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from planner.price_list import (
    METERS,
    PRICES_DIR,
    Meter,
    PlanPrices,
    PriceError,
    PriceList,
    is_region,
    read_prices,
    write_prices,
)
from planner.retail_prices import API_URL, Row, fetch_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class RetailMeter:
    """Where the API has a meter of ours."""

    service: str
    product: str
    sku: str
    meter: str
    unit: str
    "What follows the number in its unit of measure; nothing for executions."
    per_unit: int = 1
    "How many of theirs make one of ours."


def _functions(product: str, sku: str, meter: str, unit: str) -> RetailMeter:
    return RetailMeter(
        service="Functions",
        product=product,
        sku=sku,
        meter=f"{sku} {meter}",
        unit=unit,
        per_unit=1 if unit else 10**6,
    )


AZURE_METERS: Mapping[str, Mapping[str, RetailMeter]] = {
    "premium": {
        "vcpu": _functions("Premium Functions", "Premium", "vCPU Duration", "Hour"),
        "memory": _functions("Premium Functions", "Premium", "Memory Duration", "GiB Hour"),
    },
    "flex": {
        "on_demand_execution": _functions("Flex Consumption", "On Demand", "Execution Time", "GB Second"),
        "on_demand_executions": _functions("Flex Consumption", "On Demand", "Total Executions", ""),
        "always_ready_baseline": _functions("Flex Consumption", "Always Ready", "Baseline", "GB Second"),
        "always_ready_execution": _functions(
            "Flex Consumption", "Always Ready", "Execution Time", "GB Second"
        ),
        "always_ready_executions": _functions("Flex Consumption", "Always Ready", "Total Executions", ""),
    },
    "consumption": {
        "execution": _functions("Functions", "Standard", "Execution Time", "GB Second"),
        "executions": _functions("Functions", "Standard", "Total Executions", ""),
    },
    "telemetry": {
        "ingestion": RetailMeter(
            service="Log Analytics",
            product="Log Analytics",
            sku="Analytics Logs",
            meter="Analytics Logs Data Ingestion",
            unit="GB",
        )
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A meter whose price or free amount is another than before."""

    plan: str
    meter: str
    before: Meter | None
    after: Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a refresh wrote."""

    prices: PriceList
    path: Path
    changes: tuple[Change, ...]


def refresh_prices(
    region: str,
    *,
    today: date,
    folder: Path = PRICES_DIR,
    api_url: str = API_URL,
    sleep: Callable[[float], None] = time.sleep,
) -> Refreshed:
    """Read Azure's prices of a region and write a list with today's date.

    Prices of services elsewhere and of egress are kept: from the region's own list, or else from that of East US.

    Args:
        region: as Azure names it in code, such as `eastus`.
        today: date of the list.
        folder: where lists are.
        api_url: of the Retail Prices API.
        sleep: waits for so many seconds between attempts.

    Raises:
        PriceError: the API cannot be reached, refuses, knows no such region, or answers with something else than
            one price for every meter. Nothing is written then.
    """
    if not is_region(region):
        raise PriceError(f"{region!r} names no Azure region; use small letters and digits, as in 'eastus'")
    before = _latest(region, folder)
    kept = before or read_prices("eastus", folder=folder)
    services = dict.fromkeys(each.service for meters in AZURE_METERS.values() for each in meters.values())
    rows = fetch_rows(services, region, api_url=api_url, sleep=sleep)
    prices = PriceList(
        region=region,
        currency="USD",
        checked=today.isoformat(),
        plans={
            **kept.plans,
            **{
                plan: PlanPrices(
                    region=region,
                    checked=today.isoformat(),
                    source=f"Azure Retail Prices API, {api_url}",
                    unconfirmed=None,
                    meters=meters,
                )
                for plan, meters in choose_meters(rows, region=region, today=today).items()
            },
        },
    )
    changes = tuple(
        Change(plan=plan, meter=name, before=old, after=meter)
        for plan, name, meter in prices.lines()
        for old in (before.plans[plan].meters[name] if before else None,)
        if old is None or (old.price, old.free) != (meter.price, meter.free)
    )
    return Refreshed(prices=prices, path=write_prices(prices, folder=folder), changes=changes)


def _latest(region: str, folder: Path) -> PriceList | None:
    if not any(folder.glob(f"{region}-[0-9]*.json")):
        return None
    return read_prices(region, folder=folder)


def choose_meters(rows: Sequence[Row], *, region: str, today: date) -> dict[str, dict[str, Meter]]:
    """Every Azure meter's price, from the rows that hold today.

    Raises:
        PriceError: the region has no rows, or some meter has none, or they contradict each other.
    """
    here = [row for row in rows if row.arm_region_name == region and row.type == "Consumption"]
    if not here:
        raise PriceError(
            f"the API lists nothing for region {region!r}; name an Azure region, such as 'eastus'"
        )
    chosen: dict[str, dict[str, Meter]] = {}
    missing = []
    for plan, meters in AZURE_METERS.items():
        chosen[plan] = {}
        for name, wanted in meters.items():
            tiers = _tiers([row for row in here if _is_of(row, wanted)], wanted, today=today)
            if any(row.retail_price for row in tiers):
                chosen[plan][name] = _meter(tiers, wanted, unit=METERS[plan][name])
            else:
                missing.append(repr(f"{wanted.product} / {wanted.meter}"))
    if missing:
        raise PriceError(
            f"region {region!r} has no price of {', '.join(missing)}; nothing was written, "
            "choose a region that has these plans"
        )
    return chosen


def _is_of(row: Row, wanted: RetailMeter) -> bool:
    return (row.service_name, row.product_name, row.sku_name, row.meter_name) == (
        wanted.service,
        wanted.product,
        wanted.sku,
        wanted.meter,
    )


def _tiers(rows: Sequence[Row], wanted: RetailMeter, *, today: date) -> list[Row]:
    """The row of each tier that holds today, by the amount that it begins at."""
    tiers: dict[Decimal, Row] = {}
    for row in rows:
        begins, ends = row.effective_start_date[:10], (row.effective_end_date or "9999")[:10]
        if not begins <= today.isoformat() < ends:
            continue
        other = tiers.setdefault(row.tier_minimum_units, row)
        rank, other_rank = (
            (each.effective_start_date[:10], each.is_primary_meter_region) for each in (row, other)
        )
        if rank > other_rank:
            tiers[row.tier_minimum_units] = row
        elif rank == other_rank and row.retail_price != other.retail_price:
            raise PriceError(
                f"{wanted.meter!r} costs both {other.retail_price} and {row.retail_price} from {begins} on; "
                "the API contradicts itself, try again later"
            )
    return [tiers[begin] for begin in sorted(tiers)]


def _meter(tiers: Sequence[Row], wanted: RetailMeter, *, unit: str) -> Meter:
    paid = [row for row in tiers if row.retail_price]
    if len(paid) > 1 or tiers[-1] is not paid[0] or tiers[0].tier_minimum_units != 0:
        told = ", ".join(f"{row.retail_price} from {row.tier_minimum_units}" for row in tiers)
        raise PriceError(
            f"{wanted.meter!r} has tiers of {told}; only one price after a free amount can be billed"
        )
    row = paid[0]
    measured = re.fullmatch(r"(\d+)([KM]?) ?(.*)", row.unit_of_measure)
    if measured is None or measured[3] != wanted.unit:
        raise PriceError(
            f"{wanted.meter!r} is priced per {row.unit_of_measure!r}; expected a number and {wanted.unit!r}"
        )
    if row.currency_code != "USD":
        raise PriceError(f"{wanted.meter!r} is priced in {row.currency_code}; only USD can be billed")
    amount = int(measured[1]) * {"": 1, "K": 10**3, "M": 10**6}[measured[2]]
    if not amount:
        raise PriceError(f"{wanted.meter!r} is priced per {row.unit_of_measure!r}; expected a number above 0")
    try:
        return Meter(
            price=row.retail_price * wanted.per_unit / amount,
            unit=unit,
            free=row.tier_minimum_units * amount / wanted.per_unit,
            since=row.effective_start_date[:10],
        )
    except ValueError as err:
        raise PriceError(f"{wanted.meter!r}: {err}") from err
