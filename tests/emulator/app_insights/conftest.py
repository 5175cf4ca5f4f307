"""Emulators for the tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulator.app_insights.emulator_process import EmulatorProcess


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., EmulatorProcess]]:
    """Start emulators, all on one data folder unless told otherwise; what still runs is killed afterwards."""
    started: list[EmulatorProcess] = []

    def launch(
        *options: str, data: Path = tmp_path / "data", prefix: tuple[str, ...] = ()
    ) -> EmulatorProcess:
        started.append(EmulatorProcess(data, *options, prefix=prefix))
        return started[-1]

    yield launch
    for emulator in started:
        emulator.kill()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """Shared by the tests of a module: each uses names of its own."""
    running = EmulatorProcess(tmp_path_factory.mktemp("shared") / "data")
    yield running
    running.kill()
