"""How fast and how good devices are: from options, or from what `python -m benchmarks` measured of a client.

A result file has, at its top or below `figures`,

    {"local": {"p50_ms": 1.3, "p99_ms": 3.9}, "wire_bytes": 700000, "ndcg_10": 0.089}

of which `local` is needed. Between the two percentiles times are taken to be lognormal. What nobody measured is
refused, or, when extrapolation is asked for, derived so that it errs on the slow side, and named in `Edge.guesses`:

    no times         those of the fastest variant's run alone, `SLOWER` times
    no p99           `TAIL` times the median
    no bundle size   `LARGEST_BUNDLE_BYTES`, which no bundle exceeds
"""

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

from planner.bounds import run_mean_s
from planner.edge import COMPARE_EVERY, Downloads, Edge, check_share
from planner.manifest_cards import read_cards
from planner.measurements import MeasurementsError
from planner.model import InstanceModel, Quantiles, quantiles_at

RESULT = "edge_browser.json"
"That stands for devices where no other file is named."
N_QUANTILES = 201
SLOWER = 10.0
"A device against an instance, where none was measured: WebAssembly on an old telephone."
TAIL = 4.0
LARGEST_BUNDLE_BYTES = 1_000_000


class Local(msgspec.Struct, frozen=True):
    """Times of answers by a device."""

    p50_ms: float
    p99_ms: float


class EdgeFigures(msgspec.Struct, frozen=True):
    """What a result file says of a client."""

    local: Local
    wire_bytes: int | None = None
    ndcg_10: float | None = None


class _Result(msgspec.Struct, frozen=True):
    figures: EdgeFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """What was said of devices."""

    share: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    results: Path | None = None
    "None: `RESULT`, if it is there."
    round_trip_ms: float | None = None
    ndcg_10: float | None = None
    n_devices: int = 0
    "0: nobody said."
    updates_per_month: float = 4.0
    bundle_kb: float | None = None
    compare_every: int = COMPARE_EVERY


def read_edge_figures(path: Path) -> EdgeFigures:
    """Read a result file.

    Raises:
        MeasurementsError: it cannot be read, or has no times of a client.
    """
    remedy = "name one with --edge-results, or give --edge-p50-ms and --edge-p99-ms"
    try:
        content = path.read_bytes()
    except OSError as err:
        raise MeasurementsError(f"cannot read edge results {str(path)!r}: {err.strerror}; {remedy}") from err
    try:
        return msgspec.json.decode(content, type=_Result).figures
    except msgspec.DecodeError:
        pass
    try:
        return msgspec.json.decode(content, type=EdgeFigures)
    except msgspec.DecodeError as err:
        raise MeasurementsError(f"{path} says nothing of answers by devices: {err}; {remedy}") from err


def edge_of(
    options: EdgeOptions, instance: InstanceModel, *, results: Path, manifest: Path, extrapolates: bool
) -> Edge:
    """Devices, from what was said and measured of them.

    Args:
        options: what was said; it has the last word.
        instance: whose runs stand for a device's where nothing was measured.
        results: folder of benchmark results.
        manifest: of the served models; `edge/` beside it has the bundle's.
        extrapolates: whether what was not measured may be derived.

    Raises:
        MeasurementsError: it was not measured, and may not be derived.
        ValueError: a number is out of range.
    """
    check_share(options.share)
    guesses: list[str] = []
    notes: list[str] = []
    path = options.results or results / RESULT
    figures: EdgeFigures | None = None
    if options.results is not None or (options.p50_ms is None and path.exists()):
        figures = read_edge_figures(path)
        if options.p50_ms is None:
            guesses.append(f"devices are taken to be as fast as the machine of {path}")
    answer_s = _answer_s(options, figures, instance, guesses, extrapolates=extrapolates)
    if options.round_trip_ms is None:
        notes.append("users are taken to sit beside the cloud; say how far off they are with --round-trip-ms")
    ndcg_10 = options.ndcg_10
    if ndcg_10 is None:
        ndcg_10 = figures.ndcg_10 if figures and figures.ndcg_10 is not None else _card_ndcg_10(manifest)
    if ndcg_10 is None:
        notes.append("the quality of answers by devices is not known; give it with --edge-ndcg")
    return Edge(
        share=options.share,
        answer_s=answer_s,
        round_trip_s=(options.round_trip_ms or 0.0) / 1e3,
        ndcg_10=ndcg_10,
        compare_every=options.compare_every,
        downloads=_downloads(options, figures, guesses, notes, extrapolates=extrapolates),
        guesses=tuple(guesses),
        notes=tuple(notes),
    )


