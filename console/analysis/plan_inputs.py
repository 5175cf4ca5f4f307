"""What a plan is searched with: measurements and traffic, of telemetry or of what stands in for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from console.analysis.plan_question import Goal, PlanQuestion
from console.queries import load_query
from console.settings import Source
from console.telemetry import Telemetry as Workspace
from console.telemetry import TelemetryError as WorkspaceError
from planner.arrivals import replay
from planner.manifest_cards import read_cards
from planner.measurements import Card, Measurements, MeasurementsError
from planner.measurements_from_results import measure_results
from planner.measurements_from_telemetry import measure_telemetry
from planner.plans import SKUS
from planner.telemetry import Telemetry
from planner.traffic import Traffic, TrafficError, parse_traffic

ROOT = Path(__file__).parents[2]
RESULTS, MANIFEST = ROOT / "benchmarks" / "results", ROOT / "models" / "manifest.json"
MOST_MODELLED = 300_000
LEAST_SEARCHED, MOST_SEARCHED, SEARCHED_S = 20_000, 30_000, 150.0
"Arrivals that are simulated: as many as come in `SEARCHED_S`, within limits; evenly spread stretches stand for all."
RATE_FOR_S = (100.0, 600.0)
"How long a rate without an end of its own goes on, at the least and at the most."
MOST_BINS = 7200
LOOK_BACK_DAYS = 7.0
"For measurements, where the range has too few."


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Traffic, and when it was."""

    traffic: Traffic
    begins: datetime | None = None
    ends: datetime | None = None


def measurements_of(question: PlanQuestion) -> Measurements:
    """From telemetry of the range, of the last days where that has too little, or of the benchmarks."""
    cards: Sequence[Card] = ()
    if MANIFEST.exists():
        cards, _ = read_cards(MANIFEST)
    problem: ValueError | None = None
    if question.logs_url:
        telemetry = Telemetry(question.logs_url, workspace=question.workspace)
        range_days = (question.until - question.since) / timedelta(days=1)
        for days in sorted({range_days, max(range_days, LOOK_BACK_DAYS)}):
            try:
                sku = _size(telemetry, question, days)
                found = measure_telemetry(
                    telemetry, days=days, sku=sku, cards=cards, extrapolates=True, now=question.until
                )
            except MeasurementsError as err:
                problem = err
                continue
            said = "this range" if days == range_days else f"the {days:g} days before its end"
            return msgspec.structs.replace(found, source=f"telemetry of {said}")
    try:
        found = measure_results(RESULTS, MANIFEST, sku="EP1")
    except MeasurementsError as err:
        raise problem or err from err
    return msgspec.structs.replace(
        found, source="the benchmark results, since telemetry holds too few requests and starts"
    )


def arrivals_of(question: PlanQuestion) -> Arrived:
    """The traffic that was asked for.

    Raises:
        TrafficError: it makes no sense, or there was none.
    """
    if question.traffic != "telemetry":
        wanted = parse_traffic(question.traffic)
        if wanted.period_s is None and not question.traffic.startswith("trace:"):
            rate_per_s = len(wanted.arrivals_s(seed=0)) / wanted.duration_s
            least_s, most_s = RATE_FOR_S
            length_s = min(max(least_s, MOST_SEARCHED / rate_per_s), most_s)
            wanted = parse_traffic(question.traffic, duration_s=length_s)
        return Arrived(traffic=_times(wanted, question.factor))
    if not question.logs_url:
        raise TrafficError("telemetry is not configured; plan for a rate")
    return _arrivals_in(question)


def most_simulated(traffic: Traffic, goal: Goal) -> int:
    """How many arrivals are simulated at most: a search tries many plans, a model one."""
    if goal == "model" or traffic.duration_s <= RATE_FOR_S[1]:
        return MOST_MODELLED
    rate_per_s = len(traffic.arrivals_s(seed=0)) / traffic.duration_s
    return int(min(max(LEAST_SEARCHED, rate_per_s * SEARCHED_S), MOST_SEARCHED))


def _arrivals_in(question: PlanQuestion) -> Arrived:
    """Requests of the range, counted by bins as narrow as an answer's length allows."""
    length_s = (question.until - question.since).total_seconds()
    width_s = max(1, math.ceil(length_s / MOST_BINS))
    source = Source("", question.workspace, question.logs_url)
    text = load_query("requests").text(interval=timedelta(seconds=width_s))
    try:
        table = Workspace(source).read(text, question.since, question.until).table
    except WorkspaceError as err:
        raise TrafficError(f"{err.failure.what} {err.failure.remedy}") from err
    counts = np.nan_to_num(table["n_requests"]).astype(np.int64) if table.n_rows else np.zeros(0, np.int64)
    if not counts.sum():
        raise TrafficError("the time range has no requests; choose another one, or plan for a rate")
    starts = table["interval_start"]
    begins, ends = starts[0], starts[-1] + np.timedelta64(width_s, "s")
    duration_s = float((ends - begins) / np.timedelta64(1, "s"))
    at_s = np.repeat((starts - begins) / np.timedelta64(1, "s"), counts)

    def draw(rng: np.random.Generator, factor: float) -> NDArray[np.float64]:
        drawn_s = np.sort(np.minimum(at_s + rng.random(len(at_s)) * width_s, duration_s))
        factor *= question.factor
        if factor == 1:
            return drawn_s
        return replay(drawn_s, rate_per_s=len(drawn_s) * factor / duration_s, duration_s=duration_s, rng=rng)

    name = "requests of the range" + (f" x {question.factor:g}" if question.factor != 1 else "")
    if width_s > 1:
        name += f", spread at random inside each {width_s} s"
    traffic = Traffic(name=name, duration_s=duration_s, is_drawn=True, draw=draw)
    return Arrived(traffic=traffic, begins=_aware(begins), ends=_aware(ends))


def _times(traffic: Traffic, factor: float) -> Traffic:
    if factor == 1:
        return traffic
    return replace(
        traffic,
        name=f"{traffic.name} x {factor:g}",
        draw=lambda rng, more: traffic.draw(rng, factor * more),
    )


def _aware(moment: np.datetime64) -> datetime:
    at: datetime = moment.astype("datetime64[us]").item()
    return at.replace(tzinfo=UTC)


def _size(telemetry: Telemetry, question: PlanQuestion, days: float) -> str:
    """The size that the cores tell; a machine that is no size stands for the smallest that has as many."""
    rows = telemetry.ask("cores", (question.until - timedelta(days=days), question.until))
    cores = max((float(row["cores"]) for row in rows), default=1.0)
    return next((sku.name for sku in SKUS.values() if sku.vcpu >= round(cores)), list(SKUS)[-1])
