"""The planner in a process of its own: a question on standard input, progress and an answer on standard output.

A search keeps a processor busy for seconds, which the console's process has not: it answers everybody who looks.
`plan_process` starts it.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from console.analysis.plan_question import (
    Figure,
    Holding,
    Line,
    PlanAnswer,
    PlanQuestion,
    Point,
    Progress,
    Setup,
)
from console.queries import load_query
from console.settings import Source
from console.telemetry import Telemetry as Workspace
from console.telemetry import TelemetryError as WorkspaceError
from planner.advice import app_settings, az_commands, bicep_parameters
from planner.arrivals import replay
from planner.choice import NoPlan, choose, pareto
from planner.evaluation import Candidate, Evaluation, Promise, evaluate
from planner.manifest_cards import read_cards
from planner.measurements import Card, Measurements, MeasurementsError, instance_model
from planner.measurements_from_results import measure_results
from planner.measurements_from_telemetry import measure_telemetry
from planner.model import InstanceModel
from planner.naive import sized_for_peak
from planner.planning import CEILING, Seeds
from planner.plans import MOST_ALWAYS_READY, SKUS, PremiumPlan, sku_named
from planner.price_list import read_prices
from planner.sampling import sample_of
from planner.search import Question, SearchSpace, check_attainable, ladders_of, search
from planner.simulator import Estimate
from planner.telemetry import Telemetry
from planner.traffic import Traffic, TrafficError, parse_traffic

ROOT = Path(__file__).parents[2]
RESULTS, MANIFEST = ROOT / "benchmarks" / "results", ROOT / "models" / "manifest.json"
MOST_MODELLED = 300_000
LEAST_SEARCHED, MOST_SEARCHED, SEARCHED_S = 20_000, 30_000, 150.0
"Arrivals that are simulated: as many as come in `SEARCHED_S`, within limits; evenly spread stretches stand for all."
RATE_FOR_S = (100.0, 600.0)
"How long a rate without an end of its own goes on, at the least and at the most."
N_SEEDS = 5
MOST_FRONTIER, MOST_OTHERS = 10, 300
MOST_REFUSED = 0.01
MOST_BINS = 7200
LOOK_BACK_DAYS = 7.0
"For measurements, where the range has too few."
FACTORS = (1.25, 1.5, 2.0)
REMEDIES = {
    "--slo-p99-ms": "the SLO",
    "--max-burst": "the most instances",
    "--quality": "the least quality",
    "--ladder": "the variants",
    "--duration": "the duration",
    "--extrapolate": "extrapolation",
}
"Options of the command line as the view calls them."
Say = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Traffic, and when it was."""

    traffic: Traffic
    begins: datetime | None = None
    ends: datetime | None = None


def answer(question: PlanQuestion, *, say: Say = lambda progress: None) -> PlanAnswer:
    """Ask the planner.

    Raises:
        ValueError: of any kind that the planner raises; the message names value and remedy.
    """
    began_s = time.monotonic()
    say(Progress(what="Reading what was measured"))
    measured = measurements_of(question)
    say(Progress(what="Reading the traffic"))
    arrived = arrivals_of(question)
    is_search = question.goal == "search"
    traffic = sample_of(
        arrived.traffic, seed=0, most=_most_searched(arrived.traffic) if is_search else MOST_MODELLED
    )
    asked, knows_quality = _planner_question(question, measured, traffic)
    some = next(iter(asked.instances.values()))
    base = PlanAnswer(
        traffic=arrived.traffic.name,
        rate_per_s=asked.rate_per_s,
        n_arrivals=len(asked.arrivals_s),
        duration_s=asked.duration_s,
        begins=arrived.begins,
        ends=arrived.ends,
        measured_from=measured.source,
        variants=tuple(variant.name for variant in some.variants),
        knows_quality=knows_quality,
        notes=_notes(traffic, asked.instances),
        unconfirmed=asked.prices.plans["premium"].unconfirmed or "",
        n_seeds=N_SEEDS,
    )
    seeds = Seeds(traffic, asked, N_SEEDS)
    today = _today(question, asked, seeds, say=say)
    if not is_search:
        return msgspec.structs.replace(base, today=today, took_s=time.monotonic() - began_s)
    found = _search(question, asked, seeds, base, say=say)
    return msgspec.structs.replace(
        found,
        today=today,
        parameters_today=_parameters(_candidate(question.today, some), some, question)
        if question.today
        else "",
        took_s=time.monotonic() - began_s,
    )


def _most_searched(traffic: Traffic) -> int:
    rate_per_s = len(traffic.arrivals_s(seed=0)) / traffic.duration_s
    if traffic.duration_s <= RATE_FOR_S[1]:
        return MOST_MODELLED
    return int(min(max(LEAST_SEARCHED, rate_per_s * SEARCHED_S), MOST_SEARCHED))


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


