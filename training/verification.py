"""Checks a models directory end to end: all that a service checks when it loads one, and every rung, served or not."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from recserve.errors import InvalidModels
from recserve.inference.manifest import Manifest, Variant, read_manifest, read_verified


class CatalogueColumns(msgspec.Struct, frozen=True, kw_only=True):
    """What the service reads of the catalogue: item number i at index i - 1 of every column."""

    ids: list[int | str]
    titles: list[str]
    years: list[int | None]
    genres: list[list[str]]
    n_interactions: list[int]


def verify(models_dir: Path) -> Manifest:
    """Check files against the manifest, the catalogue, and every graph by runs.

    Raises:
        InvalidModels: what is wrong, one line a fault.
    """
    manifest = read_manifest(models_dir)
    faults = list(_catalogue_faults(models_dir, manifest))
    for variant in manifest.ladder:
        faults += _variant_faults(models_dir, variant, manifest)
    if faults:
        raise InvalidModels("\n".join(faults))
    return manifest


def _catalogue_faults(models_dir: Path, manifest: Manifest) -> Iterator[str]:
    try:
        content = read_verified(models_dir, manifest.catalogue)
        columns = msgspec.json.decode(content, type=CatalogueColumns)
    except InvalidModels as err:
        yield str(err)
        return
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        yield f"the catalogue cannot be read: {err}"
        return
    for name in columns.__struct_fields__:
        n_items = len(getattr(columns, name))
        if n_items != manifest.dataset.n_items:
            yield f"the catalogue has {n_items} {name}; the manifest says {manifest.dataset.n_items} items"
    if len(set(map(str, columns.ids))) != len(columns.ids):
        yield "the catalogue holds an item id twice"


def _variant_faults(models_dir: Path, variant: Variant, manifest: Manifest) -> Iterator[str]:
    try:
        content = read_verified(models_dir, variant.file)
    except InvalidModels as err:
        yield str(err)
        return
    try:
        session = ort.InferenceSession(content, _quiet(), providers=["CPUExecutionProvider"])
        yield from _answer_faults(session, variant, manifest)
    except Exception as err:  # ONNX Runtime's own exception classes are not public
        reason = str(err).partition("\n")[0]
        yield f"variant {variant.name!r} does not run: {reason}"


def _answer_faults(session: ort.InferenceSession, variant: Variant, manifest: Manifest) -> Iterator[str]:
    """Two histories must be answered with the items of the catalogue, without those that were seen."""
    n_items = manifest.dataset.n_items
    history, nothing = np.ones((2, 1), np.int64), np.zeros((2, 0), np.int64)
    for seen in (nothing, history):
        items, scores = _answer(session, history, seen, k=n_items + 1)
        expected = set(range(1, n_items + 1)) - set(seen[0].tolist())
        if len(items) != 2 or any(sorted(row[row != 0].tolist()) != sorted(expected) for row in items):
            yield f"variant {variant.name!r} does not answer with the items of the catalogue"
            return
        if not np.isfinite(scores[items != 0]).all():
            yield f"variant {variant.name!r} answers with scores that are no numbers"
            return
    if variant.name == manifest.serving[-1]:
        empty, some = (_answer(session, np.full((1, 1), item), nothing[:1], k=10)[0] for item in (0, 1))
        if not np.array_equal(empty, some):
            yield f"variant {variant.name!r} is served last, but its answers depend on the history"


def _answer(
    session: ort.InferenceSession, history: NDArray[np.int64], seen: NDArray[np.int64], *, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Item numbers and scores, both (batch, at most k)."""
    items, scores = session.run(["items", "scores"], {"history": history, "seen": seen, "k": np.array([k])})
    return items, scores


def _quiet() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return options
