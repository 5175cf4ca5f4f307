"""What was measured of the service: the file that `python -m planner measure` writes and `plan` reads.

    {"format": 1, "measured": "2026-11-22", "source": "by hand", "ladder": ["student", "popular"],
     "instances": [{"sku": "EP1", "overhead_ms": [0.2], "ready_ms": [900, 1100, 1800], "concurrency_limit": 64,
       "variants": [{"name": "student", "ndcg_10": 0.09, "runs": [{"batch_size": 1, "run_ms": [0.2, 0.25, 0.6]}]},
                    {"name": "popular", "ndcg_10": 0.02, "runs": [{"batch_size": 1, "run_ms": [0.03]}]}]}]}

A list of times is the quantiles of a distribution at evenly spaced probabilities, least first; one time alone
is a constant. What was never measured is refused, or, when extrapolation is asked for, derived so that it
errs on the slow side, and named in `InstanceModel.extrapolated`:

    a larger size      has a worker process for each core of the nearest smaller one that was measured, as fast as there
    a smaller size     is slower than the nearest larger one by the ratio of their cores
    a variant          takes what its model card says, times the slowest ratio of measured to model card
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from planner.model import ColdStartModel, IdleSlowdown, InstanceModel, Quantiles, VariantModel, mean_of
from planner.plans import SKUS, sku_named

TimeMs = Annotated[float, Meta(ge=0)]
QuantilesMs = Annotated[tuple[TimeMs, ...], Meta(min_length=1)]
"Ascending, at evenly spaced probabilities from 0 to 1."
Count = Annotated[int, Meta(ge=1)]
Factor = Annotated[float, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class MeasurementsError(ValueError):
    """Measurements that cannot be used; the message names value and remedy."""


class Runs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Model runs of one batch size."""

    batch_size: Count
    run_ms: QuantilesMs
    "Of one run, whatever its size."
    n: Count | None = None
    "How many were measured."


class MeasuredVariant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    ndcg_10: Share | None = None
    runs: Annotated[tuple[Runs, ...], Meta(min_length=1)]
    "By batch size, ascending."


class MeasuredSlowdown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many times as long a request takes on a process that was idle for so long."""

    gap_ms: TimeMs
    overhead: Factor = 1.0
    run: Factor = 1.0
    network: Factor = 1.0


class MeasuredInstance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One instance of a plan's size."""

    sku: str
    overhead_ms: QuantilesMs
    "A request's time outside of queue and model run, the host's share included."
    variants: Annotated[tuple[MeasuredVariant, ...], Meta(min_length=1)]
    ready_ms: QuantilesMs
    "From the start of a process to its readiness."
    allocation_ms: TimeMs = 0.0
    "From the decision to add an instance to the start of its process, which no instance can measure."
    concurrency_limit: Count = 64
    max_batch: Count = 32
    network_ms: TimeMs | QuantilesMs = 0.0
    "Between client and instance, there and back, the front end included; one time, or quantiles."
    idle_slowdown: tuple[MeasuredSlowdown, ...] = ()
    "Of the times above, which are those of a process without a pause; gaps ascend. Empty: idleness costs nothing."
    notes: tuple[str, ...] = ()
    "What these figures leave out or take for granted; shown with every plan that rests on them."


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model card says of a variant that may not have been measured in service."""

    name: str
    ndcg_10: Share | None = None
    latency_ms: dict[str, TimeMs]
    "Median of a bare run, by batch size."


class Measurements(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that plans rest on."""

    format: Literal[1] = 1
    measured: str
    "Date."
    source: str
    ladder: tuple[str, ...] = ()
    "Variants that are served, best first; empty: those of the first instance."
    instances: Annotated[tuple[MeasuredInstance, ...], Meta(min_length=1)]
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """What no telemetry of ours contains.

    Raises:
        MeasurementsError: a time is negative.
    """

    host_ms: float = 0.09
    "Of the host and the worker, a request, on the instance's core: an empty function behind the stand-in host."
    network_ms: float = 0.0
    allocation_ms: float = 0.0
    max_batch: int = 32

    def __post_init__(self) -> None:
        for name in ("host_ms", "network_ms", "allocation_ms"):
            if not 0 <= getattr(self, name) < float("inf"):
                option = f"--{name.replace('_', '-')}"
                raise MeasurementsError(f"{option} {getattr(self, name):g}; times are finite, 0 or more")
        if self.max_batch < 1:
            raise MeasurementsError(f"--max-batch {self.max_batch}; 1 turns batching off")


