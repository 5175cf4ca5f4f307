"""What a verified models directory becomes in memory."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recserve.errors import InvalidModels
from recserve.inference.catalogue import Catalogue
from recserve.inference.manifest import Manifest, parse_manifest, read_manifest_bytes, read_verified
from recserve.inference.session import ScoringSession
from recserve.inference.sources import stamp_of

REPLACEMENT_S = 0.05
"Longer than training takes to put one models directory in another's place: two renames."


@dataclass(frozen=True, slots=True)
class LoadedModels:
    manifest: Manifest
    catalogue: Catalogue
    sessions: dict[str, ScoringSession]
    "By variant name, from best to cheapest."
    stamp: str
    "Of the manifest; see `sources.stamp_of`."


@dataclass(frozen=True, slots=True)
class _Contents:
    """All that is read of a models directory, each file as the manifest promises it."""

    manifest: Manifest
    catalogue: bytes
    models: dict[str, bytes]
    "By variant name, those that are served first."
    stamp: str


def load_models(
    models_dir: Path,
    *,
    n_threads: int,
    mark: Callable[[str], None],
    also: Collection[str] = (),
    ladder: Collection[str] = (),
) -> LoadedModels:
    """Read, verify, load and run once every variant that a models directory wants served.

    Args:
        models_dir: directory with a manifest.
        also: variants to load besides, as far as the directory has them.
        ladder: variants to serve instead of those that the directory wants; empty: those.
        n_threads: threads one run may use.
        mark: called with the name of each phase that ended.

    Raises:
        InvalidModels: anything is missing, damaged or contradictory. Nothing is served then: a wrong
            answer is worse than none.
    """
    contents = _read(models_dir, also, ladder)
    manifest, catalogue = contents.manifest, Catalogue.decode(contents.catalogue)
    if len(catalogue) != manifest.dataset.n_items:
        raise InvalidModels(
            f"the catalogue has {len(catalogue)} items; the manifest says {manifest.dataset.n_items}"
        )
    mark("model_read")
    sessions = {}
    for name, content in contents.models.items():
        sessions[name] = ScoringSession(name, content, n_items=len(catalogue), n_threads=n_threads, mark=mark)
        mark(f"first_inference {name}")
    _require_indifference(sessions[manifest.serving[-1]])
    return LoadedModels(manifest, catalogue, sessions, contents.stamp)


def _read(models_dir: Path, also: Collection[str], ladder: Collection[str]) -> _Contents:
    """Read a directory as one version, though another may take its place meanwhile.

    A manifest and files of two versions do not fit each other, so a misfit is read once more, unless the
    manifest is still the one that it was: then the directory is at fault and not the moment.
    """
    manifest = b""
    try:
        manifest = read_manifest_bytes(models_dir)
        return _read_files(models_dir, manifest, also, ladder)
    except InvalidModels:
        time.sleep(REPLACEMENT_S)
        replacement = read_manifest_bytes(models_dir)
        if replacement == manifest:
            raise
        return _read_files(models_dir, replacement, also, ladder)


def _read_files(
    models_dir: Path, content: bytes, also: Collection[str], ladder: Collection[str]
) -> _Contents:
    manifest = parse_manifest(content)
    if ladder:
        manifest = manifest.narrowed(ladder)
    unserved = {*also, manifest.similar} - {*manifest.serving}
    wanted = [*manifest.serving, *(variant.name for variant in manifest.ladder if variant.name in unserved)]
    return _Contents(
        manifest,
        catalogue=read_verified(models_dir, manifest.catalogue),
        models={name: read_verified(models_dir, manifest.variant(name).file) for name in wanted},
        stamp=stamp_of(content),
    )


def _require_indifference(session: ScoringSession) -> None:
    """The last variant answers users without a history, so it must not look at one."""
    nobody = np.zeros((1, 0), np.int64)
    nothing, something = (session.recommend(np.full((1, 1), item), nobody, 10) for item in (0, 1))
    if not np.array_equal(nothing.items, something.items):
        raise InvalidModels(f"variant {session.name!r} is served last, but its answers depend on the history")
