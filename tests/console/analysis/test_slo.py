from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from console.analysis.slo import (
    Promise,
    burn_course,
    burn_tone,
    kept_of,
    rate_course,
    refused_course,
    with_held,
    worst_of,
)
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PROMISE = Promise(0.99, 25.0)


def requests(
    *good: int, n: int = 100, shed: int = 0, failed: int = 0, minutes: tuple[int, ...] | None = None
) -> Table:
    """A bin of `n` requests a minute, so many of them good."""
    at = minutes or tuple(range(len(good)))
    return table_of(
        {
            "interval_start": [START + minute * MINUTE for minute in at],
            "n_requests": [n] * len(good),
            "n_good": list(good),
            "n_over": [n - each - shed - failed for each in good],
            "n_shed": [shed] * len(good),
            "n_failed": [failed] * len(good),
        }
    )


def test_burn_rate_is_the_share_that_missed_over_the_share_that_may() -> None:
    kept = kept_of(requests(100, 94))

    assert kept.share == pytest.approx(0.97)
    assert kept.burn(PROMISE) == pytest.approx(3.0)


def test_burn_interval_holds_the_rate_and_narrows_with_requests() -> None:
    few, many = kept_of(requests(97)), kept_of(requests(97_000, n=100_000))

    low, high = few.burn_interval(PROMISE)
    assert low < few.burn(PROMISE) < high
    assert low < 1.2
    assert many.burn_interval(PROMISE)[1] - many.burn_interval(PROMISE)[0] < (high - low) / 10


def test_window_counts_only_its_own_bins() -> None:
    table = requests(0, 100, 100)

    assert kept_of(table, since=START + MINUTE).burn(PROMISE) == pytest.approx(0)
    assert burn_course(table, PROMISE, since=START + MINUTE, n_points=2).tolist() == [0, 0]


def test_without_requests_nothing_is_claimed() -> None:
    kept = kept_of(Table())

    assert np.isnan(kept.share)
    assert np.isnan(kept.burn(PROMISE))
    assert burn_tone(kept.burn(PROMISE), timedelta(hours=1)) == "quiet"
    assert burn_course(Table(), PROMISE, since=START).size == 0
    assert rate_course(Table(), 60).size == 0
    assert worst_of(Table(), MINUTE) is None


def test_course_shows_a_pause() -> None:
    table = requests(100, 90, minutes=(0, 10))

    burns = burn_course(table, PROMISE, since=START, n_points=5)

    assert burns[0] == 0
    assert np.isnan(burns[1:4]).all()
    assert burns[4] == pytest.approx(10)


def test_rate_is_that_of_the_bins_that_are_there() -> None:
    assert rate_course(requests(100, 100, n=120), 60, n_points=2).tolist() == [2, 2]


def test_refused_course_counts_what_was_shed_and_what_failed() -> None:
    assert refused_course(requests(80, 80, shed=15, failed=5), n_points=2).tolist() == [0.2, 0.2]


def test_held_requests_are_not_good_ones() -> None:
    held = table_of({"interval_start": [START + MINUTE], "n_held_over": [7]})

    table = with_held(requests(100, 95), held)

    assert table.list("n_good") == [100, 88]
    assert kept_of(table).n_missed == 12


def test_worst_bin_is_where_most_missed() -> None:
    worst = worst_of(requests(100, 40, 99), MINUTE)

    assert worst is not None
    assert (worst.since, worst.until) == (START + MINUTE, START + 2 * MINUTE)
    assert worst.kept.n_missed == 60


def test_without_a_miss_there_is_no_worst_bin() -> None:
    assert worst_of(requests(100, 100), MINUTE) is None


@pytest.mark.parametrize(("burn", "tone"), [(0.5, "good"), (1.0, "good"), (6.0, "warn"), (14.4, "bad")])
def test_tone_of_an_hours_burn(burn: float, tone: str) -> None:
    assert burn_tone(burn, timedelta(hours=1)) == tone
