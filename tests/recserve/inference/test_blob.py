"""Against Azurite, through the real client."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from emulator.azurite import ACCOUNT, KEY, Azurite
from recserve.errors import InvalidModels, ModelsUnavailable
from recserve.inference.blob import ABANDONED_S, BlobSource, open_container, publish
from recserve.inference.manifest import ModelFile, read_manifest
from recserve.inference.registry import ModelRegistry, ServedModels
from tests.conftest import ROOT
from tests.recserve.inference.versions import edit_manifest, load, lose_a_byte, release

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


@pytest.fixture
def container(azurite: Azurite) -> "ContainerClient":
    return open_container(connection_string=azurite.connection_string, container=f"models-{uuid4().hex[:12]}")


@pytest.fixture
def open_source(azurite: Azurite, container: "ContainerClient", tmp_path: Path) -> Callable[[], BlobSource]:
    """Sources as several processes of one instance have them: on one cache."""
    return lambda: BlobSource(
        connection_string=azurite.connection_string,
        container=container.container_name,
        cache_dir=tmp_path / "cache",
    )


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were downloaded."""
    names: list[str] = []
    download = BlobSource._download

    def noted(self: BlobSource, file: ModelFile, path: Path) -> None:
        download(self, file, path)
        names.append(file.name)

    monkeypatch.setattr(BlobSource, "_download", noted)
    return names


async def fetch(source: BlobSource) -> Path:
    stamp = await source.newest()
    assert stamp is not None
    return await source.fetch(stamp)


def blob_of(models_dir: Path, variant: str) -> str:
    return f"files/{read_manifest(models_dir).variant(variant).file.sha256}"


async def test_published_models_arrive_as_they_were(models_dir: Path, container, open_source) -> None:
    version = publish(models_dir, container)

    source = open_source()
    stamp = await source.newest()
    fetched = await source.fetch(stamp)

    assert version == "test-1"
    assert load(fetched).stamp == stamp == load(models_dir).stamp


