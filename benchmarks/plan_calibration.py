"""What a request and a start take on the emulated plan, as measurements for the planner.

Of requests that found their instance empty, and that waited for no start:

    model run    the phase `infer` of the answer's `server-timing`
    overhead     its other phases, and the host's share
    network      what the client saw beyond these: sender, front end, and what the shared cores cost

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
from planner.measurements import MeasuredInstance, MeasuredVariant, Measurements, QuantilesMs, Runs, Unseen
from recserve.bootstrap import build_service
from recserve.inference.batcher import pad
from recserve.settings import read_settings
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

VARIANT = "student"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
N_BARE, N_BURN_IN = 60, 20
N_QUANTILES = 201
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
        for number in np.flatnonzero(is_alone(observed)).tolist()
    ]
    if not (alone and ready_ms):
        raise ValueError(f"{len(alone)} requests that were alone, and {len(ready_ms)} starts; measure longer")
    latency_ms = np.array([latency for latency, _ in alone])
    app_ms = np.array([sum(phases.values()) for _, phases in alone])
    infer_ms = np.array([phases["infer"] for _, phases in alone])
    run_ms = quantiles_ms(infer_ms)
    instance = MeasuredInstance(
        sku="EP1",
        overhead_ms=quantiles_ms(app_ms - infer_ms + host_ms),
        network_ms=quantiles_ms(np.maximum(latency_ms - app_ms - host_ms, 0.0)),
        variants=(
            MeasuredVariant(
                name=VARIANT,
                runs=tuple(
                    Runs(
                        batch_size=size,
                        run_ms=tuple(value * bare_ms[size] / bare_ms[1] for value in run_ms),
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


def is_alone(observed: Observed) -> NDArray[np.bool_]:
    """Answered requests that waited for no start and found nobody before them in their instance, (n_requests,)."""
    alone = np.zeros(len(observed.status), bool)
    busy_until_s: dict[str, float] = {}
    for number, instance in enumerate(observed.instance):
        if observed.status[number] != 200:
            continue
        at_s = float(observed.scheduled_s[number])
        alone[number] = observed.held_ms[number] == 0 and at_s >= busy_until_s.get(instance, 0.0)
        busy_until_s[instance] = max(
            busy_until_s.get(instance, 0.0), at_s + float(observed.latency_s[number])
        )
    return alone


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
