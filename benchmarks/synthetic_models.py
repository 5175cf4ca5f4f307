"""A models directory of any size that nobody learned anything from, for figures of time and memory.

Graphs are exported as training exports them and have the shape of the shipped ones: a SASRec blended with
counts, counts, popularity, each with the selection inside. Weights and sequences are drawn, and the manifest
says so; every quality figure in it is zero.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from recserve.inference.manifest import (
    FORMAT,
    MANIFEST_NAME,
    Dataset,
    Manifest,
    Measurement,
    Metrics,
    Provenance,
    Variant,
    describe_file,
)
from training.config import RunConfig
from training.counts import fit_counts
from training.ladder import Rung, export_rung
from training.machine import describe_machine
from training.release import CATALOGUE_NAME
from training.sasrec import SasRec
from training.scorers import BlendScorer, CountsScorer, PopularScorer
from training.sequences import Sequences
from training.synthetic import SyntheticCatalogue, SyntheticConfig, make_catalogue

BLEND_WEIGHT = 0.1
"Of counts, as in the shipped student."
N_CLUSTERS = 1_000
"Of the catalogue's items, where it has so many."
N_HELD_OUT = 2
"Items that training keeps of each sequence."
NO_QUALITY = Metrics(
    hr={"10": 0.0},
    ndcg={"10": 0.0},
    mrr={"10": 0.0},
    ndcg_10_low=0.0,
    ndcg_10_high=0.0,
    coverage_10=0.0,
    novelty_10=0.0,
    diversity_10=None,
    ndcg_10_by_length={},
    n_users=0,
)
UNMEASURED = Measurement(load_ms=0.0, rss_mib=0.0, latency_ms={})


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticModels:
    """How large it is; width, blocks and lengths are those of the student that training makes by default."""

    n_items: int = 100_000
    n_users: int = 2_000
    "Whose sequences the counts are made of, and who ask."
    seed: int = 0


def write_synthetic_models(target: Path, config: SyntheticModels) -> list[NDArray[np.int64]]:
    """Draw, export and describe models; `target` must not exist yet.

    Returns:
        Histories to ask them with: item numbers, which are also the ids, oldest first, without repeats.
    """
    rng, run = np.random.default_rng(config.seed), RunConfig()
    size = SyntheticConfig(
        n_items=config.n_items, dim=run.student.dim, n_clusters=min(N_CLUSTERS, config.n_items)
    )
    catalogue = make_catalogue(size, rng)
    sequences = Sequences(
        users=_draw_users(catalogue, config.n_users, run.student.max_length + N_HELD_OUT, rng),
        item_ids=list(range(1, config.n_items + 1)),
    )
    popularity = np.bincount(np.concatenate(sequences.fitting()), minlength=config.n_items + 1)[1:]
    torch.manual_seed(config.seed)
    sasrec = SasRec(config.n_items, run.student)
    with torch.no_grad():
        sasrec.items.weight[1:] = torch.from_numpy(catalogue.vectors)
    counts = CountsScorer(fit_counts(sequences.fitting(), config.n_items, run.counts))
    rungs = [
        Rung(
            name="student",
            description="synthetic, not fitted: the shape of SASRec blended with counts",
            scorer=BlendScorer(sasrec, counts, BLEND_WEIGHT),
            is_neural=True,
        ),
        Rung(name="counts", description="synthetic: counts of drawn sequences", scorer=counts),
        Rung(name="popular", description="synthetic: drawn popularity", scorer=PopularScorer(popularity)),
    ]
    target.mkdir()
    variants = [_describe(rung, export_rung(rung, target, sequences, run)) for rung in rungs]
    (target / CATALOGUE_NAME).write_bytes(_encode_catalogue(popularity))
    manifest = Manifest(
        format=FORMAT,
        version=f"synthetic-{config.n_items}",
        dataset=Dataset(
            name="synthetic",
            source="benchmarks.synthetic_models",
            licence="drawn at random",
            n_users=config.n_users,
            n_items=config.n_items,
            n_interactions=sum(map(len, sequences.users)),
            allow_repeats=False,
            sha256="",
        ),
        catalogue=describe_file(target / CATALOGUE_NAME),
        ladder=variants,
        serving=[variant.name for variant in variants],
        similar="counts",
        max_history=run.student.max_length,
        unshipped={},
        provenance=Provenance(
            command="python -m benchmarks",
            commit="",
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=config.seed,
            packages={},
            machine=describe_machine(),
            duration_s=0.0,
        ),
    )
    (target / MANIFEST_NAME).write_bytes(msgspec.json.encode(manifest))
    return sequences.held_out("test")[0]


def _draw_users(
    catalogue: SyntheticCatalogue, n: int, length: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Item numbers by popularity, each at most once a user."""
    drawn = rng.choice(len(catalogue.popularity), (n, 4 * length), p=catalogue.popularity) + 1
    return [np.array(list(dict.fromkeys(items.tolist()))[:length]) for items in drawn]


def _describe(rung: Rung, path: Path) -> Variant:
    return Variant(
        name=rung.name,
        description=rung.description,
        is_neural=rung.is_neural,
        file=describe_file(path),
        parameters=rung.n_parameters(),
        metrics=NO_QUALITY,
        measurement=UNMEASURED,
        identical=0.0,
        overlap=0.0,
    )


def _encode_catalogue(popularity: NDArray[np.int64]) -> bytes:
    numbers = range(1, len(popularity) + 1)
    columns = {
        "ids": list(numbers),
        "titles": [f"Synthetic item {number}" for number in numbers],
        "years": [None] * len(numbers),
        "genres": [[]] * len(numbers),
        "n_interactions": popularity.tolist(),
    }
    return msgspec.json.encode(columns)
