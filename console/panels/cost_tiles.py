"""The cost view's figures, and cost per answer over time."""

import numpy as np

from console.analysis.bill import TELEMETRY, WASTE, Bill, usd_per_instance_s
from console.formats import UNKNOWN, number, share, short, usd
from console.pieces import Tile, Tone
from console.scope import Scope, link_to
from console.telemetry import Table

MUCH = 0.5


def figures(scope: Scope, bill: Bill, allocation: Table, load: Table) -> list[Tile]:
    """The tiles."""
    waste_usd = bill.month_usd_of(*WASTE)
    waste = waste_usd / bill.month_usd if bill.month_usd else None
    telemetry = bill.part(TELEMETRY)
    waste_tone: Tone = "warn" if waste is not None and waste > MUCH else "quiet"
    about = "approximation" if bill.is_approximate else ""
    return [
        Tile(
            "Per 1,000 recommendations",
            usd(bill.usd_per_1000),
            delta=about or (f"{short(bill.n_answers)} answered" if bill.n_answers else ""),
            spark=usd_per_1000_over_time(bill, allocation, load) if allocation.n_rows else (),
            help="Instances and telemetry of this range, by what was answered",
        ),
        Tile(
            "A month at this pace",
            usd(bill.month_usd),
            delta=f"730 h like these {_length(bill.elapsed_s)}" if bill.elapsed_s else "",
            help="List prices, without tax, discounts and storage",
        ),
        Tile(
            "Idle and pre-warmed",
            usd(waste_usd) if bill.month_usd is not None else UNKNOWN,
            unit="a month" if bill.month_usd is not None else "",
            delta=f"{share(waste)} of the bill" if waste is not None else "",
            tone=waste_tone,
            help="Time of always-ready instances without a request in flight, and of the reserve",
            href=link_to("planner", scope),
        ),
        Tile(
            "Instances",
            number(bill.n_instances, 2) if bill.elapsed_s else UNKNOWN,
            delta=f"{bill.sku}, on average" if bill.elapsed_s else "",
            href=link_to("concurrency", scope),
        ),
        Tile(
            "Telemetry",
            usd(telemetry.month_usd if telemetry else 0.0) if bill.month_usd is not None else UNKNOWN,
            unit="a month" if bill.month_usd is not None else "",
            delta=f"{share(telemetry.share)} of the bill"
            if telemetry
            else ("within the free amount" if bill.month_usd is not None else ""),
            help="What Log Analytics takes in, its free amount taken off",
        ),
    ]


def usd_per_1000_over_time(bill: Bill, allocation: Table, load: Table) -> list[float]:
    """Cost of instances per 1,000 answers in each bin; NaN where nothing was answered."""
    if not load.n_rows:
        return []
    starts, bins = np.unique(allocation["interval_start"], return_inverse=True)
    column = "allocated_s" if "allocated_s" in allocation.columns else "observed_s"
    spent_s = np.bincount(bins, np.nan_to_num(allocation[column]), minlength=starts.size)
    places = np.searchsorted(starts, load["interval_start"])
    is_known = (places < starts.size) & (
        starts[np.minimum(places, starts.size - 1)] == load["interval_start"]
    )
    answers = np.bincount(places[is_known], np.nan_to_num(load["n_ok"])[is_known], minlength=starts.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        costs = 1000 * spent_s * usd_per_instance_s(bill.sku) / answers
    return [float(cost) if np.isfinite(cost) else float("nan") for cost in costs]


def _length(seconds: float) -> str:
    for size, unit in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
