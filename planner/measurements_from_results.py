"""Measurements from what `python -m benchmarks` and training left: result files and a model manifest.

    model runs       the manifest's latency by batch size, spread as the bare run of `overhead.json` is
    overhead         `overhead.json`, and the host's share, which is passed in
    cold start       `coldstart.json`: least, median and most
    network          `front_end.json`: the median through the front end, less overhead and model run

Result files hold three percentiles of what they measured. In between, times are taken to be lognormal, with
the median and the 99th percentile of the file.
"""

import math
from pathlib import Path
from statistics import NormalDist
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from planner.manifest_cards import read_cards
from planner.measurements import (
    Card,
    MeasuredInstance,
    MeasuredVariant,
    Measurements,
    MeasurementsError,
    QuantilesMs,
    Runs,
    Unseen,
)
from planner.model import quantiles_at
from planner.plans import sku_named

N_QUANTILES = 101

T = TypeVar("T")


class _Percentiles(msgspec.Struct, frozen=True):
    p50_ms: float
    p99_ms: float


class _Machine(msgspec.Struct, frozen=True):
    cores: int


class _OverheadFigures(msgspec.Struct, frozen=True):
    session_run: _Percentiles
    overhead: _Percentiles
    variant: str


class _Overhead(msgspec.Struct, frozen=True):
    date: str
    machine: _Machine
    figures: _OverheadFigures


class _Starts(msgspec.Struct, frozen=True):
    least_ms: float
    median_ms: float
    most_ms: float


class _ColdStartFigures(msgspec.Struct, frozen=True):
    app: _Starts


class _ColdStart(msgspec.Struct, frozen=True):
    figures: _ColdStartFigures


class _FrontEndFigures(msgspec.Struct, frozen=True):
    front_end: _Percentiles


class _FrontEnd(msgspec.Struct, frozen=True):
    figures: _FrontEndFigures


def measure_results(
    results: Path, manifest: Path, *, sku: str, unseen: Unseen | None = None, concurrency_limit: int = 64
) -> Measurements:
    """Measurements that result files amount to.

    Args:
        results: folder with `overhead.json`, `coldstart.json` and `front_end.json`.
        manifest: of the models.
        sku: the size that the machine stands for.
        unseen: what to take for granted; a network time of 0 is told by `front_end.json`.
        concurrency_limit: `RECSERVE_MAX_IN_FLIGHT` of the instances.

    Raises:
        MeasurementsError: a file is missing, or is none.
    """
    unseen = unseen or Unseen()
    cards, serving = read_cards(manifest)
    overhead = _read(results, "overhead", _Overhead)
    starts = _read(results, "coldstart", _ColdStart).figures.app
    through = _read(results, "front_end", _FrontEnd).figures.front_end
    measured = overhead.figures
    spread = _spread(measured.session_run)
    size = sku_named(sku)
    notes = ["one machine's benchmarks stand for an instance; no Azure hardware was measured"]
    if overhead.machine.cores != size.vcpu:
        notes.append(
            f"{size.name} has {size.vcpu} vCPU; the benchmarks ran on {overhead.machine.cores} cores, one of them busy"
        )
    notes.append("the spread of run times is that of one variant's bare runs")
    alone_ms = measured.overhead.p50_ms + unseen.host_ms + measured.session_run.p50_ms
    instance = MeasuredInstance(
        sku=size.name,
        overhead_ms=tuple(
            value + unseen.host_ms
            for value in lognormal_quantiles(measured.overhead.p50_ms, _spread(measured.overhead))
        ),
        variants=tuple(_variant(card, spread) for card in cards),
        ready_ms=(starts.least_ms, starts.median_ms, starts.most_ms),
        allocation_ms=unseen.allocation_ms,
        concurrency_limit=concurrency_limit,
        max_batch=unseen.max_batch,
        network_ms=unseen.network_ms or max(0.0, through.p50_ms - alone_ms),
        notes=tuple(notes),
    )
    return Measurements(
        measured=overhead.date[:10],
        source=f"benchmark results in {results.name} and {manifest.name}",
        ladder=serving,
        instances=(instance,),
        cards=cards,
    )


def lognormal_quantiles(median: float, spread: float, *, n: int = N_QUANTILES) -> QuantilesMs:
    """Quantiles of a lognormal distribution.

    Args:
        median: its median, in the unit of the result.
        spread: standard deviation of the logarithm.
        n: how many quantiles.
    """
    normal = NormalDist()

    def inverse(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = np.maximum(probabilities, 1 / (4 * n))
        return np.array([median * math.exp(spread * normal.inv_cdf(p)) for p in inside])

    return quantiles_at(inverse, n=n)


def _spread(figures: _Percentiles) -> float:
    """Standard deviation of the logarithm that gives median and 99th percentile."""
    if not 0 < figures.p50_ms <= figures.p99_ms:
        raise MeasurementsError(f"percentiles {figures}; the median is above 0 and below the 99th")
    return math.log(figures.p99_ms / figures.p50_ms) / NormalDist().inv_cdf(0.99)


def _variant(card: Card, spread: float) -> MeasuredVariant:
    times = sorted((int(size), time_ms) for size, time_ms in card.latency_ms.items())
    return MeasuredVariant(
        name=card.name,
        ndcg_10=card.ndcg_10,
        runs=tuple(
            Runs(batch_size=size, run_ms=lognormal_quantiles(time_ms, spread)) for size, time_ms in times
        ),
    )


def _read(results: Path, name: str, kind: type[T]) -> T:
    path = results / f"{name}.json"
    remedy = f"run `python -m benchmarks {name.replace('_', '-')}`, or name the folder with --results"
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as err:
        raise MeasurementsError(f"cannot read {str(path)!r}: {err.strerror}; {remedy}") from err
    except msgspec.DecodeError as err:
        raise MeasurementsError(f"{path} is no such result: {err}; {remedy}") from err