def _planner_question(
    question: PlanQuestion, measured: Measurements, traffic: Traffic
) -> tuple[Question, bool]:
    """What the planner's search takes, and whether the variants' quality is known."""
    wanted = {sku_named(sku).name for sku in question.skus} | (
        {question.today.sku} if question.today else set()
    )
    known = measured.ladder or tuple(each.name for each in measured.instances[0].variants)
    names = tuple(name for name in known if not question.variants or name in question.variants)
    if not names:
        raise MeasurementsError(
            f"none of the chosen variants was measured; there are {', '.join(known)}; choose one of them"
        )
    instances = {sku: instance_model(measured, sku, ladder=names, extrapolates=True) for sku in SKUS}
    some = next(iter(instances.values()))
    qualities = [variant.ndcg_10 for variant in some.variants if variant.ndcg_10 is not None]
    ladders, floor, knows = ladders_of(names), question.quality, len(qualities) == len(names)
    if knows:
        floor *= max(qualities)
    else:
        ladders = tuple(ladder for ladder in ladders if ladder[0] == names[0])
    most = question.most_instances
    return (
        Question(
            arrivals_s=traffic.arrivals_s(seed=0),
            duration_s=traffic.duration_s,
            instances={sku: instances[sku] for sku in SKUS if sku in wanted},
            prices=read_prices(question.region),
            promise=Promise(slo_s=question.slo_ms / 1e3, share=question.slo_share, quality=floor),
            space=SearchSpace(
                skus=tuple(sku for sku in SKUS if sku in question.skus),
                ladders=ladders,
                most_always_ready=min(MOST_ALWAYS_READY, most),
                pre_warmed=tuple(n for n in (0, 1, 2) if n < most),
                bursts=tuple(sorted({most, *(burst for burst in (5,) if burst < most)})),
            ),
        ),
        knows,
    )


def _today(question: PlanQuestion, asked: Question, seeds: Seeds, *, say: Say) -> Point | None:
    if question.today is None:
        return None
    say(Progress(what="Simulating today's plan"))
    candidate = _candidate(question.today, asked.instances[question.today.sku])
    return _with_intervals(_evaluated(candidate, asked), asked, seeds)


def _search(
    question: PlanQuestion, asked: Question, seeds: Seeds, base: PlanAnswer, *, say: Say
) -> PlanAnswer:
    check_attainable(asked)
    longest = max(asked.space.ladders, key=len)
    peaks = [sized_for_peak(asked, sku=sku, ladder=longest) for sku in asked.space.skus]
    known = [peak for peak in peaks if peak is not None]
    peak = min(known, key=lambda each: each.usd_per_month) if known else None
    if peak is not None:
        asked = replace(asked, ceiling_usd=CEILING * peak.usd_per_month)
    found = search(
        asked,
        on_progress=lambda done, of: say(Progress(what="Simulating plans", done=done, of=of)),
        n_processes=1,
    )
    base = msgspec.structs.replace(
        base,
        n_candidates=found.n_candidates,
        n_simulated=found.n_simulated,
        peak=_point(peak, asked.promise) if peak is not None else None,
    )
    say(Progress(what="Confirming with other seeds"))
    best: Evaluation | None = None
    why_none = ""
    try:
        best = choose(found.evaluations, asked.promise, confirm=seeds.confirms).cheapest
    except NoPlan as err:
        why_none = _in_words(str(err))
    frontier = _frontier(found.evaluations)
    on_it = {id(each) for each in frontier}
    others = [each for each in found.evaluations if id(each) not in on_it and each is not best]
    step = max(1, math.ceil(len(others) / MOST_OTHERS))
    points = []
    for number, each in enumerate(frontier):
        say(Progress(what="Intervals of the frontier", done=number, of=len(frontier)))
        points.append(_with_intervals(each, asked, seeds))
    changed: PlanAnswer = msgspec.structs.replace(
        base,
        why_none=why_none,
        frontier=tuple(points),
        others=tuple(_point(each, asked.promise) for each in others[::step]),
    )
    if best is None:
        return changed
    instance = asked.instances[best.candidate.plan.sku.name]
    settings = app_settings(best.candidate, instance, slo_s=asked.promise.slo_s)
    return msgspec.structs.replace(
        changed,
        best=_with_intervals(best, asked, seeds),
        holds=tuple(_holding(best.candidate, asked, factor) for factor in FACTORS),
        parameters_best=_parameters(best.candidate, instance, question),
        commands=tuple(az_commands(best.candidate, settings)),
    )


