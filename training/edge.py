"""The edge's bundle: a models directory small enough to be downloaded, made from one that serves.

    candidates  neural rungs with 8-bit weights, and the served one with fewer neighbours an item
    gate        beats counts, keeps `KEPT_QUALITY` of the served rung's NDCG@10, and shows `KEPT_ITEMS` of
                what it shows, all on test: whoever is handed over to the cloud should not see another list
    bundle      the smallest candidate that passes, and `popular` for whoever has no history

What is judged is what ships, by the protocol of `evaluation`. Sizes are those on the wire, after gzip.
"""

import gzip
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from numpy.typing import NDArray

from recserve.inference.manifest import (
    Manifest,
    Metrics,
    Unshipped,
    Variant,
    describe_file,
    read_manifest,
    read_verified,
)
from training.datasets import Dataset
from training.errors import TrainingError
from training.evaluation import (
    LIST_LENGTH,
    bootstrap_interval,
    discounted_gains,
    held_out_ranks,
    mean_ndcg_10,
)
from training.export import recommend_onnx
from training.ladder import make_judge, overlap
from training.measurement import longest, measure
from training.provenance import describe_run, read_commit
from training.release import CATALOGUE_NAME, require_replaceable, staging_beside, write_release
from training.sequences import Sequences, pad, read_sequences
from training.weights import count_neighbours, write_int8_weights

EDGE = "edge"
"The bundle's first rung."
WEB = "web"
"Folder of a bundle with what the demo page needs; a bundle that takes the place of another keeps it."
KEPT_QUALITY = 0.98
"Share of the served rung's NDCG@10 that the bundle's must keep."
KEPT_ITEMS = 0.95
"Share of the served rung's first ten that the bundle must show too, on average."
MOST_WIRE_BYTES = 1_000_000
"Of a bundle: graphs and catalogue."
FEWER_NEIGHBOURS = (50, 25)
GZIP_LEVEL = 9
SHIPS = "ships"


class EdgeError(TrainingError):
    """A bundle that cannot be made; the message says why and what would help."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's first rung against another, over the users of the test."""

    ndcg_10: float
    "Of the other."
    ndcg_10_low: float
    ndcg_10_high: float
    difference: float
    "Mean of NDCG@10 of the bundle less that of the other, user by user."
    difference_low: float
    "Lower end of its bootstrap 95 % interval."
    difference_high: float
    overlap: float
    "Mean share of the other's first ten among the bundle's first ten."
    identical: float
    "Share of users whose first ten are the same in the same order."


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate."""

    name: str
    ndcg_10: float
    overlap: float
    "Mean share of the served rung's first ten among its first ten."
    bytes: int
    wire_bytes: int
    verdict: str


class BundleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What making a bundle came to."""

    manifest: Manifest
    bytes: int
    "Of graphs and catalogue."
    wire_bytes: int
    candidates: list[Tried]
    "From small to large on the wire."
    against: dict[str, Against]
    "By rung of the models that it was made from."


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A graph that may become the bundle's first rung."""

    name: str
    source: Variant
    path: Path
    n_parameters: int
    n_bytes: int
    wire_bytes: int


