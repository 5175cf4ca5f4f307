"""How wrong the planner was, from the result that `python -m benchmarks` leaves beside the console."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

BACKTEST = Path(__file__).parents[2] / "benchmarks" / "results" / "backtest.json"


class Summary(msgspec.Struct, frozen=True):
    """Errors of one figure, in shares of what was observed."""

    n: int
    median_error: float
    worst_error: float | None = None
    limit: float | None = None
    n_missed: int = 0


class _Figures(msgspec.Struct, frozen=True):
    summary: dict[str, Summary]
    comparisons: tuple[dict[str, Any], ...]


class _Result(msgspec.Struct, frozen=True):
    date: datetime
    figures: _Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Predictions of runs that were observed."""

    at: datetime
    summary: Mapping[str, Summary]
    "By figure."
    comparisons: tuple[Mapping[str, Any], ...]
    "`run`, `figure`, `observed`, `predicted`, `error`, `is_miss`."

    @property
    def n_runs(self) -> int:
        return len({each["run"] for each in self.comparisons})

    @property
    def limits(self) -> dict[str, float]:
        """What an error may be, of the figures that are judged."""
        return {name: of.limit for name, of in self.summary.items() if of.limit is not None}


def read_backtest(path: Path = BACKTEST) -> Backtest | None:
    """The newest backtest; None where there is none, as in a packaged console, or it cannot be read."""
    try:
        result = msgspec.json.decode(path.read_bytes(), type=_Result)
    except (OSError, msgspec.DecodeError):
        return None
    known = tuple(
        each for each in result.figures.comparisons if {"run", "figure", "error", "is_miss"} <= each.keys()
    )
    at = result.date if result.date.tzinfo else result.date.replace(tzinfo=UTC)
    return Backtest(at=at, summary=result.figures.summary, comparisons=known)
