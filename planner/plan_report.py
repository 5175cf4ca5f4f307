"""A plan as text for the terminal, and as JSON."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from planner.advice import az_commands, az_schedule
from planner.evaluation import Evaluation
from planner.planning import Planned
from planner.price_list import PriceList

HEAD = ("", "size", "always ready", "pre-warmed", "at most", "ladder")
FIGURES = ("p50 ms", "p95 ms", "p99 ms", "in SLO", "cold", "refused", "quality", "instances", "USD/month")
LEFT = (0, 1, 5)
"Columns of text."
MOST_FRONTIER = 12
SAID = {
    "slo_share": "in SLO",
    "cold_share": "cold",
    "impacted_share": "impacted",
    "shed_share": "refused",
    "n_instances": "instances",
    "usd_per_month": "USD a month",
}


def report_lines(
    planned: Planned,
    prices: PriceList,
    settings: dict[str, str],
    *,
    more: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> Iterator[str]:
    """The report, line by line.

    Args:
        more: lines that stand behind the plan and its neighbours.
        doubts: lines that stand among what it rests on.
    """
    choice, promise = planned.choice, planned.promise
    best = choice.cheapest
    yield (
        f"traffic {planned.traffic}: {planned.rate_per_s:,.1f} requests a second over {_duration(planned.duration_s)}, "
        f"{planned.busiest_per_s:,.1f} in the busiest 10 s"
    )
    yield (
        f"promise: {promise.share:.0%} of all requests within {promise.slo_s * 1e3:g} ms, quality at least "
        f"{promise.quality:.4f}; without any queue {promise.share:.0%} take up to {planned.bound_s * 1e3:.2f} ms"
    )
    yield f"{planned.found.n_candidates:,} plans, {planned.found.n_simulated:,} of them simulated"
    yield ""
    yield f"the cheapest plan that keeps it: {best.candidate}, {best.usd_per_month:,.2f} USD a month"
    yield ""
    named = [("down", choice.down), ("> cheapest", best), ("up", choice.up)]
    named += [("no pre-warm", planned.without_pre_warm), ("peak", planned.sized_for_peak)]
    yield from table((*HEAD, *FIGURES), [_row(name, each) for name, each in named if each is not None])
    if choice.down is None:
        yield "  down: no cheaper plan was found"
    if choice.up is None:
        yield "  up: no dearer plan is noticeably faster"
    yield from _savings(planned)
    if more:
        yield ""
        yield from more
    yield ""
    yield f"over {planned.n_seeds} seeds, mean and 95 % interval:"
    yield from _intervals(planned)
    yield ""
    yield "what other traffic makes of it:"
    yield from _varied(planned)
    yield ""
    yield "frontier of cost, p99 and quality:"
    yield from table((*HEAD, *FIGURES), [_row("", each) for each in choice.frontier[:MOST_FRONTIER]])
    if len(choice.frontier) > MOST_FRONTIER:
        yield f"  and {len(choice.frontier) - MOST_FRONTIER} dearer ones; --json has all"
    if planned.schedule is not None:
        yield ""
        yield from _schedule(planned)
    yield ""
    yield "the same requests elsewhere, by their time alone (nobody waits, nothing starts cold), USD a month:"
    yield from table(("", "USD/month"), [(bill.title, f"{bill.total:,.2f}") for bill in planned.elsewhere])
    yield ""
    yield "to apply it:"
    for command in az_commands(best.candidate, settings):
        yield f"  {command}"
    yield f'  models/manifest.json: "serving": {msgspec.json.encode(list(best.candidate.ladder)).decode()}'
    yield ""
    yield from _doubts(planned, prices, doubts)


def report_json(
    planned: Planned,
    prices: PriceList,
    settings: dict[str, str],
    parameters: dict[str, Any],
    *,
    edge: dict[str, Any] | None = None,
) -> str:
    """The same and more, for machines; times in seconds.

    Args:
        edge: what devices make of it; None: there are none.
    """
    choice = planned.choice
    encoded = {
        "traffic": planned.traffic,
        "rate_per_s": planned.rate_per_s,
        "busiest_per_s": planned.busiest_per_s,
        "duration_s": planned.duration_s,
        "promise": planned.promise,
        "bound_s": planned.bound_s,
        "n_candidates": planned.found.n_candidates,
        "n_simulated": planned.found.n_simulated,
        "cheapest": as_json(choice.cheapest),
        "confirmed": planned.confirmed,
        "n_seeds": planned.n_seeds,
        "up": as_json(choice.up),
        "down": as_json(choice.down),
        "frontier": [as_json(each) for each in choice.frontier],
        "without_pre_warm": as_json(planned.without_pre_warm),
        "sized_for_peak": as_json(planned.sized_for_peak),
        "varied": [
            {
                "factor": each.factor,
                "keeps": each.keeps,
                "kept": as_json(each.kept),
                "cheapest": as_json(each.cheapest),
            }
            for each in planned.varied
        ],
        "schedule": None
        if planned.schedule is None
        else {
            "slots": [slot._asdict() for slot in planned.schedule.slots],
            "usd_per_month": planned.schedule.usd_per_month,
            "keeps": planned.schedule.keeps,
            "commands": az_schedule(planned.schedule),
        },
        "elsewhere": {bill.title: float(bill.total) for bill in planned.elsewhere},
        "commands": az_commands(choice.cheapest.candidate, settings),
        "parameters": parameters,
        "extrapolated": planned.guesses,
        "edge": edge,
        "prices": {"region": prices.region, "checked": prices.plans["premium"].checked},
    }
    return msgspec.json.format(msgspec.json.encode(encoded), indent=2).decode()


def as_json(evaluation: Evaluation | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    figures: dict[str, Any] = msgspec.to_builtins(evaluation)
    figures["candidate"]["plan"]["sku"] = evaluation.candidate.plan.sku.name
    return figures | {"n_instances": evaluation.n_instances}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = LEFT) -> Iterator[str]:
    """Columns as wide as they need to be; text to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield ("  " + "  ".join(cells)).rstrip()


