"""The real service, handing out the bundle that ships, and the browser client beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.edge.page import EDGE_DIR, lay_out_bundle
from benchmarks.server import serving
from emulator.npm import NpmMissing


@dataclass(frozen=True, slots=True)
class EdgeService:
    """A running service."""

    url: str
    "Its origin."
    edge_dir: Path
    "What it hands out; a test may change it, and puts it back."


@pytest.fixture(scope="session")
def bundle_with_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle with what `make edge` adds."""
    if not (EDGE_DIR / "manifest.json").exists():
        pytest.skip("models/edge does not exist; run `python -m training edge`")
    try:
        return lay_out_bundle(tmp_path_factory.mktemp("bundle") / "edge")
    except NpmMissing as err:
        pytest.skip(str(err))


@pytest.fixture(scope="module")
def edge_service(bundle_with_client: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeService]:
    """A host that hands out the bundle to anybody, on pages of any origin."""
    folder = tmp_path_factory.mktemp("service")
    settings = {
        "RECSERVE_EDGE": "public",
        "RECSERVE_EDGE_DIR": str(bundle_with_client),
        "RECSERVE_STATE_PATH": str(folder / "state.db"),
        "RECSERVE_OUTBOX_PATH": str(folder / "outbox.db"),
    }
    with serving(settings, core=0, log=folder / "log.txt", options=("--cors", "*")) as server:
        yield EdgeService(f"http://127.0.0.1:{server.port}", bundle_with_client)