def read_measurements(path: Path) -> Measurements:
    """Read a measurements file.

    Raises:
        MeasurementsError: it cannot be read, or says what cannot be.
    """
    remedy = "write one with `python -m planner measure`, or by hand as docs/planning.md shows"
    try:
        measurements = msgspec.json.decode(path.read_bytes(), type=Measurements)
    except OSError as err:
        raise MeasurementsError(f"cannot read measurements {str(path)!r}: {err.strerror}; {remedy}") from err
    except msgspec.DecodeError as err:
        raise MeasurementsError(f"{path} is no measurements file: {err}; {remedy}") from err
    for instance in measurements.instances:
        try:
            sku_named(instance.sku)
            _model_of(instance)
        except ValueError as err:
            raise MeasurementsError(f"{path}: {err}; {remedy}") from err
    return measurements


def write_measurements(measurements: Measurements, path: Path) -> None:
    """Write a measurements file.

    Raises:
        MeasurementsError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(measurements), indent=1) + b"\n")
    except OSError as err:
        raise MeasurementsError(f"cannot write {str(path)!r}: {err.strerror}; name another file") from err


def instance_model(
    measurements: Measurements,
    sku: str,
    *,
    ladder: Sequence[str] = (),
    extrapolates: bool = False,
) -> InstanceModel:
    """An instance of a size with a ladder of variants, for the simulator.

    Args:
        measurements: what there is.
        sku: EP1, EP2 or EP3.
        ladder: variants, best first; empty: the measured ladder.
        extrapolates: whether what was not measured may be derived.

    Returns:
        What was measured; of a larger size the smaller one's, whose processes the simulator multiplies.

    Raises:
        MeasurementsError: it was not measured, and may not be derived.
    """
    wanted = sku_named(sku).name
    measured = {sku_named(each.sku).name: each for each in measurements.instances}
    if wanted in measured:
        model = _model_of(measured[wanted])
    elif extrapolates:
        model = _resized(measured, wanted)
    else:
        raise MeasurementsError(
            f"{wanted} was never measured, only {', '.join(measured)}; measure it, plan with --sku "
            f"{next(iter(measured))}, or accept a guess with --extrapolate"
        )
    names = tuple(ladder) or measurements.ladder or tuple(each.name for each in model.variants)
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise MeasurementsError(f"the ladder names {', '.join(sorted(repeated))} twice; name each rung once")
    return _with_ladder(model, names, measurements.cards, extrapolates=extrapolates)


def _model_of(instance: MeasuredInstance) -> InstanceModel:
    guesses = list(instance.notes)
    for variant in instance.variants:
        largest = variant.runs[-1].batch_size
        if largest < instance.max_batch:
            guesses.append(
                f"{variant.name}: batches of more than {largest} were never measured; "
                "their time is drawn out along a straight line"
            )
    return InstanceModel(
        sku=sku_named(instance.sku).name,
        overhead_s=_seconds(instance.overhead_ms),
        variants=tuple(_variant_model(variant) for variant in instance.variants),
        cold_start=ColdStartModel(
            ready_s=tuple((ready + instance.allocation_ms) / 1e3 for ready in instance.ready_ms)
        ),
        concurrency_limit=instance.concurrency_limit,
        max_batch=instance.max_batch,
        network_s=_seconds(network_quantiles_ms(instance)),
        idle_slowdown=tuple(
            IdleSlowdown(gap_s=each.gap_ms / 1e3, overhead=each.overhead, run=each.run, network=each.network)
            for each in instance.idle_slowdown
        ),
        extrapolated=tuple(guesses),
    )


def _variant_model(variant: MeasuredVariant) -> VariantModel:
    return VariantModel(
        name=variant.name,
        ndcg_10=variant.ndcg_10,
        batch_sizes=tuple(runs.batch_size for runs in variant.runs),
        run_s=tuple(_seconds(runs.run_ms) for runs in variant.runs),
    )


def network_quantiles_ms(instance: MeasuredInstance) -> QuantilesMs:
    """The way's time, also where it is one number."""
    time_ms = instance.network_ms
    return time_ms if isinstance(time_ms, tuple) else (time_ms,)


