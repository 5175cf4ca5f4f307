"""From sequences to a released ladder: fit, blend, export, evaluate what was exported, release."""

import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recserve.inference.manifest import Manifest, Metrics, Provenance, Variant, describe_file
from training.counts import CountsConfig, fit_counts
from training.datasets import Dataset
from training.evaluation import evaluate
from training.export import export_onnx, score_onnx
from training.fitting import FitConfig, Look, fit_sasrec
from training.release import CATALOGUE_NAME, encode_catalogue, staging_beside, write_release
from training.sasrec import SasRec, SasRecConfig
from training.scorers import BlendScorer, CountsScorer, PopularScorer, score_all
from training.sequences import Sequences, pad, read_sequences

BLEND_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5)
"Weights of counts beside SASRec that are tried on validation; 0 is SASRec alone."


def make_ladder(
    dataset: Dataset,
    target: Path,
    *,
    model_config: SasRecConfig,
    fit_config: FitConfig,
    counts_config: CountsConfig,
    on_look: Callable[[Look], None],
    on_stage: Callable[[str], None],
) -> Manifest:
    """Fit every variant on a dataset and write them as a models directory.

    Args:
        dataset: what to learn from.
        target: the models directory to write; one that is there is replaced when all is done.
        on_look: told of each look at validation while the neural model is fitted.
        on_stage: told what begins.

    Raises:
        DatasetError: too little data, or items without titles.
        ExportError: a graph does not score as its model does.
    """
    started_s, commit = time.monotonic(), _commit()
    sequences = read_sequences(dataset)
    popularity = np.bincount(np.concatenate(sequences.fitting()), minlength=sequences.n_items + 1)[1:]
    catalogue = encode_catalogue(dataset, sequences, popularity)
    on_stage("counting which item follows which")
    counts = CountsScorer(fit_counts(sequences.fitting(), sequences.n_items, counts_config))
    on_stage("fitting SASRec")
    sasrec = fit_sasrec(sequences, model_config, fit_config, on_look=on_look)
    on_stage("choosing the blend")
    weight = choose_weight(sasrec, counts, sequences)
    rungs = [
        Rung(
            "blend",
            BlendScorer(sasrec, counts, weight),
            f"SASRec ({model_config.n_blocks} block, width {model_config.dim}, the newest {model_config.max_length} "
            f"items) plus {weight:g} x item-to-item counts, each standardised over the catalogue",
        ),
        Rung(
            "counts",
            counts,
            f"what people took within {counts_config.window} items after the newest {counts_config.n_recent}; "
            f"{counts_config.n_neighbours} neighbours an item",
        ),
        Rung("popular", PopularScorer(popularity), "how many users took the item; the same for everybody"),
    ]
    histories, targets = sequences.held_out("test")
    test_input = pad(histories, model_config.max_length)
    with staging_beside(target) as staging:
        (staging / CATALOGUE_NAME).write_bytes(catalogue)
        ladder = []
        for rung in rungs:
            on_stage(f"exporting and evaluating {rung.name}")
            path = staging / f"{rung.name}.onnx"
            export_onnx(rung.scorer, path, example=test_input[:64])
            metrics = evaluate(score_onnx(path, test_input), histories, targets)
            ladder.append(rung.describe(path, metrics))
        return write_release(
            target,
            staging,
            dataset=dataset,
            sequences=sequences,
            ladder=ladder,
            similar="counts",
            max_history=model_config.max_length,
            measured={"SASRec alone": evaluate(score_all(sasrec, test_input), histories, targets)},
            provenance=_provenance(fit_config.seed, commit, time.monotonic() - started_s),
        )


class Rung(NamedTuple):
    """A fitted variant on its way to the ladder."""

    name: str
    scorer: nn.Module
    description: str

    def describe(self, path: Path, metrics: Metrics) -> Variant:
        return Variant(
            name=self.name,
            description=self.description,
            file=describe_file(path),
            parameters=count_parameters(self.scorer),
            metrics=metrics,
        )


def choose_weight(sasrec: SasRec, counts: CountsScorer, sequences: Sequences) -> float:
    """The weight of counts in the blend that is best on validation."""
    histories, targets = sequences.held_out("validation")
    padded: NDArray[np.int64] = pad(histories, sasrec.config.max_length)
    return max(
        BLEND_WEIGHTS,
        key=lambda weight: (
            evaluate(score_all(BlendScorer(sasrec, counts, weight), padded), histories, targets).ndcg_10
        ),
    )


def count_parameters(scorer: nn.Module) -> int:
    """Numbers that the model holds: what was fitted, and what was counted."""
    return sum(p.numel() for p in scorer.parameters()) + sum(b.numel() for b in scorer.buffers())


def _provenance(seed: int, commit: str, duration_s: float) -> Provenance:
    return Provenance(
        command=" ".join(["python -m training", *sys.argv[1:]]),
        commit=commit,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        packages={name: version(name) for name in ("torch", "numpy", "onnx", "onnxruntime")},
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        duration_s=round(duration_s, 1),
    )


def _commit() -> str:
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
