"""A bundle that changes while it is handed out."""

from pathlib import Path

import msgspec
import pytest

from recserve.content import Known
from recserve.edge.offer import LOOK_EVERY_S, EdgeOffer
from recserve.inference.manifest import MANIFEST_NAME, read_manifest
from tests.recserve.conftest import write_models


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def edge_dir(tmp_path: Path) -> Path:
    return write_models(tmp_path / "edge")


@pytest.fixture
def offer(edge_dir: Path, clock: Clock) -> EdgeOffer:
    return EdgeOffer(edge_dir, max_age_s=60, clock=clock)


async def version(offer: EdgeOffer, edge_dir: Path) -> str:
    content = await offer.manifest(read_manifest(edge_dir), Known())
    return str(msgspec.json.decode(content.body)["version"])


def rewrite(edge_dir: Path, version: str) -> None:
    path = edge_dir / MANIFEST_NAME
    path.write_bytes(path.read_bytes().replace(b"test-1", version.encode()))


async def test_another_bundle_is_noticed_without_a_restart(
    offer: EdgeOffer, edge_dir: Path, clock: Clock
) -> None:
    before = await version(offer, edge_dir)
    rewrite(edge_dir, "test-1-b")
    at_once = await version(offer, edge_dir)
    clock.now_s += LOOK_EVERY_S

    assert (before, at_once, await version(offer, edge_dir)) == ("test-1", "test-1", "test-1-b")


async def test_damaged_successor_leaves_the_bundle_before(
    offer: EdgeOffer, edge_dir: Path, clock: Clock
) -> None:
    served = read_manifest(edge_dir)
    await offer.manifest(served, Known())
    (edge_dir / MANIFEST_NAME).write_bytes(b"{")
    clock.now_s += LOOK_EVERY_S

    content = await offer.manifest(served, Known())

    assert msgspec.json.decode(content.body)["version"] == "test-1"


async def test_page_that_is_made_later_is_noticed(offer: EdgeOffer, edge_dir: Path, clock: Clock) -> None:
    before = await offer.page(Known())
    (edge_dir / "web").mkdir()
    (edge_dir / "web" / "demo.html").write_text("<title>Demo</title>")
    clock.now_s += LOOK_EVERY_S

    assert b"make edge" in before.body
    assert (await offer.page(Known())).body == b"<title>Demo</title>"