def _seconds(quantiles_ms: QuantilesMs) -> Quantiles:
    return tuple(value / 1e3 for value in quantiles_ms)


def _resized(measured: dict[str, MeasuredInstance], wanted: str) -> InstanceModel:
    cores = SKUS[wanted].vcpu
    smaller = [name for name in measured if SKUS[name].vcpu < cores]
    source = max(smaller, key=lambda name: SKUS[name].vcpu) if smaller else ""
    if source:
        model = _model_of(measured[source])
        n_processes = cores // SKUS[source].vcpu
        said = f"{wanted} was never measured; it is taken to run {n_processes} processes, each as the one of {source}"
        return replace(model, extrapolated=(*model.extrapolated, said))
    source = min(measured, key=lambda name: SKUS[name].vcpu)
    ratio = SKUS[source].vcpu / cores
    model = _model_of(measured[source])
    return replace(
        model,
        sku=wanted,
        overhead_s=_scaled(model.overhead_s, ratio),
        variants=tuple(
            replace(variant, run_s=tuple(_scaled(run, ratio) for run in variant.run_s))
            for variant in model.variants
        ),
        cold_start=ColdStartModel(ready_s=_scaled(model.cold_start.ready_s, ratio)),
        extrapolated=(
            *model.extrapolated,
            f"{wanted} was never measured; it is taken to be {ratio:g} times as slow as {source}",
        ),
    )


def _scaled(quantiles: Quantiles, factor: float) -> Quantiles:
    return tuple(value * factor for value in quantiles)


def _with_ladder(
    model: InstanceModel, names: Sequence[str], cards: Sequence[Card], *, extrapolates: bool
) -> InstanceModel:
    measured = {variant.name: variant for variant in model.variants}
    on_card = {card.name: card for card in cards}
    variants: list[VariantModel] = []
    guesses: list[str] = []
    for name in names:
        if name in measured:
            variants.append(measured[name])
            continue
        if not (extrapolates and name in on_card):
            remedy = "accept a guess from its model card with --extrapolate, or " if name in on_card else ""
            raise MeasurementsError(
                f"variant {name!r} was never measured on {model.sku}, only {', '.join(measured)}; {remedy}"
                "measure it, or leave it out of --ladder"
            )
        ratio = _slowdown(model.variants, on_card)
        variants.append(_from_card(on_card[name], ratio))
        guesses.append(
            f"{name} was never measured in service; its model card's times are taken {ratio:.2f} times"
        )
    kept = [said for said in model.extrapolated if said.partition(":")[0] not in measured.keys() - set(names)]
    return replace(model, variants=tuple(variants), extrapolated=(*kept, *guesses))


def _slowdown(variants: Sequence[VariantModel], cards: dict[str, Card]) -> float:
    """The largest ratio of a measured mean to the model card's time, of all that have both; at least 1."""
    ratios = [
        mean_of(run) * 1e3 / cards[variant.name].latency_ms[str(size)]
        for variant in variants
        if variant.name in cards
        for size, run in zip(variant.batch_sizes, variant.run_s, strict=True)
        if cards[variant.name].latency_ms.get(str(size))
    ]
    return max([1.0, *ratios])


def _from_card(card: Card, ratio: float) -> VariantModel:
    times_s = sorted((int(size), time_ms / 1e3 * ratio) for size, time_ms in card.latency_ms.items())
    return VariantModel(
        name=card.name,
        ndcg_10=card.ndcg_10,
        batch_sizes=tuple(size for size, _ in times_s),
        run_s=tuple((time_s,) for _, time_s in times_s),
    )