def _frontier(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The frontier, thinned out where it is long, cheapest first.

    Refusing makes the answers that remain fast: plans that refuse more than 1 % are on it only where all do.
    """
    answering = [each for each in evaluations if each.shed_share <= MOST_REFUSED] or evaluations
    kept = sorted(
        (each for each in pareto(answering) if math.isfinite(each.p99_s)),
        key=lambda each: each.usd_per_month,
    )
    if len(kept) <= MOST_FRONTIER:
        return kept
    places = np.unique(np.linspace(0, len(kept) - 1, MOST_FRONTIER).round().astype(int))
    return [kept[place] for place in places.tolist()]


def _holding(candidate: Candidate, asked: Question, factor: float) -> Holding:
    rng = np.random.default_rng(asked.seed)
    rate_per_s = asked.rate_per_s * factor
    arrivals_s = replay(asked.arrivals_s, rate_per_s=rate_per_s, duration_s=asked.duration_s, rng=rng)
    each = _evaluated(candidate, replace(asked, arrivals_s=arrivals_s))
    return Holding(factor=factor, keeps=each.keeps(asked.promise), slo_share=each.slo_share)


def _candidate(setup: Setup, instance: InstanceModel) -> Candidate:
    plan = PremiumPlan(
        sku=sku_named(setup.sku),
        always_ready=setup.always_ready,
        pre_warmed=setup.pre_warmed,
        max_burst=setup.max_burst,
    )
    return Candidate(plan=plan, ladder=tuple(variant.name for variant in instance.variants))


def _evaluated(candidate: Candidate, asked: Question) -> Evaluation:
    return evaluate(
        candidate,
        asked.arrivals_s,
        instance=asked.instances[candidate.plan.sku.name],
        slo_s=asked.promise.slo_s,
        duration_s=asked.duration_s,
        prices=asked.prices,
        seed=asked.seed,
    )


def _with_intervals(each: Evaluation, asked: Question, seeds: Seeds) -> Point:
    figures = seeds.intervals(each.candidate)
    return msgspec.structs.replace(
        _point(each, asked.promise),
        p99_interval=_figure(figures["p99_s"], 1e3),
        usd_interval=_figure(figures["usd_per_month"]),
        slo_interval=_figure(figures["slo_share"]),
    )


def _figure(estimate: Estimate, scale: float = 1.0) -> Figure:
    mean, low, high = (value * scale for value in (estimate.mean, estimate.low, estimate.high))
    return Figure(mean=_finite(mean), low=_finite(max(low, 0.0)), high=_finite(high))


def _point(each: Evaluation, promise: Promise) -> Point:
    plan = each.candidate.plan
    return Point(
        setup=Setup(
            sku=plan.sku.name,
            always_ready=plan.always_ready,
            pre_warmed=plan.pre_warmed,
            max_burst=plan.max_burst,
        ),
        ladder=each.candidate.ladder,
        p50_ms=_finite(each.p50_s * 1e3),
        p99_ms=_finite(each.p99_s * 1e3),
        slo_share=each.slo_share,
        cold_share=each.cold_share,
        shed_share=each.shed_share,
        quality=each.quality,
        usd_month=each.usd_per_month,
        n_instances=each.n_instances,
        allocated_s={name: float(spent_s) for name, spent_s in each.allocated_s.items()},
        keeps=each.keeps(promise),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _parameters(candidate: Candidate, instance: InstanceModel, question: PlanQuestion) -> str:
    settings = app_settings(candidate, instance, slo_s=question.slo_ms / 1e3)
    encoded = msgspec.json.encode(bicep_parameters(candidate, settings))
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def _notes(traffic: Traffic, instances: Mapping[str, InstanceModel]) -> tuple[str, ...]:
    derived = [note for instance in instances.values() for note in instance.extrapolated]
    sampled = [traffic.left_out.replace("; hours are not planned", "")] if traffic.left_out else []
    return tuple(dict.fromkeys(sampled + derived))


def _in_words(message: str) -> str:
    for option, words in REMEDIES.items():
        message = message.replace(option, words)
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")


def main() -> None:
    """Answer the question on standard input."""
    os.nice(5)
    encoder = msgspec.json.Encoder()

    def write(line: Line) -> None:
        sys.stdout.buffer.write(encoder.encode(line) + b"\n")
        sys.stdout.buffer.flush()

    question = msgspec.json.decode(sys.stdin.buffer.read(), type=PlanQuestion)
    try:
        found = answer(question, say=lambda progress: write(Line(progress=progress)))
    except ValueError as err:
        found = PlanAnswer(error=_in_words(" ".join(str(err).split())))
    write(Line(answer=found))


if __name__ == "__main__":
    main()