async def test_a_sas_of_the_container_suffices_to_publish(models_dir: Path, container, open_source) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    container.create_container()
    sas = generate_container_sas(
        ACCOUNT,
        container.container_name,
        account_key=KEY,
        permission=ContainerSasPermissions(read=True, write=True, create=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )

    publish(models_dir, open_container(f"{container.url}?{sas}"))

    assert await open_source().newest() == load(models_dir).stamp


async def test_container_without_a_manifest_holds_no_version(container, open_source) -> None:
    container.create_container()

    assert await open_source().newest() is None


async def test_container_that_does_not_exist_is_unavailable(open_source) -> None:
    with pytest.raises(ModelsUnavailable, match="the container of models cannot be used"):
        await open_source().newest()


async def test_manifest_is_not_sent_again_while_it_is_the_same(
    models_dir: Path, container, open_source, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(models_dir, container)
    source = open_source()
    first = await source.newest()
    statuses: list[int] = []
    client = source._container()
    client._client._client._pipeline._transport.send = _noting(
        client._client._client._pipeline._transport.send, statuses
    )

    assert await source.newest() == first
    release(models_dir, "test-2")
    publish(models_dir, container)
    assert await source.newest() not in (None, first)

    assert statuses == [304, 206]


def _noting(send: Callable, statuses: list[int]) -> Callable:
    def noting(request, **options):
        response = send(request, **options)
        statuses.append(response.status_code)
        return response

    return noting


async def test_files_that_two_versions_share_are_downloaded_once(
    models_dir: Path, container, open_source, downloads: list[str]
) -> None:
    publish(models_dir, container)
    await fetch(open_source())
    assert downloads == ["catalogue.json", "near.onnx", "popular.onnx"]

    release(models_dir, "test-2")
    publish(models_dir, container)
    fetched = await fetch(open_source())

    assert load(fetched).manifest.version == "test-2"
    assert len(downloads) == 3


async def test_version_that_is_being_read_survives_the_publishing_of_another(
    models_dir: Path, container, open_source
) -> None:
    publish(models_dir, container)
    source = open_source()
    stamp = await source.newest()
    release(models_dir, "test-2")
    publish(models_dir, container)

    assert load(await source.fetch(stamp)).manifest.version == "test-1"
    assert load(await fetch(source)).manifest.version == "test-2"


async def test_interrupted_download_goes_on_where_it_ended(
    models_dir: Path, container, open_source, downloads: list[str]
) -> None:
    publish(models_dir, container)
    good = container.get_blob_client(blob_of(models_dir, "popular")).download_blob().readall()
    container.delete_blob(blob_of(models_dir, "popular"))

    with pytest.raises(
        InvalidModels, match=r"the container lacks files/\w+, which the manifest calls popular"
    ):
        await fetch(open_source())
    assert open_source().cached() is None
    container.upload_blob(blob_of(models_dir, "popular"), good)
    load(await fetch(open_source()))

    assert downloads == ["catalogue.json", "near.onnx", "popular.onnx"]


async def test_blob_that_holds_something_else_is_refused_and_leaves_nothing(
    models_dir: Path, container, open_source, tmp_path: Path
) -> None:
    publish(models_dir, container)
    container.upload_blob(blob_of(models_dir, "near"), b"something else", overwrite=True)

    with pytest.raises(InvalidModels, match=r"files/\w+ holds something else.*publish again"):
        await fetch(open_source())
    (version_dir,) = (tmp_path / "cache").iterdir()
    assert [path.name for path in version_dir.iterdir()] == ["catalogue.json"]


async def test_file_damaged_in_the_cache_is_downloaded_again(
    models_dir: Path, container, open_source, downloads: list[str]
) -> None:
    publish(models_dir, container)
    lose_a_byte(await fetch(open_source()) / "near.onnx")

    load(await fetch(open_source()))

    assert downloads[3:] == ["near.onnx"]


async def test_cache_keeps_the_newest_two_versions(
    models_dir: Path, container, open_source, tmp_path: Path
) -> None:
    source = open_source()
    for number in range(4):
        release(models_dir, f"test-{number}")
        publish(models_dir, container)
        fetched = await fetch(source)
        os.utime(fetched / "manifest.json", (number, number))

    kept = {read_manifest(path).version for path in (tmp_path / "cache").iterdir()}
    assert kept == {"test-2", "test-3"}
    assert read_manifest(open_source().cached()).version == "test-3"


async def test_abandoned_downloads_are_deleted_and_those_under_way_are_not(
    models_dir: Path, container, open_source, tmp_path: Path
) -> None:
    abandoned, under_way = tmp_path / "cache" / "abandoned", tmp_path / "cache" / "under-way"
    abandoned.mkdir(parents=True)
    under_way.mkdir()
    long_ago_s = time.time() - ABANDONED_S - 1
    os.utime(abandoned, (long_ago_s, long_ago_s))

    publish(models_dir, container)
    await fetch(open_source())

    assert (under_way.exists(), abandoned.exists()) == (True, False)


@pytest.mark.parametrize("name", ["../stolen.json", "..", "manifest.json"])
async def test_manifest_cannot_write_outside_its_directory(
    models_dir: Path, container, open_source, name: str, tmp_path: Path
) -> None:
    publish(models_dir, container)
    edit_manifest(models_dir, lambda manifest: manifest["catalogue"].update(name=name))
    container.upload_blob("manifest.json", (models_dir / "manifest.json").read_bytes(), overwrite=True)

    with pytest.raises(InvalidModels, match="must lie directly"):
        await fetch(open_source())
    assert not (tmp_path / "cache" / "stolen.json").exists()


@pytest.mark.parametrize("name", ["near.onnx", "catalogue.json"])
def test_damaged_models_are_not_published(models_dir: Path, container, name: str) -> None:
    lose_a_byte(models_dir / name)

    with pytest.raises(InvalidModels, match=f"{name} is damaged"):
        publish(models_dir, container)
    assert not container.exists()


def test_card_and_licence_travel_with_the_models(models_dir: Path, container) -> None:
    (models_dir / "DATA-LICENCE.txt").write_text("for research")

    publish(models_dir, container)

    assert container.download_blob("DATA-LICENCE.txt").readall() == b"for research"
    assert {blob.name for blob in container.list_blobs()} == {
        "DATA-LICENCE.txt",
        "manifest.json",
        blob_of(models_dir, "near"),
        blob_of(models_dir, "popular"),
        f"files/{read_manifest(models_dir).catalogue.sha256}",
    }


def test_earlier_version_can_be_published_again(models_dir: Path, container, tmp_path: Path) -> None:
    earlier = release(tmp_path / "earlier", "test-0")
    publish(earlier, container)
    publish(models_dir, container)

    assert publish(earlier, container) == "test-0"
    assert container.download_blob("manifest.json").readall() == (earlier / "manifest.json").read_bytes()


@pytest.fixture
def registry(models_dir: Path, open_source) -> ModelRegistry:
    return ModelRegistry(
        open_source(), load, lambda models: ServedModels.of(models, {}), current=_serve(load(models_dir))
    )


def _serve(models) -> ServedModels:
    return ServedModels.of(models, {})


async def test_registry_takes_what_is_published(models_dir: Path, container, registry: ModelRegistry) -> None:
    publish(models_dir, container)
    assert (await registry.reload()).outcome == "unchanged"
    release(models_dir, "test-2")
    publish(models_dir, container)

    reload = await registry.reload()

    assert (reload.outcome, reload.to_version, reload.is_drained) == ("swapped", "test-2", True)


async def test_registry_refuses_a_corrupted_blob_and_goes_on(
    models_dir: Path, container, registry: ModelRegistry
) -> None:
    release(models_dir, "test-2")
    publish(models_dir, container)
    container.upload_blob(blob_of(models_dir, "near"), b"something else", overwrite=True)

    reload = await registry.reload()

    assert (reload.outcome, list(reload.seconds)) == ("refused", ["check"])
    assert "holds something else" in reload.reason
    assert registry.current.manifest.version == "test-1"


async def test_registry_goes_on_while_the_storage_is_down(
    models_dir: Path, azurite_to_kill: Azurite, tmp_path: Path
) -> None:
    address = {"connection_string": azurite_to_kill.connection_string, "container": "models"}
    source = BlobSource(cache_dir=tmp_path / "cache", **address)
    registry = ModelRegistry(source, load, _serve, current=_serve(load(models_dir)))
    publish(release(models_dir, "test-2"), open_container(**address))
    assert await source.newest() is not None
    azurite_to_kill.kill()

    reload = await registry.reload()

    assert reload.outcome == "unavailable"
    assert reload.reason.startswith("the container of models cannot be used")
    assert "\n" not in reload.reason


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "recserve.inference.blob", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_publishes(models_dir: Path, azurite: Azurite, container) -> None:
    address = ("--connection-string", azurite.connection_string, "--container", container.container_name)

    ended = command("publish", str(models_dir), *address)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("published test-1 to http://127.0.0.1:")


def test_command_says_what_is_wrong_in_one_line(models_dir: Path, azurite: Azurite) -> None:
    lose_a_byte(models_dir / "near.onnx")
    address = ("--connection-string", azurite.connection_string)

    damaged = command("publish", str(models_dir), *address)
    nowhere = command("publish", str(models_dir / "nowhere"), *address)
    unreadable = command("publish", str(models_dir), "--connection-string", "hello")

    for ended, said in (
        (damaged, "error: near.onnx is damaged"),
        (nowhere, "error: cannot read manifest.json"),
        (unreadable, "error: cannot open the container of models"),
    ):
        assert ended.returncode == 1
        assert ended.stderr.startswith(said)
        assert ended.stderr.count("\n") == 1


def test_storage_client_is_imported_on_first_use() -> None:
    program = (
        "import sys, recserve.inference.blob as blob;"
        "blob.BlobSource('https://a.blob.core.windows.net/models', cache_dir=None);"
        "print(sorted(name for name in sys.modules if name.startswith(('azure.storage', 'azure.identity'))))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ended.stdout == "[]\n"
