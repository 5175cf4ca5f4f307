from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recserve.errors import InvalidModels
from recserve.inference import loading
from recserve.inference.loading import load_models
from recserve.inference.manifest import ModelFile, describe_file
from tests.recserve.conftest import write_models
from tests.recserve.inference.versions import edit_manifest, load, lose_a_byte, release


def edit_catalogue_title(models_dir: Path, title: str) -> None:
    path = models_dir / "catalogue.json"
    columns = msgspec.json.decode(path.read_bytes())
    columns["titles"][0] = title
    path.write_bytes(msgspec.json.encode(columns))
    described = msgspec.to_builtins(describe_file(path))
    edit_manifest(models_dir, lambda manifest: manifest.update(catalogue=described))


def test_loaded_variants_score_and_stand_in_the_order_of_the_ladder(models_dir: Path) -> None:
    models = load(models_dir)

    assert list(models.sessions) == ["near", "popular"]
    assert models.sessions["near"].recommend(np.array([[0, 2]]), np.array([[2]]), 1).items.tolist() == [[3]]


def test_phases_of_loading_are_marked(models_dir: Path) -> None:
    marks: list[str] = []

    load_models(models_dir, n_threads=1, mark=marks.append)

    assert marks == [
        "model_read",
        "session near",
        "first_inference near",
        "session popular",
        "first_inference popular",
    ]


@pytest.mark.parametrize("name", ["near.onnx", "popular.onnx", "catalogue.json"])
def test_file_that_lost_a_byte_is_refused(models_dir: Path, name: str) -> None:
    lose_a_byte(models_dir / name)

    with pytest.raises(InvalidModels, match=rf"{name} is damaged.*restore"):
        load(models_dir)


@pytest.mark.parametrize("name", ["near.onnx", "catalogue.json", "manifest.json"])
def test_missing_file_is_named(models_dir: Path, name: str) -> None:
    (models_dir / name).unlink()

    with pytest.raises(InvalidModels, match=rf"cannot read .*{name}"):
        load(models_dir)


def test_manifest_that_is_no_manifest_is_refused(models_dir: Path) -> None:
    (models_dir / "manifest.json").write_text('{"format": "one"}')

    with pytest.raises(InvalidModels, match="is not a manifest"):
        load(models_dir)


def test_manifest_of_another_format_is_refused(models_dir: Path) -> None:
    edit_manifest(models_dir, lambda manifest: manifest.update(format=99))

    with pytest.raises(InvalidModels, match="format 99"):
        load(models_dir)


def test_manifest_cannot_reach_outside_its_directory(models_dir: Path) -> None:
    edit_manifest(models_dir, lambda manifest: manifest["catalogue"].update(name="../catalogue.json"))

    with pytest.raises(InvalidModels, match="must lie directly"):
        load(models_dir)


def test_catalogue_that_disagrees_with_the_manifest_is_refused(models_dir: Path) -> None:
    edit_manifest(models_dir, lambda manifest: manifest["dataset"].update(n_items=7))

    with pytest.raises(InvalidModels, match="6 items; the manifest says 7"):
        load(models_dir)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m["ladder"].append(m["ladder"][0]), "names a variant twice"),
        (lambda m: m.update(max_history=0), "max_history 0"),
        (lambda m: m["catalogue"].update(bytes=1), "is damaged"),
        (lambda m: m["ladder"].reverse(), "the last must be 'near'"),
        (lambda m: m.update(serving=[]), "the last must be 'popular'"),
        (lambda m: m.update(serving=["popular"]), "'near', which is not served"),
        (lambda m: m.update(serving=["far", "popular"]), "unknown model variant 'far'"),
        (
            lambda m: (m["ladder"].reverse(), m["serving"].reverse()),
            "'near' is served last, but its answers depend",
        ),
        (lambda m: m.update(ladder=[]), "empty ladder"),
    ],
)
def test_contradictory_manifests_are_refused(
    models_dir: Path, edit: Callable[[dict], None], said: str
) -> None:
    edit_manifest(models_dir, edit)

    with pytest.raises(InvalidModels, match=said):
        load(models_dir)


def test_unknown_variant_for_similar_items_is_refused(models_dir: Path) -> None:
    edit_manifest(models_dir, lambda manifest: manifest.update(similar="far"))

    with pytest.raises(InvalidModels, match="unknown model variant 'far'"):
        load(models_dir)


def test_directory_replaced_while_it_is_read_is_read_again(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_verified = loading.read_verified

    def replace_then_read(models_dir: Path, file: ModelFile) -> bytes:
        monkeypatch.setattr(loading, "read_verified", read_verified)
        release(models_dir, "test-2")
        edit_catalogue_title(models_dir, "Another film")
        return read_verified(models_dir, file)

    monkeypatch.setattr(loading, "read_verified", replace_then_read)
    models = load(models_dir)

    assert models.manifest.version == "test-2"
    assert models.catalogue.columns.titles[0] == "Another film"
    assert models.stamp == load(models_dir).stamp


def test_directory_that_is_away_for_the_moment_of_its_replacement_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits_s: list[float] = []

    def arrive(wait_s: float) -> None:
        waits_s.append(wait_s)
        write_models(tmp_path / "models")

    monkeypatch.setattr(loading.time, "sleep", arrive)

    assert load(tmp_path / "models").manifest.version == "test-1"
    assert waits_s == [loading.REPLACEMENT_S]


def test_manifest_cannot_name_itself_or_a_parent(models_dir: Path) -> None:
    for name in ("..", "manifest.json", ""):
        edit_manifest(models_dir, lambda manifest, name=name: manifest["catalogue"].update(name=name))

        with pytest.raises(InvalidModels, match="must lie directly"):
            load(models_dir)