def _row(name: str, each: Evaluation) -> tuple[str, ...]:
    plan = each.candidate.plan
    return (
        name,
        plan.sku.name,
        str(plan.always_ready),
        str(plan.pre_warmed),
        str(plan.max_burst),
        " > ".join(each.candidate.ladder),
        *(f"{value_s * 1e3:.1f}" for value_s in (each.p50_s, each.p95_s, each.p99_s)),
        *(f"{share:.2%}" for share in (each.slo_share, each.cold_share, each.shed_share)),
        f"{each.quality:.4f}",
        f"{each.n_instances:.2f}",
        f"{each.usd_per_month:,.2f}",
    )


def _savings(planned: Planned) -> Iterator[str]:
    best = planned.choice.cheapest
    for name, other in (
        ("no pre-warm, as many always ready as that takes", planned.without_pre_warm),
        ("always ready for the peak, no burst", planned.sized_for_peak),
    ):
        if other is None:
            yield f"  {name}: keeps the promise with no number of instances"
        else:
            saved = other.usd_per_month - best.usd_per_month
            share = saved / other.usd_per_month
            yield f"  {name}: {other.usd_per_month:,.2f} USD a month; saved {saved:,.2f} ({share:.0%})"


def _intervals(planned: Planned) -> Iterator[str]:
    for name, interval in planned.confirmed.items():
        scale, unit = (
            (1e3, " ms") if name.endswith("_s") else (100.0, " %") if name.endswith("share") else (1.0, "")
        )
        said = SAID.get(name, name.removesuffix("_s"))
        mean, low, high = (value * scale for value in (interval.mean, max(0.0, interval.low), interval.high))
        told = f"({low:,.3f} to {high:,.3f})" if interval.high < math.inf else "(one seed)"
        yield f"  {said:<14} {mean:,.3f}{unit}  {told}"


def _varied(planned: Planned) -> Iterator[str]:
    for each in planned.varied:
        verdict = "keeps the promise" if each.keeps else f"keeps {each.kept.slo_share:.2%} only"
        other = (
            f"cheapest there: {each.cheapest.candidate.plan.always_ready} always ready, "
            f"{each.cheapest.candidate.plan.pre_warmed} pre-warmed, {each.cheapest.usd_per_month:,.2f} USD"
            if each.cheapest
            else "no plan of this size and ladder keeps it there"
        )
        yield f"  x {each.factor:<5g} {verdict}, {each.kept.usd_per_month:,.2f} USD a month; {other}"


def _schedule(planned: Planned) -> Iterator[str]:
    schedule, fixed = planned.schedule, planned.choice.cheapest.usd_per_month
    assert schedule is not None
    yield "always-ready instances by hour of day (UTC), the promise kept in every hour:"
    for slot in schedule.slots:
        yield f"  {slot.begins_h:02d}:00 to {slot.ends_h:02d}:00  {slot.always_ready}"
    saved = fixed - schedule.usd_per_month
    told = f"{saved:,.2f} less" if saved >= 0 else f"{-saved:,.2f} more"
    yield f"  {schedule.usd_per_month:,.2f} USD a month, {told} than the fixed plan"
    if not schedule.keeps:
        yield "  some hour does not keep the promise with the instances allowed"
    if len(schedule.slots) > 1:
        yield "  cron entries (UTC):"
        for line in az_schedule(schedule):
            yield f"    {line}"


def _doubts(planned: Planned, prices: PriceList, more: Sequence[str]) -> Iterator[str]:
    yield "what this rests on:"
    for guess in planned.guesses:
        yield f"  EXTRAPOLATED: {guess}"
    yield from more
    premium = prices.plans["premium"]
    yield f"  list prices of {prices.region}, checked {premium.checked}: {premium.source}"
    if premium.unconfirmed:
        yield f"  unconfirmed: {premium.unconfirmed}"
    yield "  what docs/planning.md says is assumed; `python -m planner backtest` tells how wrong predictions were"


def _duration(duration_s: float) -> str:
    for unit, seconds in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if duration_s >= seconds:
            return f"{duration_s / seconds:.3g} {unit}"
    return f"{duration_s:.3g} s"
