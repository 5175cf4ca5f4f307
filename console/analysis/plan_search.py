"""The planner in a process of its own: a question on standard input, progress and an answer on standard output.

A search keeps a processor busy for seconds, which the console's process has not: it answers everybody who looks.
`plan_process` starts it.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec
import numpy as np

from console.analysis.plan_inputs import arrivals_of, measurements_of, most_simulated
from console.analysis.plan_points import candidate_of, frontier_of, parameters_of, point_of, with_intervals
from console.analysis.plan_question import Holding, Line, PlanAnswer, PlanQuestion, Point, Progress
from planner.advice import app_settings, az_commands
from planner.arrivals import replay
from planner.choice import NoPlan, choose
from planner.edge import cloud_traffic
from planner.evaluation import Candidate, Evaluation, Promise, evaluate
from planner.measurements import Measurements, MeasurementsError, instance_model
from planner.model import InstanceModel
from planner.naive import sized_for_peak
from planner.planning import CEILING, Seeds
from planner.plans import MOST_ALWAYS_READY, SKUS, sku_named
from planner.price_list import read_prices
from planner.sampling import sample_of
from planner.search import Question, SearchSpace, check_attainable, ladders_of, search
from planner.traffic import Traffic

N_SEEDS = 5
MOST_OTHERS = 300
"Plans beside the frontier that are handed back."
FACTORS = (1.25, 1.5, 2.0)
"More of the same traffic, under which the recommended plan is tried."
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
    wanted = arrived.traffic
    if question.edge_share:
        wanted = cloud_traffic(wanted, share=question.edge_share)
    traffic = sample_of(wanted, seed=0, most=most_simulated(wanted, question.goal))
    asked, knows_quality = _planner_question(question, measured, traffic)
    some = next(iter(asked.instances.values()))
    base = PlanAnswer(
        traffic=wanted.name,
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
    if question.goal == "model":
        return msgspec.structs.replace(base, today=today, took_s=time.monotonic() - began_s)
    found = _search(question, asked, seeds, base, say=say)
    return msgspec.structs.replace(
        found,
        today=today,
        parameters_today=parameters_of(candidate_of(question.today, some), some, question)
        if question.today
        else "",
        took_s=time.monotonic() - began_s,
    )


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
    candidate = candidate_of(question.today, asked.instances[question.today.sku])
    return with_intervals(_evaluated(candidate, asked), asked, seeds)


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
        peak=point_of(peak, asked.promise) if peak is not None else None,
    )
    say(Progress(what="Confirming with other seeds"))
    best: Evaluation | None = None
    why_none = ""
    try:
        best = choose(found.evaluations, asked.promise, confirm=seeds.confirms).cheapest
    except NoPlan as err:
        why_none = _in_words(str(err))
    frontier = frontier_of(found.evaluations)
    on_it = {id(each) for each in frontier}
    others = [each for each in found.evaluations if id(each) not in on_it and each is not best]
    step = max(1, math.ceil(len(others) / MOST_OTHERS))
    points = []
    for number, each in enumerate(frontier):
        say(Progress(what="Intervals of the frontier", done=number, of=len(frontier)))
        points.append(with_intervals(each, asked, seeds))
    changed: PlanAnswer = msgspec.structs.replace(
        base,
        why_none=why_none,
        frontier=tuple(points),
        others=tuple(point_of(each, asked.promise) for each in others[::step]),
    )
    if best is None:
        return changed
    instance = asked.instances[best.candidate.plan.sku.name]
    settings = app_settings(best.candidate, instance, slo_s=asked.promise.slo_s)
    return msgspec.structs.replace(
        changed,
        best=with_intervals(best, asked, seeds),
        holds=tuple(_holding(best.candidate, asked, factor) for factor in FACTORS),
        parameters_best=parameters_of(best.candidate, instance, question),
        commands=tuple(az_commands(best.candidate, settings)),
    )


def _holding(candidate: Candidate, asked: Question, factor: float) -> Holding:
    rng = np.random.default_rng(asked.seed)
    rate_per_s = asked.rate_per_s * factor
    arrivals_s = replay(asked.arrivals_s, rate_per_s=rate_per_s, duration_s=asked.duration_s, rng=rng)
    each = _evaluated(candidate, replace(asked, arrivals_s=arrivals_s))
    return Holding(factor=factor, keeps=each.keeps(asked.promise), slo_share=each.slo_share)


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
