"""From a dataset to a released ladder: teacher, student, pruned, int8, counts, popular.

Each neural rung is blended with item-to-item counts, with the weight that is best on validation, and ships
only if it beats counts alone on test. What is measured is what ships: the exported files themselves.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from recserve.inference.manifest import (
    FitRecord,
    Manifest,
    Measurement,
    Metrics,
    Unshipped,
    Variant,
    describe_file,
)
from training.config import RunConfig
from training.counts import fit_counts
from training.datasets import Dataset
from training.distillation import distillation_id, distillation_objective, inherit_items
from training.evaluation import LIST_LENGTH, evaluate, mean_ndcg_10
from training.export import export_scores, recommend_onnx
from training.fitting import FitConfig, Look, Objective, fit, next_item_objective
from training.measurement import longest, measure
from training.provenance import describe_run, read_commit
from training.pruning import prune
from training.quantisation import quantise
from training.release import (
    CATALOGUE_NAME,
    encode_catalogue,
    require_replaceable,
    staging_beside,
    write_release,
)
from training.sasrec import SasRec, SasRecConfig
from training.scorers import BlendScorer, CountsScorer, PopularScorer, recommend
from training.scoring_head import HeadKind, export_with_head
from training.selection import append_selection
from training.sequences import Sequences, pad, read_sequences
from training.static_ranking import write_static_ranking

BLEND_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"Weights of counts beside SASRec that are tried on validation; 0 is SASRec alone."
N_CHOOSING = 1000
"Users of validation that an inverted file's probes are chosen by."
KEPT_QUALITY = 0.95
"Share of the best rung's NDCG@10 on validation that the default must keep; the cheapest that does is served first."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A fitted variant on its way to the ladder."""

    name: str
    description: str
    scorer: nn.Module
    is_neural: bool = False
    is_int8: bool = False
    head: HeadKind = "flat"

    def n_parameters(self) -> int:
        """Numbers that the model holds: what was fitted, and what was counted."""
        tensors = (*self.scorer.parameters(), *self.scorer.buffers())
        return sum(tensor.numel() for tensor in tensors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told how a run goes."""

    on_stage: Callable[[str], None]
    on_look: Callable[[str, Look, int], None]
    "What is fitted, the look, and the epochs that the fit takes at most."


def make_ladder(
    dataset: Dataset, target: Path, *, config: RunConfig, run_dir: Path, watcher: Watcher
) -> tuple[Manifest, dict[str, list[Look]]]:
    """Fit every rung on a dataset and write them as a models directory.

    Args:
        dataset: what to learn from.
        target: the models directory to write; one that is there is replaced when all is done.
        config: the run's settings.
        run_dir: keeps checkpoints, from which a run that was killed goes on.
        watcher: told how the run goes.

    Returns:
        The manifest, and the looks at validation of each fit.

    Raises:
        DatasetError: too little data, or items without titles.
        CheckpointError: a checkpoint is damaged.
        ExportError: a graph does not score as its model does.
        HeadError: the student's head cannot be built.
        MeasurementError: a graph does not load in a process of its own.
        ReleaseError: the target is no models directory.
        OSError: the disk refuses; the target is as it was.
    """
    require_replaceable(target)
    started_s, commit = time.monotonic(), read_commit()
    sequences = read_sequences(dataset)
    popularity = np.bincount(np.concatenate(sequences.fitting()), minlength=sequences.n_items + 1)[1:]
    catalogue = encode_catalogue(dataset, sequences, popularity)
    rungs, alone, looks = fit_rungs(sequences, popularity, config, run_dir, watcher)
    judge = make_judge(sequences, popularity, dataset)
    with staging_beside(target) as staging:
        (staging / CATALOGUE_NAME).write_bytes(catalogue)
        watcher.on_stage("exporting")
        paths = {rung.name: export_rung(rung, staging, sequences, config) for rung in rungs}
        watcher.on_stage("measuring")
        histories, _ = sequences.held_out("test")
        measurements = measure(paths, pad(longest(histories), config.teacher.max_length))
        watcher.on_stage("evaluating what was exported")
        variants = [
            describe_rung(rung, paths[rung.name], sequences, judge, measurements[rung.name], config)
            for rung in rungs
        ]
        ladder, unshipped = pass_gate(variants)
        for name in unshipped:
            paths[name].unlink()
        unshipped["teacher without counts"] = Unshipped(
            metrics=judge(
                recommend(
                    alone,
                    histories,
                    k=LIST_LENGTH,
                    allow_repeats=sequences.allow_repeats,
                    max_length=config.teacher.max_length,
                )
            ),
            reason="measured to show what the blend adds",
        )
        manifest = write_release(
            target,
            staging,
            dataset=dataset,
            sequences=sequences,
            ladder=ladder,
            serving=choose_serving(ladder),
            similar="counts",
            max_history=config.teacher.max_length,
            unshipped=unshipped,
            provenance=describe_run(
                seed=config.seed,
                commit=commit,
                duration_s=time.monotonic() - started_s,
                fits={name: _record(of_fit) for name, of_fit in looks.items()},
            ),
        )
    return manifest, looks


def fit_rungs(
    sequences: Sequences,
    popularity: NDArray[np.int64],
    config: RunConfig,
    run_dir: Path,
    watcher: Watcher,
) -> tuple[list[Rung], SasRec, dict[str, list[Look]]]:
    """All rungs from best to cheapest, the teacher by itself, and the looks of each fit."""
    watcher.on_stage("counting which item follows which")
    table = fit_counts(
        sequences.fitting(), sequences.n_items, config.counts, allow_repeats=sequences.allow_repeats
    )
    counts, lean = CountsScorer(table), CountsScorer(table, n_neighbours=config.lean_neighbours)
    looks: dict[str, list[Look]] = {}

    def fit_stage(
        name: str, model: SasRec, objective: Objective, fit_config: FitConfig, objective_id: str = ""
    ) -> SasRec:
        watcher.on_stage(f"fitting the {name}")
        looks[name] = fit(
            model,
            sequences,
            fit_config,
            objective,
            objective_id=objective_id,
            checkpoint=run_dir / f"{name}.pt",
            on_look=lambda look: watcher.on_look(name, look, fit_config.max_epochs),
            on_restart=watcher.on_stage,
        )
        return model

    torch.manual_seed(config.seed)
    teacher = SasRec(sequences.n_items, config.teacher)
    student = SasRec(sequences.n_items, config.student)
    fit_config = msgspec.structs.replace(config.fit, seed=config.seed)
    refit_config = msgspec.structs.replace(config.refit, seed=config.seed)
    fit_stage("teacher", teacher, next_item_objective(sequences.n_items, fit_config), fit_config)
    inherit_items(teacher, student)
    from_teacher = distillation_objective(teacher, config.distil, refit_config)
    distillation = distillation_id(teacher, config.distil)
    fit_stage("student", student, from_teacher, refit_config, distillation)
    pruned = fit_stage(
        "pruned student", prune(student, config.prune), from_teacher, refit_config, distillation
    )
    watcher.on_stage("choosing the blends")

    def blend(name: str, model: SasRec, beside: CountsScorer) -> Rung:
        scorer = BlendScorer(model, beside, choose_weight(model, beside, sequences))
        return Rung(name=name, description=_describe_blend(scorer), scorer=scorer, is_neural=True)

    blended_prune = blend("pruned", pruned, lean)
    rungs = [
        blend("teacher", teacher, counts),
        blend("student", student, counts) if config.head == "flat" else _headed(student, config.head),
        blended_prune,
        Rung(
            name="int8",
            description="the pruned student with 8-bit weights, one matrix for reading and scoring items",
            scorer=blended_prune.scorer,
            is_neural=True,
            is_int8=True,
        ),
        Rung(
            name="counts",
            description=f"what people took within {config.counts.window} items after the newest "
            f"{config.counts.n_recent}; {config.counts.n_neighbours} neighbours an item",
            scorer=counts,
        ),
        Rung(
            name="popular",
            description="how often the item was taken; the same for everybody",
            scorer=PopularScorer(popularity),
        ),
    ]
    return rungs, teacher, looks


def choose_weight(model: SasRec, counts: CountsScorer, sequences: Sequences) -> float:
    """The weight of counts in the blend that is best on validation."""
    histories, targets = sequences.held_out("validation")

    def ndcg_10(weight: float) -> float:
        scorer = BlendScorer(model, counts, weight)
        lists = recommend(
            scorer,
            histories,
            k=10,
            allow_repeats=sequences.allow_repeats,
            max_length=model.config.max_length,
        )
        return mean_ndcg_10(lists, targets)

    return max(BLEND_WEIGHTS, key=ndcg_10)


def export_rung(rung: Rung, staging: Path, sequences: Sequences, config: RunConfig) -> Path:
    """Write a rung's graph into the staging directory."""
    path = staging / f"{rung.name}.onnx"
    if isinstance(rung.scorer, PopularScorer):
        write_static_ranking(rung.scorer.scores(), path)
        return path
    with tempfile.TemporaryDirectory(dir=staging) as folder:
        if rung.head != "flat":
            assert isinstance(rung.scorer, SasRec)
            histories, _ = sequences.held_out("validation")
            padded = pad(histories[:N_CHOOSING], config.student.max_length)
            export_with_head(
                rung.scorer, rung.head, path, folder=Path(folder), histories=padded, seed=config.seed
            )
            return path
        histories, _ = sequences.held_out("test")
        scores = Path(folder) / f"{rung.name}.onnx"
        export_scores(rung.scorer, scores, example=pad(histories[:64], config.teacher.max_length))
        if rung.is_int8:
            quantised = scores.with_stem(f"{rung.name}-quantised")
            quantise(scores, quantised)
            scores = quantised
        append_selection(scores, path)
    return path


def describe_rung(
    rung: Rung,
    path: Path,
    sequences: Sequences,
    judge: Callable[[NDArray[np.int64]], Metrics],
    measurement: Measurement,
    config: RunConfig,
) -> Variant:
    """Judge an exported rung by its own lists, and hold them against PyTorch's."""
    repeats, max_length = sequences.allow_repeats, config.teacher.max_length
    known, targets = sequences.held_out("validation")
    validation = recommend_onnx(path, known, k=10, allow_repeats=repeats, max_length=max_length)
    histories, _ = sequences.held_out("test")
    lists = recommend_onnx(path, histories, k=LIST_LENGTH, allow_repeats=repeats, max_length=max_length)
    expected = recommend(rung.scorer, histories, k=10, allow_repeats=repeats, max_length=max_length)
    found = overlap(lists[:, :10], expected)
    recall = "" if rung.head == "flat" else f", recall@10 {found:.4f} against exact scores"
    return Variant(
        name=rung.name,
        description=rung.description + recall,
        is_neural=rung.is_neural,
        file=describe_file(path),
        parameters=rung.n_parameters(),
        metrics=judge(lists),
        measurement=measurement,
        identical=float((lists[:, :10] == expected).all(1).mean()),
        overlap=found,
        validation_ndcg_10=mean_ndcg_10(validation, targets),
    )


def overlap(lists: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    """Mean share of a list's items that are also on the other list, whatever their order."""
    return float((lists[:, :, None] == others[:, None, :]).any(2).mean())


def pass_gate(variants: Sequence[Variant]) -> tuple[list[Variant], dict[str, Unshipped]]:
    """Neural rungs that beat counts on test, and all others; the rest with the reason.

    Weights and blends were chosen on validation, which therefore flatters neural rungs and not counts.
    """
    counts = next(variant for variant in variants if variant.name == "counts").metrics.ndcg["10"]
    ladder, unshipped = [], {}
    for variant in variants:
        if variant.is_neural and not variant.metrics.ndcg["10"] > counts:
            reason = f"NDCG@10 {variant.metrics.ndcg['10']:.4f} does not beat counts, {counts:.4f}"
            unshipped[variant.name] = Unshipped(metrics=variant.metrics, reason=reason)
        else:
            ladder.append(variant)
    return ladder, unshipped


def choose_serving(ladder: Sequence[Variant]) -> list[str]:
    """The cheapest neural rung that keeps most of the best one's quality, then counts and popular.

    Quality is that on validation: a choice by test would flatter what is reported of the chosen.
    """
    neural = [variant for variant in ladder if variant.is_neural]
    rest = [variant.name for variant in ladder if not variant.is_neural]
    if not neural:
        return rest
    quality = {variant.name: variant.validation_ndcg_10 or 0.0 for variant in neural}
    wanted = KEPT_QUALITY * max(quality.values())
    good_enough = [variant for variant in neural if quality[variant.name] >= wanted]
    return [min(good_enough, key=lambda variant: variant.measurement.latency_ms["1"]).name, *rest]


def make_judge(
    sequences: Sequences, popularity: NDArray[np.int64], dataset: Dataset
) -> Callable[[NDArray[np.int64]], Metrics]:
    """What judges lists, (n_users, LIST_LENGTH), of the test's users."""
    histories, targets = sequences.held_out("test")
    genres = dict(zip(dataset.items["item_id"], dataset.items["genres"], strict=True))
    in_order = [list(genres[item_id]) for item_id in sequences.item_ids]
    lengths = np.array([len(history) for history in histories])
    return lambda lists: evaluate(lists, targets, popularity=popularity, genres=in_order, lengths=lengths)


def _headed(student: SasRec, head: HeadKind) -> Rung:
    description = f"{_describe_sasrec(student.config)} without counts, its items scored by {head}"
    return Rung(name="student", description=description, scorer=student, is_neural=True, head=head)


def _describe_sasrec(config: SasRecConfig) -> str:
    return f"SASRec (width {config.dim}, {config.n_blocks} block, {config.n_heads} heads, {config.ffn_width} neurons)"


def _describe_blend(blend: BlendScorer) -> str:
    return (
        f"{_describe_sasrec(blend.sasrec.config)} plus {blend.weight:g} x counts "
        f"({blend.counts.neighbours.shape[1]} neighbours an item), brought to the spread of its scores"
    )


def _record(looks: list[Look]) -> FitRecord:
    best = max(looks, key=lambda look: look.ndcg_10)
    return FitRecord(n_epochs=looks[-1].epoch, best_epoch=best.epoch, best_ndcg_10=best.ndcg_10)
