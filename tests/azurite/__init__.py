"""Azurite for tests that need the real protocol of Azure Storage.

A pytest plugin (tests/conftest.py names it) with two fixtures: `azurite`, shared by the whole run and never
stopped, and `azurite_to_kill`, the test's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulator.azurite import Azurite, AzuriteMissing, running_azurite


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Shared: use containers and tables with names of your own."""
    with _running_or_skip(tmp_path_factory.mktemp("azurite")) as running:
        yield running


@pytest.fixture
def azurite_to_kill(tmp_path: Path) -> Iterator[Azurite]:
    folder = tmp_path / "azurite"
    folder.mkdir()
    with _running_or_skip(folder) as running:
        yield running


@contextmanager
def _running_or_skip(folder: Path) -> Iterator[Azurite]:
    """Azurite on a data folder; skips the test where it cannot be installed."""
    try:
        with running_azurite(folder) as running:
            yield running
    except AzuriteMissing as err:
        pytest.skip(str(err))
