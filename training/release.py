"""Writes a models directory: beside its final place first, then renamed, so that it is never half-written."""

import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from recserve.inference.manifest import (
    FORMAT,
    MANIFEST_NAME,
    Dataset,
    Manifest,
    ModelFile,
    Provenance,
    Unshipped,
    Variant,
    describe_file,
)
from training import datasets
from training.card import write_card
from training.errors import TrainingError
from training.sequences import Sequences
from training.writing import refusal

CATALOGUE_NAME = "catalogue.json"
TERMS_NAME = "DATA-LICENCE.txt"
STAGING_SUFFIX = ".staging"


def encode_catalogue(dataset: datasets.Dataset, sequences: Sequences, popularity: NDArray[np.int64]) -> bytes:
    """The catalogue file: columns of the items that models know, in the order of their numbers.

    Raises:
        DatasetError: an item that was taken is missing from the items file.
    """
    known = {row["item_id"]: row for row in dataset.items.iter_rows(named=True)}
    missing = [item_id for item_id in sequences.item_ids if item_id not in known]
    if missing:
        raise datasets.DatasetError(
            f"{len(missing)} items have interactions but no title, the first is {missing[0]!r}; "
            "add them to the items file"
        )
    rows = [known[item_id] for item_id in sequences.item_ids]
    columns = {
        "ids": sequences.item_ids,
        "titles": [row["title"] for row in rows],
        "years": [row["year"] for row in rows],
        "genres": [row["genres"] for row in rows],
        "n_interactions": popularity.tolist(),
    }
    return msgspec.json.encode(columns)


def write_release(
    target: Path,
    staging: Path,
    *,
    dataset: datasets.Dataset,
    sequences: Sequences,
    ladder: Sequence[Variant],
    serving: list[str],
    similar: str,
    max_history: int,
    unshipped: dict[str, Unshipped],
    provenance: Provenance,
) -> Manifest:
    """Complete the staged model files with manifest, card and licence, and move all to `target`.

    Args:
        target: the models directory; one that is there is replaced as a whole.
        staging: directory beside it with the catalogue and every file of the ladder.
    """
    catalogue = describe_file(staging / CATALOGUE_NAME)
    manifest = Manifest(
        format=FORMAT,
        version=f"{provenance.created[:10]}-{_digest([catalogue, *(variant.file for variant in ladder)])}",
        dataset=Dataset(
            name=dataset.name,
            source=dataset.source,
            licence=dataset.licence,
            n_users=len(sequences.users),
            n_items=sequences.n_items,
            n_interactions=sum(map(len, sequences.users)),
            allow_repeats=sequences.allow_repeats,
            sha256=dataset.sha256,
        ),
        catalogue=catalogue,
        ladder=list(ladder),
        serving=serving,
        similar=similar,
        max_history=max_history,
        unshipped=unshipped,
        provenance=provenance,
    )
    (staging / MANIFEST_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    (staging / TERMS_NAME).write_text(dataset.terms, encoding="utf-8")
    (staging / "README.md").write_text(write_card(manifest), encoding="utf-8")
    replace(target, staging)
    return manifest


class ReleaseError(TrainingError):
    """A place that models cannot be written to; the message names it and the remedy."""


def require_replaceable(target: Path) -> None:
    """Refuse to replace what is not a models directory, before hours of fitting.

    Raises:
        ReleaseError: something else is there.
    """
    if not target.name or target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ReleaseError(
            f"{target} cannot be replaced as a whole; name a directory of its own for the models"
        )
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST_NAME).exists():
        raise ReleaseError(
            f"{target} holds files but no {MANIFEST_NAME}; it is not a models directory, choose another"
        )


@contextmanager
def staging_beside(target: Path) -> Iterator[Path]:
    """A fresh directory on the same file system as `target`, gone afterwards unless it was released.

    Those that killed runs left are removed first. A run holds a lock on its own, which ends with the process.

    Raises:
        OSError: the disk refuses; what was at `target` is as it was.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=STAGING_SUFFIX, dir=target.parent))
        lock = _lock(staging)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if lock is not None:
                os.close(lock)
    except OSError as err:
        raise refusal(target, err) from err


def _remove_stale(target: Path) -> None:
    for left in target.parent.glob(f".{glob.escape(target.name)}-????????{STAGING_SUFFIX}"):
        lock = _lock(left)
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def _lock(directory: Path) -> int | None:
    """Lock a directory until its descriptor is closed; None where another process has it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _digest(files: list[ModelFile]) -> str:
    return hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()[:8]


def replace(target: Path, staging: Path) -> None:
    """Put a complete models directory in the place of the one that is served, by renaming both.

    Args:
        target: the models directory; nothing need be there yet.
        staging: the other one, on the same file system; gone from where it was.
    """
    staging.chmod(0o755)
    old = target.with_name(f".{target.name}-replaced")
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
