"""The models in memory: what a verified models directory becomes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recserve.errors import InvalidModels
from recserve.inference.catalogue import Catalogue
from recserve.inference.manifest import Manifest, read_manifest, read_verified
from recserve.inference.session import ScoringSession


@dataclass(frozen=True, slots=True)
class LoadedModels:
    manifest: Manifest
    catalogue: Catalogue
    sessions: dict[str, ScoringSession]
    "By variant name, from best to cheapest."


def load_models(models_dir: Path, *, n_threads: int, mark: Callable[[str], None]) -> LoadedModels:
    """Read, verify, load and run once every variant that a models directory wants served.

    Args:
        models_dir: directory with a manifest.
        n_threads: threads one run may use.
        mark: called with the name of each phase that ended.

    Raises:
        InvalidModels: anything is missing, damaged or contradictory. Nothing is served then: a wrong
            answer is worse than none.
    """
    manifest = read_manifest(models_dir)
    catalogue = Catalogue.decode(read_verified(models_dir, manifest.catalogue))
    if len(catalogue) != manifest.dataset.n_items:
        raise InvalidModels(
            f"the catalogue has {len(catalogue)} items; the manifest says {manifest.dataset.n_items}"
        )
    contents = {name: read_verified(models_dir, manifest.variant(name).file) for name in manifest.serving}
    mark("model_read")
    sessions = {
        name: ScoringSession(name, content, n_items=len(catalogue), n_threads=n_threads)
        for name, content in contents.items()
    }
    _require_indifference(sessions[manifest.serving[-1]])
    mark("sessions")
    return LoadedModels(manifest, catalogue, sessions)


def _require_indifference(session: ScoringSession) -> None:
    """The last variant answers users without a history, so it must not look at one."""
    nobody = np.zeros((1, 0), np.int64)
    nothing, something = (session.recommend(np.full((1, 1), item), nobody, 10) for item in (0, 1))
    if not np.array_equal(nothing.items, something.items):
        raise InvalidModels(f"variant {session.name!r} is served last, but its answers depend on the history")
