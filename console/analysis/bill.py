"""The bill of what was seen: instance seconds by what they were spent on, and telemetry, at list prices.

A month is as many times the stretch that the allocation covers, telemetry's free amount taken off once; a
thousand recommendations cost the month's bill divided by the month's answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.telemetry import Table
from planner.billing import bill as priced
from planner.billing import instance_hour, telemetry_usage
from planner.billing.bills import MONTH_S
from planner.plans import SKUS, Sku, sku_named
from planner.price_list import PriceList, read_prices

DEFAULT_REGION = "eastus"
CLASSES = ("active", "idle", "pre_warmed", "burst", "starting", "draining")
TELEMETRY = "telemetry"
WASTE = ("idle", "pre_warmed")
"Classes of instances that stand by."
TITLES: Mapping[str, str] = {
    "active": "Always ready, active",
    "idle": "Always ready, idle",
    "pre_warmed": "Pre-warmed",
    "burst": "Burst",
    "starting": "Starting",
    "draining": "Draining",
    TELEMETRY: "Telemetry",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BillPart:
    """One line of a bill."""

    name: str
    "One of `CLASSES`, or `TELEMETRY`."
    instance_s: float
    "Allocated in the stretch; 0 for telemetry."
    month_usd: float
    usd_per_1000: float | None
    share: float
    "Of the bill."

    @property
    def title(self) -> str:
        return TITLES[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the stretch costs if it goes on for a month of 730 hours."""

    parts: tuple[BillPart, ...] = ()
    "Those that cost something, in the order of `CLASSES`, telemetry last."
    month_usd: float | None = None
    "None: nothing says what was allocated."
    usd_per_1000: float | None = None
    "None: as `month_usd`, or nothing was answered."
    n_answers: float = 0.0
    "In the stretch."
    elapsed_s: float = 0.0
    "Length of the stretch that the allocation covers."
    instance_s: float = 0.0
    "Allocated in it."
    sku: str = "EP1"
    is_approximate: bool = False
    "From instances' own samples, since no plan said what it allocated."
    unconfirmed: tuple[str, ...] = ()
    "Of the prices."

    def part(self, name: str) -> BillPart | None:
        """The line of that name; None if it costs nothing."""
        return next((part for part in self.parts if part.name == name), None)

    def month_usd_of(self, *names: str) -> float:
        """Those lines' cost of a month."""
        return sum(part.month_usd for part in self.parts if part.name in names)

    @property
    def instances_month_usd(self) -> float | None:
        """Without telemetry, which costs the same on every plan."""
        return None if self.month_usd is None else self.month_usd - self.month_usd_of(TELEMETRY)

    @property
    def usd_per_1000_of_instances(self) -> float | None:
        """Without telemetry."""
        if self.usd_per_1000 is None or not self.month_usd:
            return None
        return self.usd_per_1000 * (1 - self.month_usd_of(TELEMETRY) / self.month_usd)

    @property
    def n_instances(self) -> float:
        """Allocated on average."""
        return self.instance_s / self.elapsed_s if self.elapsed_s else 0.0


def bill_of(
    allocation: Table,
    requests: Table,
    volume: Table,
    *,
    region: str = DEFAULT_REGION,
    sku: str = "EP1",
) -> Bill:
    """The bill of a stretch.

    Args:
        allocation: answer to `allocation`, or where that is empty to `allocation_observed`.
        requests: answer to `requests`, of all variants; those outside the allocation's stretch do not count.
        volume: answer to `volume`; telemetry is taken to be of the allocation's stretch.
        region: whose list prices.
        sku: size of every instance; see `sku_of`.

    Raises:
        PriceError: there are no prices of the region.
        ValueError: there is no such size.
    """
    if not allocation.n_rows:
        return Bill(sku=sku)
    prices, size = _prices(region), sku_named(sku)
    is_approximate = "class" not in allocation.columns
    interval_s = interval_s_of(allocation)
    elapsed_s = covered_s(allocation, interval_s)
    if elapsed_s <= 0:
        return Bill(sku=sku)
    seconds = _seconds_by_class(allocation, elapsed_s)
    n_answers = _answers_within(requests, allocation, interval_s)
    n_bytes = float(np.nansum(volume["n_bytes"])) if volume.n_rows else 0.0

    months = MONTH_S / elapsed_s
    costs = {name: each_s * months * instance_hour(size, prices) / 3600 for name, each_s in seconds.items()}
    telemetry = priced(telemetry_usage(round(n_bytes * months)), prices)
    costs[TELEMETRY] = float(telemetry.total)
    month_usd = sum(costs.values())
    parts = tuple(
        BillPart(
            name=name,
            instance_s=seconds.get(name, 0.0),
            month_usd=cost,
            usd_per_1000=_per_1000(cost, n_answers * months),
            share=cost / month_usd,
        )
        for name, cost in costs.items()
        if cost > 0
    )
    return Bill(
        parts=parts,
        month_usd=month_usd,
        usd_per_1000=_per_1000(month_usd, n_answers * months),
        n_answers=n_answers,
        elapsed_s=elapsed_s,
        instance_s=sum(seconds.values()),
        sku=size.name,
        is_approximate=is_approximate,
        unconfirmed=_unconfirmed(prices),
    )