def lognormal_s(p50_ms: float, p99_ms: float) -> Quantiles:
    """A lognormal distribution with these percentiles.

    Raises:
        MeasurementsError: they are no times, or the median is above the 99th percentile.
    """
    if not (math.isfinite(p50_ms) and p50_ms > 0 and math.isfinite(p99_ms)):
        raise MeasurementsError(
            f"answers by devices in {p50_ms:g} and {p99_ms:g} ms; times are finite, above 0"
        )
    if p99_ms < p50_ms:
        raise MeasurementsError(f"a p99 of {p99_ms:g} ms is below the median of {p50_ms:g} ms; swap them")
    normal = NormalDist()
    sigma = math.log(p99_ms / p50_ms) / normal.inv_cdf(0.99)

    def inverse(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        clipped = np.maximum(probabilities, 1 / (4 * N_QUANTILES))
        z = np.array([normal.inv_cdf(each) for each in clipped.tolist()])
        return p50_ms / 1e3 * np.exp(sigma * z)

    return quantiles_at(inverse, n=N_QUANTILES)


def _answer_s(
    options: EdgeOptions,
    figures: EdgeFigures | None,
    instance: InstanceModel,
    guesses: list[str],
    *,
    extrapolates: bool,
) -> Quantiles:
    p50_ms, p99_ms = options.p50_ms, options.p99_ms
    if p50_ms is None and figures is not None:
        p50_ms, p99_ms = figures.local.p50_ms, figures.local.p99_ms if p99_ms is None else p99_ms
    if p50_ms is None:
        if not extrapolates:
            raise MeasurementsError(
                "answers by devices were never measured; give --edge-p50-ms and --edge-p99-ms, name a result file "
                "with --edge-results, or accept a guess with --extrapolate"
            )
        p50_ms = SLOWER * 1e3 * min(run_mean_s(variant, 1) for variant in instance.variants)
        guesses.append(
            f"devices were never measured; they are taken to need {p50_ms:.3g} ms, {SLOWER:g} times the fastest "
            "variant's run on an instance"
        )
    if p99_ms is None:
        if not extrapolates:
            raise MeasurementsError(
                f"a median of {p50_ms:g} ms alone says nothing of the tail of devices; give --edge-p99-ms, or accept "
                "a guess with --extrapolate"
            )
        p99_ms = TAIL * p50_ms
        guesses.append(f"the p99 of devices was never measured; it is taken to be {TAIL:g} times the median")
    return lognormal_s(p50_ms, p99_ms)


def _downloads(
    options: EdgeOptions,
    figures: EdgeFigures | None,
    guesses: list[str],
    notes: list[str],
    *,
    extrapolates: bool,
) -> Downloads | None:
    if not options.n_devices:
        notes.append("downloads of the bundle are not priced; say how many devices with --edge-devices")
        return None
    n_bytes = figures.wire_bytes if figures else None
    if options.bundle_kb is not None:
        n_bytes = round(options.bundle_kb * 1000) if math.isfinite(options.bundle_kb) else 0
    if n_bytes is None:
        if not extrapolates:
            raise MeasurementsError(
                "the size of the bundle is not known; give --edge-bundle-kb, or accept the largest there may be "
                "with --extrapolate"
            )
        n_bytes = LARGEST_BUNDLE_BYTES
        guesses.append(f"the bundle's size was never measured; it is taken to be {n_bytes / 1e3:,.0f} kB")
    return Downloads(
        n_devices=options.n_devices, updates_per_month=options.updates_per_month, bundle_bytes=n_bytes
    )


def _card_ndcg_10(manifest: Path) -> float | None:
    """Quality that the bundle's own manifest tells; None where there is none."""
    path = manifest.parent / "edge" / manifest.name
    if not path.exists():
        return None
    cards, serving = read_cards(path)
    return next((card.ndcg_10 for card in cards if card.name == serving[0]), None)
