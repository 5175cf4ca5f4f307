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
    "By variant name, in the order of the ladder."


def load_models(models_dir: Path, *, n_threads: int, mark: Callable[[str], None]) -> LoadedModels:
    """Read, verify, load and run once every variant of a models directory.

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
    contents = {variant.name: read_verified(models_dir, variant.file) for variant in manifest.ladder}
    mark("model_read")
    sessions = {
        name: ScoringSession(name, content, n_items=len(catalogue), n_threads=n_threads)
        for name, content in contents.items()
    }
    _require_indifference(manifest.ladder[-1].name, sessions)
    mark("sessions")
    return LoadedModels(manifest, catalogue, sessions)


def _require_indifference(name: str, sessions: dict[str, ScoringSession]) -> None:
    """The last rung answers users without a history, so it must not look at one."""
    nothing, something = (sessions[name].score(np.full((1, 1), item, np.int64)) for item in (0, 1))
    if not np.array_equal(nothing, something):
        raise InvalidModels(f"variant {name!r} is last on the ladder, but its scores depend on the history")
