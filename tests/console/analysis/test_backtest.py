"""The backtest's result as the console reads it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.analysis.backtest import read_backtest

RESULT = {
    "benchmark": "backtest",
    "date": "2026-11-22T20:00:00+00:00",
    "figures": {
        "summary": {
            "p95": {"n": 1, "median_error": 0.1, "worst_error": 0.1, "limit": 0.15, "n_missed": 0},
            "p50": {"n": 1, "median_error": 0.2, "worst_error": 0.2, "limit": None, "n_missed": 0},
        },
        "comparisons": [
            {"run": "bursts", "figure": "p95", "observed": 0.01, "predicted": 0.011, "error": 0.1, "is_miss": False},
            {"run": "bursts", "figure": "p50"},
        ],
    },
}  # fmt: skip


def test_backtest_tells_errors_and_limits(tmp_path: Path) -> None:
    (tmp_path / "backtest.json").write_text(json.dumps(RESULT))

    backtest = read_backtest(tmp_path / "backtest.json")

    assert backtest is not None
    assert backtest.limits == {"p95": 0.15}
    assert backtest.n_runs == 1
    assert backtest.at == datetime(2026, 11, 22, 20, tzinfo=UTC)
    assert len(backtest.comparisons) == 1


def test_without_a_readable_result_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "damaged.json").write_text("{")

    assert read_backtest(tmp_path / "missing.json") is None
    assert read_backtest(tmp_path / "damaged.json") is None


@pytest.mark.parametrize("date", ["", "yesterday", None])
def test_result_without_a_date_is_not_readable(tmp_path: Path, date: object) -> None:
    (tmp_path / "backtest.json").write_text(json.dumps(RESULT | {"date": date}))

    assert read_backtest(tmp_path / "backtest.json") is None
