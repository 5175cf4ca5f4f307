"""A bundle in memory: verified, loaded, and complete. What answers on the device."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recserve_edge.catalogue import Catalogue
from recserve_edge.errors import InvalidBundle
from recserve_edge.manifest import BundleManifest
from recserve_edge.request import ItemId, Request
from recserve_edge.session import NO_HISTORY, Ranked, Session


class Item(NamedTuple):
    """An item of an answer."""

    id: ItemId
    title: str
    score: float | None
    "Higher is better; comparable within one answer only. None for a pinned item that the model did not name."


class Bundle:
    """Model, popular items and catalogue of one version.

    Args:
        manifest: what the bundle is.
        files: contents by name; each is verified again here, whatever it was before.
        n_threads: threads that one run may use.

    Raises:
        InvalidBundle: a file is missing, damaged, or does not fit the others.
    """

    def __init__(self, manifest: BundleManifest, files: Mapping[str, bytes], *, n_threads: int = 1) -> None:
        if missing := [file.name for file in manifest.files() if file.name not in files]:
            raise InvalidBundle(
                "incomplete", f"the bundle {manifest.version} is incomplete: {', '.join(missing)} missing"
            )
        model, popular, catalogue = (file.verify(files[file.name]) for file in manifest.files())
        n_items = manifest.n_items
        self.manifest = manifest
        self._catalogue = Catalogue(catalogue, n_items=n_items)
        self._model = Session(manifest.model.name, model, n_items=n_items, n_threads=n_threads)
        self._popular = Session(manifest.popular.name, popular, n_items=n_items, n_threads=n_threads)

    def described_by(self, manifest: BundleManifest) -> "Bundle":
        """The same files under another manifest, which names the same."""
        other = copy(self)
        other.manifest = manifest
        return other

    def recommend(self, history: Sequence[ItemId], request: Request) -> list[Item]:
        """The list that the service would answer with, served from the same files.

        Args:
            history: all that is known of the user, oldest first.
            request: what is asked for; of its rules the filters count.
        """
        numbers = self._catalogue.known_numbers(history)
        exclude_seen = (
            not self.manifest.allow_repeats if request.exclude_seen is None else request.exclude_seen
        )
        session = self._model if numbers else self._popular
        filters = request.effective_filters
        ranked = session.recommend(
            numbers[-self.manifest.max_history :] or NO_HISTORY,
            numbers if exclude_seen else (),
            request.k if filters is None else len(self._catalogue),
        )
        if filters is not None:
            shown = np.flatnonzero(self._catalogue.admitted(filters)[ranked.items])[: request.k]
            ranked = Ranked(ranked.items[shown], ranked.scores[shown])
        ids, titles = self._catalogue.ids, self._catalogue.titles
        return [
            Item(ids[number - 1], titles[number - 1], round(score, 4))
            for number, score in zip(ranked.items.tolist(), _finite(ranked.scores).tolist(), strict=True)
        ]


def _finite(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """NaN and minus infinity as the lowest of the others, infinity as the highest."""
    is_finite = np.isfinite(scores)
    if is_finite.all():
        return scores
    known = scores[is_finite]
    lowest, highest = (known.min(), known.max()) if len(known) else (0, 0)
    return np.nan_to_num(scores, nan=lowest, posinf=highest, neginf=lowest)
