"""Versions of the six-film models directory, released as training releases them: renamed into place."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from recserve.inference.loading import LoadedModels, load_models
from tests.recserve.conftest import write_models


def edit_manifest(models_dir: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = models_dir / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes())
    edit(manifest)
    path.write_bytes(msgspec.json.encode(manifest))


def release(models_dir: Path, version: str) -> Path:
    """Replace a models directory, as `training.release` does, with another version of it."""
    staging = write_models(models_dir.with_name(f".{models_dir.name}-staging"))
    edit_manifest(staging, lambda manifest: manifest.update(version=version))
    shutil.rmtree(models_dir, ignore_errors=True)
    return staging.rename(models_dir)


def lose_a_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def load(models_dir: Path) -> LoadedModels:
    return load_models(models_dir, n_threads=1, mark=lambda _: None)
