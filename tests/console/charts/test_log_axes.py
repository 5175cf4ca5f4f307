"""Round ends and ticks of logarithmic axes."""

import pytest

from console.charts.log_axes import step_above, step_below, ticks_between


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.9, 60, [1, 2, 5, 10, 20, 50]),
        (3, 4, []),
        (4, 120, [5, 10, 20, 50, 100]),
        (1, 1e5, [1, 10, 100, 1e3, 1e4, 1e5]),
    ],
)
def test_ticks_of_a_log_axis_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert ticks_between(low, high) == ticks


def test_axis_ends_at_a_round_number_at_its_values_or_beyond() -> None:
    assert (step_below(0.7), step_below(5.0), step_below(99.0)) == (0.5, 5.0, 50.0)
    assert (step_above(0.7), step_above(5.0), step_above(99.0)) == (1.0, 5.0, 100.0)