@dataclass(frozen=True, slots=True)
class Trial:
    """Asks graphs about the users of the data that the models were made from."""

    models: Manifest
    models_dir: Path
    sequences: Sequences
    judge: Callable[[NDArray[np.int64]], Metrics]

    def lists(self, path: Path, split: str = "test") -> NDArray[np.int64]:
        """The best items of each user, (n_users, LIST_LENGTH)."""
        histories, _ = self.sequences.held_out(split)
        return recommend_onnx(
            path,
            histories,
            k=LIST_LENGTH,
            allow_repeats=self.models.dataset.allow_repeats,
            max_length=self.models.max_history,
        )

    def validation_ndcg_10(self, path: Path) -> float:
        _, targets = self.sequences.held_out("validation")
        return mean_ndcg_10(self.lists(path, "validation"), targets)

    def compare(self, lists: NDArray[np.int64], variant: Variant) -> Against:
        """Lists of the users of the test against those of a rung of the models."""
        others = self.lists(self.models_dir / variant.file.name)
        gains, of_others = self._gains(lists), self._gains(others)
        low, high = bootstrap_interval(of_others)
        difference_low, difference_high = bootstrap_interval(gains - of_others)
        return Against(
            ndcg_10=float(of_others.mean()),
            ndcg_10_low=low,
            ndcg_10_high=high,
            difference=float((gains - of_others).mean()),
            difference_low=difference_low,
            difference_high=difference_high,
            overlap=overlap(lists[:, :10], others[:, :10]),
            identical=float((lists[:, :10] == others[:, :10]).all(1).mean()),
        )

    def _gains(self, lists: NDArray[np.int64]) -> NDArray[np.float64]:
        """Each user's part of NDCG@10, (n_users,)."""
        _, targets = self.sequences.held_out("test")
        return discounted_gains(held_out_ranks(lists, targets), 10)


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate, and what came of it."""

    candidate: Candidate
    lists: NDArray[np.int64]
    metrics: Metrics
    overlap: float
    verdict: str
    "`SHIPS`, or why not."

    def told(self) -> Tried:
        return Tried(
            name=self.candidate.name,
            ndcg_10=self.metrics.ndcg["10"],
            overlap=self.overlap,
            bytes=self.candidate.n_bytes,
            wire_bytes=self.candidate.wire_bytes,
            verdict=self.verdict,
        )


def make_bundle(
    models_dir: Path, dataset: Dataset, target: Path, *, on_stage: Callable[[str], None]
) -> BundleResult:
    """Make the bundle of a models directory.

    Args:
        models_dir: what serves.
        dataset: what it was made from.
        target: where to write; a bundle that is there is replaced when all is done.
        on_stage: told what is being done.

    Raises:
        InvalidModels: the models are damaged.
        EdgeError: they were made from other data, or no candidate passes.
        DatasetError: the data set is too small.
        ReleaseError: the target is no models directory.
        OSError: the disk refuses; the target is as it was.
    """
    require_replaceable(target)
    started_s, commit = time.monotonic(), read_commit()
    models = read_manifest(models_dir)
    if dataset.sha256 != models.dataset.sha256:
        raise EdgeError(
            f"{models_dir} was made from {models.dataset.name} with digest {models.dataset.sha256[:12]}..., and "
            f"{dataset.name} has {dataset.sha256[:12]}...; name the data of these models with --data"
        )
    for file in models.files():
        read_verified(models_dir, file)
    sequences = read_sequences(dataset)
    popularity = np.bincount(np.concatenate(sequences.fitting()), minlength=sequences.n_items + 1)[1:]
    trial = Trial(models, models_dir, sequences, make_judge(sequences, popularity, dataset))
    with staging_beside(target) as staging, TemporaryDirectory() as folder:
        popular = models.ladder[-1]
        shutil.copyfile(models_dir / models.catalogue.name, staging / CATALOGUE_NAME)
        shutil.copyfile(models_dir / popular.file.name, staging / popular.file.name)
        on_stage("making candidates")
        candidates = make_candidates(models, models_dir, Path(folder))
        on_stage("judging them")
        judged = judge_candidates(candidates, trial, rest_bytes=sum(map(_wire_bytes, staging.iterdir())))
        chosen = next((one for one in judged if one.verdict == SHIPS), None)
        if chosen is None:
            reasons = "; ".join(f"{one.candidate.name}: {one.verdict}" for one in judged)
            raise EdgeError(f"no candidate passes the gate: {reasons or 'no rung has float weights'}")
        on_stage(f"measuring {chosen.candidate.name}")
        shutil.copyfile(chosen.candidate.path, staging / f"{EDGE}.onnx")
        if (target / WEB).is_dir():
            shutil.copytree(target / WEB, staging / WEB)
        manifest = write_release(
            target,
            staging,
            dataset=dataset,
            sequences=sequences,
            ladder=[describe_edge(chosen, staging / f"{EDGE}.onnx", trial), popular],
            serving=[EDGE, popular.name],
            similar=EDGE,
            max_history=models.max_history,
            unshipped={
                one.candidate.name: Unshipped(metrics=one.metrics, reason=one.verdict)
                for one in judged
                if one is not chosen
            },
            provenance=describe_run(
                seed=models.provenance.seed,
                commit=commit,
                duration_s=time.monotonic() - started_s,
                fits={},
            ),
        )
    files = [target / file.name for file in manifest.files()]
    return BundleResult(
        manifest=manifest,
        bytes=sum(path.stat().st_size for path in files),
        wire_bytes=sum(map(_wire_bytes, files)),
        candidates=[one.told() for one in judged],
        against={variant.name: trial.compare(chosen.lists, variant) for variant in models.ladder},
    )


def make_candidates(models: Manifest, models_dir: Path, folder: Path) -> list[Candidate]:
    """Every neural rung of float weights, compressed; the one that serves with fewer neighbours too."""
    candidates: list[Candidate] = []
    for variant in models.ladder:
        source = models_dir / variant.file.name
        if not variant.is_neural or _is_compressed(source):
            continue
        n_known = count_neighbours(source)
        fewer = FEWER_NEIGHBOURS if n_known and variant.name == models.serving[0] else ()
        for n_neighbours in (None, *(n for n in fewer if n < (n_known or 0))):
            name = variant.name if n_neighbours is None else f"{variant.name}, {n_neighbours} neighbours"
            path = folder / f"{len(candidates)}.onnx"
            write_int8_weights(source, path, n_neighbours=n_neighbours)
            n_gone = 0 if n_neighbours is None else (n_known or 0) - n_neighbours
            candidates.append(
                Candidate(
                    name=name,
                    source=variant,
                    path=path,
                    n_parameters=variant.parameters - 2 * n_gone * (models.dataset.n_items + 1),
                    n_bytes=path.stat().st_size,
                    wire_bytes=_wire_bytes(path),
                )
            )
    return candidates


def judge_candidates(candidates: Sequence[Candidate], trial: Trial, *, rest_bytes: int) -> list[Judged]:
    """What becomes of each candidate, from small to large: the first that passes ships.

    Args:
        candidates: in any order.
        trial: what they are asked by.
        rest_bytes: what the bundle holds besides, on the wire.
    """
    judged: list[Judged] = []
    served = trial.lists(trial.models_dir / trial.models.variant(trial.models.serving[0]).file.name)
    for candidate in sorted(candidates, key=lambda candidate: candidate.wire_bytes):
        lists = trial.lists(candidate.path)
        metrics = trial.judge(lists)
        shared = overlap(lists[:, :10], served[:, :10])
        verdict = pass_gate(
            trial.models,
            ndcg_10=metrics.ndcg["10"],
            overlap_10=shared,
            wire_bytes=rest_bytes + candidate.wire_bytes,
        )
        if verdict == SHIPS and any(one.verdict == SHIPS for one in judged):
            verdict = "a smaller one passes"
        judged.append(Judged(candidate, lists, metrics, shared, verdict))
    return judged


def pass_gate(models: Manifest, *, ndcg_10: float, overlap_10: float, wire_bytes: int) -> str:
    """`SHIPS`, or why a bundle of this quality and size may not."""
    served = models.variant(models.serving[0]).metrics.ndcg["10"]
    counts = {variant.name: variant.metrics.ndcg["10"] for variant in models.ladder}.get("counts", 0.0)
    if not ndcg_10 > counts:
        return f"NDCG@10 {ndcg_10:.4f} does not beat counts, {counts:.4f}"
    if ndcg_10 < KEPT_QUALITY * served:
        return f"NDCG@10 {ndcg_10:.4f} is below {KEPT_QUALITY:.0%} of {served:.4f}, which is served"
    if overlap_10 < KEPT_ITEMS:
        return (
            f"it shows {overlap_10:.1%} of what the served rung shows; at least {KEPT_ITEMS:.0%} are wanted"
        )
    if wire_bytes > MOST_WIRE_BYTES:
        return f"the bundle would take {wire_bytes} bytes on the wire; at most {MOST_WIRE_BYTES} are allowed"
    return SHIPS


def describe_edge(chosen: Judged, path: Path, trial: Trial) -> Variant:
    """The bundle's first rung."""
    candidate = chosen.candidate
    histories, _ = trial.sequences.held_out("test")
    of_source = trial.compare(chosen.lists, candidate.source)
    return Variant(
        name=EDGE,
        description=f"{candidate.name}, with 8-bit weights, computed in float; made from: "
        f"{candidate.source.description}",
        is_neural=True,
        file=describe_file(path),
        parameters=candidate.n_parameters,
        metrics=chosen.metrics,
        measurement=measure({EDGE: path}, pad(longest(histories), trial.models.max_history))[EDGE],
        identical=of_source.identical,
        overlap=of_source.overlap,
        validation_ndcg_10=trial.validation_ndcg_10(path),
    )


def compressed(content: bytes) -> bytes:
    """As it travels."""
    return gzip.compress(content, GZIP_LEVEL, mtime=0)


def _wire_bytes(path: Path) -> int:
    return len(compressed(path.read_bytes()))


def _is_compressed(path: Path) -> bool:
    """Whether a graph's weights are 8-bit numbers already, and its activations too (`quantisation`)."""
    return b"MatMulInteger" in path.read_bytes()
