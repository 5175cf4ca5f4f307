from pathlib import Path

from recserve.inference.sources import DirectorySource
from tests.recserve.inference.versions import load, release


async def test_stamp_of_a_directory_is_that_of_the_models_loaded_from_it(models_dir: Path) -> None:
    source = DirectorySource(models_dir)

    stamp = await source.newest()

    assert stamp == load(models_dir).stamp
    assert await source.fetch(stamp) == models_dir


async def test_stamp_changes_with_the_version_and_only_then(models_dir: Path) -> None:
    source = DirectorySource(models_dir)
    first = await source.newest()

    assert await source.newest() == first
    release(models_dir, "test-2")
    assert await source.newest() != first


async def test_directory_without_a_manifest_holds_no_version(tmp_path: Path) -> None:
    assert await DirectorySource(tmp_path / "nowhere").newest() is None
