"""What a request and a start take on the emulated plan, as measurements for the planner.

Of requests that found their instance empty, and that waited for no start:

    model run    the phase `infer` of the answer's `server-timing`
    overhead     its other phases, and the host's share
    network      what the client saw beyond these: sender, front end, and what the shared cores cost

Each of these takes longer the longer the instance had been idle: caches cool, and cores and event loops fall asleep.
Requests are put in classes by the pause before them (`IdleSlowdown`), with as many in each; the distributions are
those of the fastest class, and the medians of the others give its factors.

Larger batches take what one takes, times the ratio of bare runs. A start lasts from the allocation to readiness, as
the plan tells of it.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.observed import Observed
from planner.measurements import (
    MeasuredInstance,
    MeasuredSlowdown,
    MeasuredVariant,
    Measurements,
    QuantilesMs,
    Runs,
    Unseen,
)
from recserve.bootstrap import build_service
from recserve.inference.batcher import pad
from recserve.settings import read_settings
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

VARIANT = "student"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
N_BARE, N_BURN_IN = 60, 20
N_QUANTILES = 201
N_CLASSES = 16
LEAST_IN_CLASS = 200
"Requests; a median of so many is within some 3 % of that of all."
PHASE = re.compile(r"(\w+);dur=([0-9.]+)")


def calibrate(
    runs: Sequence[Observed],
    ready_ms: Sequence[float],
    *,
    bare_ms: Mapping[int, float],
    host_ms: float = Unseen().host_ms,
) -> Measurements:
    """Measurements of an EP1.

    Args:
        runs: what callers saw of the plan.
        ready_ms: of every start beside load.
        bare_ms: of a bare model run, by batch size.
        host_ms: of a request, outside of the app and on the instance's core.

    Raises:
        ValueError: there is no request, or no start, to take anything from.
    """
    alone = [
        (observed.latency_s[number] * 1e3, phases_ms(observed.timing[number]))
        for observed in runs
        for number in np.flatnonzero(idle_s(observed) >= 0).tolist()
    ]
    if not (alone and ready_ms):
        raise ValueError(f"{len(alone)} requests that were alone, and {len(ready_ms)} starts; measure longer")
    latency_ms = np.array([latency for latency, _ in alone])
    app_ms = np.array([sum(phases.values()) for _, phases in alone])
    infer_ms = np.array([phases["infer"] for _, phases in alone])
    network_ms = np.maximum(latency_ms - app_ms - host_ms, 0.0)
    # An instance is done before its answer has come to the caller, and begins after the caller has sent.
    gap_ms = np.concatenate([idle[idle >= 0] * 1e3 for idle in map(idle_s, runs)]) + np.median(network_ms)
    parts_ms = {"overhead": app_ms - infer_ms + host_ms, "run": infer_ms, "network": network_ms}
    slowdown = slowdown_of(gap_ms, parts_ms)
    busy_ms = {part: quantiles_ms(spent) for part, spent in without_pause(gap_ms, parts_ms, slowdown).items()}
    instance = MeasuredInstance(
        sku="EP1",
        overhead_ms=busy_ms["overhead"],
        network_ms=busy_ms["network"],
        idle_slowdown=slowdown,
        variants=(
            MeasuredVariant(
                name=VARIANT,
                runs=tuple(
                    Runs(
                        batch_size=size,
                        run_ms=tuple(value * bare_ms[size] / bare_ms[1] for value in busy_ms["run"]),
                        n=len(alone) if size == 1 else None,
                    )
                    for size in sorted(bare_ms)
                ),
            ),
        ),
        ready_ms=tuple(sorted(ready_ms)),
        notes=(
            "instances shared two cores with sender and front end",
            "batches of more than one were not measured in service: they take what bare runs do, in proportion",
        ),
    )
    return Measurements(
        measured=datetime.now(UTC).date().isoformat(), source="the emulated plan", instances=(instance,)
    )


def idle_s(observed: Observed) -> NDArray[np.float64]:
    """How long a request's instance had nothing to do before it, as callers see it, (n_requests,).

    Returns:
        Negative where somebody was before it; inf for the first of an instance; nan for those that got no answer or
        waited for a start.
    """
    idle = np.full(len(observed.status), np.nan)
    busy_until_s: dict[str, float] = {}
    for number, instance in enumerate(observed.instance):
        if observed.status[number] != 200:
            continue
        at_s = float(observed.scheduled_s[number])
        before_s = busy_until_s.get(instance, -np.inf)
        if observed.held_ms[number] == 0:
            idle[number] = at_s - before_s
        busy_until_s[instance] = max(before_s, at_s + float(observed.latency_s[number]))
    return idle


def slowdown_of(
    gap_ms: NDArray[np.float64], parts_ms: Mapping[str, NDArray[np.float64]]
) -> tuple[MeasuredSlowdown, ...]:
    """How much longer each part of a request takes after a pause of its instance.

    Args:
        gap_ms: the pause before, inf where it is unknown, (n,).
        parts_ms: by name, what it took, (n,).

    Returns:
        A point for each class of pauses, at its median; none where there are too few requests for two classes.
    """
    known = np.flatnonzero(np.isfinite(gap_ms))
    n_classes = min(N_CLASSES, len(known) // LEAST_IN_CLASS)
    if n_classes < 2:
        return ()
    classes = np.array_split(known[np.argsort(gap_ms[known])], n_classes)
    medians = {part: [float(np.median(spent[each])) for each in classes] for part, spent in parts_ms.items()}
    return tuple(
        MeasuredSlowdown(
            gap_ms=round(float(np.median(gap_ms[each])), 4),
            **{part: round(median[place] / min(median), 4) for part, median in medians.items()},
        )
        for place, each in enumerate(classes)
    )


def without_pause(
    gap_ms: NDArray[np.float64],
    parts_ms: Mapping[str, NDArray[np.float64]],
    slowdown: Sequence[MeasuredSlowdown],
) -> dict[str, NDArray[np.float64]]:
    """What the parts would have taken on an instance that was not idle before, each (n,)."""
    if not slowdown:
        return dict(parts_ms)
    gaps_ms = [each.gap_ms for each in slowdown]
    return {
        part: spent / np.interp(gap_ms, gaps_ms, [getattr(each, part) for each in slowdown])
        for part, spent in parts_ms.items()
    }


def phases_ms(server_timing: str) -> dict[str, float]:
    """Phases of a `server-timing` header; what comes twice is added up."""
    phases: dict[str, float] = {}
    for phase, spent_ms in PHASE.findall(server_timing):
        phases[phase] = phases.get(phase, 0.0) + float(spent_ms)
    return phases


def quantiles_ms(samples_ms: NDArray[np.float64], *, n: int = N_QUANTILES) -> QuantilesMs:
    """Quantiles at evenly spaced probabilities; the last is inside the last piece, so that one outlier is no trend."""
    probabilities = np.linspace(0, 1, n)
    probabilities[-1] = 1 - 1 / (4 * n)
    return tuple(round(float(value), 4) for value in np.quantile(samples_ms, probabilities))


def bare_runs_ms(models_dir: Path, histories: Sequence[NDArray[np.int64]], state: Path) -> dict[int, float]:
    """Median of a bare model run by batch size, on one core."""
    settings = read_settings({"RECSERVE_MODELS_DIR": str(models_dir), "RECSERVE_STATE_PATH": str(state)})
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        session = build_service(settings, Timeline(names.COLD_START)).models.sessions[VARIANT]
        medians_ms = {}
        for size in BATCH_SIZES:
            batch = pad([histories[number % len(histories)] for number in range(size)])
            medians_ms[size] = _median_ms(lambda batch=batch: session.recommend(batch, batch, 10))  # type: ignore[misc]
    finally:
        os.sched_setaffinity(0, cores)
    return medians_ms


def _median_ms(run: Callable[[], object]) -> float:
    spent_ms = []
    for _ in range(N_BURN_IN + N_BARE):
        started_s = perf_counter()
        run()
        spent_ms.append((perf_counter() - started_s) * 1e3)
    return float(np.median(spent_ms[N_BURN_IN:]))