def sku_of(instances: Table) -> str:
    """The plan's size, from the cores that its instances say they have: the smallest that has as many."""
    cores = instances["cores"] if instances.n_rows else np.empty(0)
    known = cores[np.isfinite(cores)] if cores.size else cores
    if not known.size:
        return "EP1"
    most = float(np.median(known))
    return next((sku.name for sku in SKUS.values() if sku.vcpu >= round(most)), list(SKUS)[-1])


def usd_per_instance_s(sku: str, region: str = DEFAULT_REGION) -> float:
    """Price of an allocated second.

    Raises:
        PriceError: there are no prices of the region.
        ValueError: there is no such size.
    """
    size: Sku = sku_named(sku)
    return instance_hour(size, _prices(region)) / 3600


def interval_s_of(allocation: Table) -> float:
    """Width of the bins of `allocation` or `allocation_observed`, in seconds; 0 if there is no telling."""
    starts = np.unique(allocation["interval_start"])
    if starts.size > 1:
        return float(np.diff(starts).min() / np.timedelta64(1, "s"))
    if "n_instances" in allocation.columns:
        n_instances = allocation["n_instances"]
        known = n_instances > 0
        return float((allocation["allocated_s"][known] / n_instances[known]).max()) if known.any() else 0.0
    return float(np.nanmax(allocation["observed_s"]))


def covered_s(allocation: Table, interval_s: float) -> float:
    """How much time the bins stand for; bins without any row do not count.

    The first and the last are cut by the range or by the plan's own beginning: they count by their seconds in
    proportion to the bin beside them.
    """
    starts, bins = np.unique(allocation["interval_start"], return_inverse=True)
    totals_s = np.bincount(bins, np.nan_to_num(_allocated_s(allocation)), minlength=starts.size)
    if starts.size == 1:
        return interval_s
    shares = np.ones(starts.size)
    for edge, beside in ((0, 1), (-1, -2)):
        shares[edge] = min(totals_s[edge] / totals_s[beside], 1.0) if totals_s[beside] else 1.0
    return float(shares.sum() * interval_s)


def _allocated_s(allocation: Table) -> NDArray[np.float64]:
    values: NDArray[np.float64] = allocation[
        "allocated_s" if "allocated_s" in allocation.columns else "observed_s"
    ]
    return values


def _seconds_by_class(allocation: Table, elapsed_s: float) -> dict[str, float]:
    """Allocated seconds; at least one instance is billed all the time, and what nobody saw of it was idle."""
    if "class" in allocation.columns:
        names, allocated_s = allocation["class"], allocation["allocated_s"]
        seconds = {name: float(np.nansum(allocated_s[names == name])) for name in CLASSES}
    else:
        busy_s = float(np.nansum(allocation["busy_s"]))
        seconds = {"active": busy_s, "idle": float(np.nansum(allocation["observed_s"])) - busy_s}
    seconds["idle"] += max(elapsed_s - sum(seconds.values()), 0.0)
    return {name: value for name, value in seconds.items() if value > 0}


def _answers_within(requests: Table, allocation: Table, interval_s: float) -> float:
    if not requests.n_rows:
        return 0.0
    starts = allocation["interval_start"]
    at = requests["interval_start"]
    # A bin of requests may be wider than the allocation's, and begin before it.
    at_ends = at + np.timedelta64(round(_width_s(at) * 1e6), "us")
    until = starts.max() + np.timedelta64(round(interval_s * 1e6), "us")
    return float(np.nansum(requests["n_ok"][(at_ends > starts.min()) & (at < until)]))


def _width_s(starts: NDArray[Any]) -> float:
    widths = np.diff(np.unique(starts))
    return float(widths.min() / np.timedelta64(1, "s")) if widths.size else 1.0


def _per_1000(usd: float, n_answers: float) -> float | None:
    return 1000 * usd / n_answers if n_answers > 0 else None


def _unconfirmed(prices: PriceList) -> tuple[str, ...]:
    said = {name: prices.plans[name].unconfirmed for name in ("premium", TELEMETRY)}
    return tuple(f"{name}: {text}" for name, text in said.items() if text)


@cache
def _prices(region: str) -> PriceList:
    return read_prices(region)
