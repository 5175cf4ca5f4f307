"""A synthetic catalogue for figures of scale. Nobody ever took these items; quality figures come from real data.

Items are a mixture of Gaussians: cluster centres on a sphere, cluster sizes after Zipf, and items around
their centre. Each item's length varies a little, as in trained models, where it follows popularity.
Queries are drawn near items that are chosen by popularity, which follows Zipf too.

How hard the catalogue is for an inverted file is one knob, `spread`: at 0.3 clusters stand apart, at 3
there are hardly any left. Recall that was measured here says nothing about another catalogue.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticConfig:
    n_items: int = 1_000_000
    dim: int = 64
    n_clusters: int = 1_000
    spread: float = 0.8
    "Length of the step from a centre to its items; centres have length 1."
    length_spread: float = 0.2
    "Standard deviation of the logarithm of the items' lengths; 0.19 in the shipped SASRec."
    query_spread: float = 0.5
    "Length of the step from an item to a query that is drawn near it."
    cluster_exponent: float = 0.5
    "Of cluster sizes: rank r has weight r ** -exponent. 0.5 is more uneven than k-means finds in the shipped SASRec."
    popularity_exponent: float = 1.0
    "Of item popularity, the same way."


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticCatalogue:
    """A catalogue without a dataset behind it.

    Attributes:
        vectors: item i is row i - 1, (n_items, dim).
        popularity: share of interactions of each item, (n_items,), adding up to 1.
        clusters: the cluster of each item, (n_items,).
    """

    config: SyntheticConfig
    vectors: NDArray[np.float32]
    popularity: NDArray[np.float64]
    clusters: NDArray[np.int64]
    is_synthetic: bool = True

    def draw_queries(self, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Query vectors near items that are drawn by popularity, (n, dim)."""
        near = rng.choice(len(self.vectors), n, p=self.popularity)
        return self.vectors[near] + self.config.query_spread * _steps(n, self.config.dim, rng)


def make_catalogue(config: SyntheticConfig, rng: np.random.Generator) -> SyntheticCatalogue:
    """Draw a catalogue; equal configs and generators give equal catalogues.

    Raises:
        ValueError: a count is not positive, or there are more clusters than items.
    """
    if min(config.n_items, config.dim, config.n_clusters) < 1 or config.n_clusters > config.n_items:
        raise ValueError(
            f"cannot draw {config.n_items} items of {config.dim} dimensions in {config.n_clusters} clusters; "
            "all must be at least 1, and clusters no more than items"
        )
    centres = _steps(config.n_clusters, config.dim, rng)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    sizes = _zipf(config.n_clusters, config.cluster_exponent)
    clusters = rng.choice(config.n_clusters, config.n_items, p=sizes)
    vectors = _steps(config.n_items, config.dim, rng)
    vectors *= config.spread
    vectors += centres[clusters]
    vectors *= np.exp(rng.normal(0, config.length_spread, (config.n_items, 1))).astype(np.float32)
    popularity = rng.permutation(_zipf(config.n_items, config.popularity_exponent))
    return SyntheticCatalogue(config=config, vectors=vectors, popularity=popularity, clusters=clusters)


def _steps(n: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian steps of length about 1, (n, dim)."""
    steps = rng.standard_normal((n, dim), dtype=np.float32)
    steps /= np.float32(dim**0.5)
    return steps


def _zipf(n: int, exponent: float) -> NDArray[np.float64]:
    weights = np.arange(1, n + 1) ** -exponent
    return weights / weights.sum()
