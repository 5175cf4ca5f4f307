"""What allocated instances cost.

Premium bills every second that an instance is allocated, busy or not, by vCPU and memory; there is no
charge for executions, and at least one instance is always billed.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from planner.plans import Sku

PRICES_DIR = Path(__file__).parent / "prices"
HOURS_PER_MONTH = 730.0
"Azure's own month."

Price = Annotated[float, Meta(ge=0)]


class PremiumPrices(msgspec.Struct, frozen=True, kw_only=True):
    vcpu_hour: Price
    memory_gib_hour: Price


class PriceList(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one region on one day."""

    region: str
    currency: str
    checked: str
    source: str
    unconfirmed: str
    premium: PremiumPrices


def read_prices(region: str) -> PriceList:
    """The price list of a region.

    Raises:
        ValueError: there is none; the message names those there are.
    """
    known = sorted(path.stem for path in PRICES_DIR.glob("*.json"))
    if region not in known:
        raise ValueError(f"no prices for region {region!r}; there are {', '.join(known)}")
    return msgspec.json.decode((PRICES_DIR / f"{region}.json").read_bytes(), type=PriceList)


def instance_hour(sku: Sku, prices: PriceList) -> float:
    """Cost of one allocated instance for an hour."""
    return sku.vcpu * prices.premium.vcpu_hour + sku.memory_gib * prices.premium.memory_gib_hour


def bill(sku: Sku, *, allocated_s: float, elapsed_s: float, prices: PriceList) -> float:
    """Cost of a stretch of time.

    Args:
        sku: the plan's size.
        allocated_s: seconds that instances were allocated, added up over instances.
        elapsed_s: length of the stretch; one instance is billed for all of it at the least.
        prices: what a second costs.

    Raises:
        ValueError: a time is negative.
    """
    if allocated_s < 0 or elapsed_s < 0:
        raise ValueError(f"allocated {allocated_s} s of {elapsed_s} s; times cannot be negative")
    return max(allocated_s, elapsed_s) / 3600 * instance_hour(sku, prices)
