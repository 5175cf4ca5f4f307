"""What a service would refuse to load, `verify` must find first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from recserve.errors import InvalidModels
from recserve.inference.loading import load_models
from recserve.inference.manifest import MANIFEST_NAME, describe_file
from tests.recserve.conftest import N_ITEMS, write_lookup_model, write_models
from training.verification import verify


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return write_models(tmp_path / "models")


def accept(models_dir: Path) -> None:
    """Make the manifest's digests those of the files, as a run would that wrote something wrong."""
    path = models_dir / MANIFEST_NAME
    manifest = msgspec.json.decode(path.read_bytes())
    for entry in (manifest["catalogue"], *(variant["file"] for variant in manifest["ladder"])):
        entry |= msgspec.to_builtins(describe_file(models_dir / entry["name"]))
    path.write_bytes(msgspec.json.encode(manifest))


def edit_catalogue(models_dir: Path, **columns: Any) -> None:
    path = models_dir / "catalogue.json"
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | columns))


def depend_on_history(models_dir: Path) -> None:
    (models_dir / "popular.onnx").write_bytes((models_dir / "near.onnx").read_bytes())


def know_fewer_items(models_dir: Path) -> None:
    write_lookup_model(models_dir / "near.onnx", np.ones((N_ITEMS + 1, N_ITEMS - 1)))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "last rung looks at the history": (
        depend_on_history,
        "variant 'popular' is served last, but its answers depend on the history",
    ),
    "graph of another catalogue": (
        know_fewer_items,
        "variant 'near' does not answer with the items of the catalogue",
    ),
    "graph that is none": (
        lambda models_dir: (models_dir / "near.onnx").write_bytes(b"no graph"),
        "variant 'near' does not run: ",
    ),
    "item id twice": (
        lambda models_dir: edit_catalogue(models_dir, ids=[10, 20, 30, 40, 50, "10"]),
        "the catalogue holds an item id twice",
    ),
    "column too short": (
        lambda models_dir: edit_catalogue(models_dir, years=[2000]),
        "the catalogue has 1 years; the manifest says 6 items",
    ),
    "column of another type": (
        lambda models_dir: edit_catalogue(models_dir, years=["long ago"] * 6),
        "the catalogue cannot be read: Expected `int | null`, got `str`",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_loading_refuses_is_found(models_dir: Path, damage: str) -> None:
    spoil, said = DAMAGES[damage]
    spoil(models_dir)
    accept(models_dir)

    with pytest.raises(InvalidModels):
        load_models(models_dir, n_threads=1, mark=lambda _: None)
    with pytest.raises(InvalidModels) as found:
        verify(models_dir)

    (line,) = str(found.value).splitlines()
    assert line.startswith(said)


def test_every_fault_has_its_line(models_dir: Path) -> None:
    edit_catalogue(models_dir, ids=[10, 20, 30, 40, 50, "10"])
    depend_on_history(models_dir)
    accept(models_dir)
    (models_dir / "near.onnx").write_bytes(b"damaged afterwards")

    with pytest.raises(InvalidModels) as found:
        verify(models_dir)

    lines = str(found.value).splitlines()
    assert [line.split()[0] for line in lines] == ["the", "near.onnx", "variant"]


def test_whole_directory_passes(models_dir: Path) -> None:
    assert verify(models_dir).serving == ["near", "popular"]
