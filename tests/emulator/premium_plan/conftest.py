"""Plans for the tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulator.premium_plan.plan_process import PlanProcess


@pytest.fixture
def start_plan(tmp_path: Path) -> Iterator[Callable[..., PlanProcess]]:
    """Start plans, all on one folder unless told otherwise; what still runs is stopped afterwards."""
    started: list[PlanProcess] = []

    def launch(*options: str, data: Path = tmp_path / "plan") -> PlanProcess:
        started.append(PlanProcess(data, *options))
        return started[-1]

    yield launch
    for plan in started:
        plan.stop()
