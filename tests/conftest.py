"""What all tests share."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest

pytest_plugins = ["tests.azurite"]

# A busy machine must not turn answers into refusals or cheaper ones; tests of these set their own.
for setting, value in {"DEADLINE_MS": "60000", "SLO_MS": "60000", "BROWNOUT_AT": "1"}.items():
    os.environ.setdefault(f"RECSERVE_{setting}", value)

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _refuse_skip((yield))


def _refuse_skip(report: Report) -> Report:
    """With RECSERVE_NO_SKIPS set, as in CI, a test that cannot run has failed."""
    if os.environ.get("RECSERVE_NO_SKIPS") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, where RECSERVE_NO_SKIPS allows none: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def ml_latest_small() -> Path:
    """The MovieLens release that the shipped models were made from."""
    path = SHARED / "data" / "ml-latest-small"
    if not path.is_dir():
        pytest.skip("MovieLens ml-latest-small is not beside this checkout (../shared/data)")
    return path
