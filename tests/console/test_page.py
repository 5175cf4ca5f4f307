"""What charts send back, which may be anything."""

import pytest

from console.page import Click, Region, read_click, read_region


def test_dragged_rectangle_is_a_region_from_low_to_high() -> None:
    sent = {"selection": {"box": [{"x_range": [20.0, 10.0], "y_range": [1, 5]}]}}

    assert read_region(sent) == Region(10.0, 20.0, 1.0, 5.0)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        {},
        {"selection": {"box": []}},
        {"selection": {"box": [{"x_range": [1]}]}},
        {"selection": {"box": [{"x_range": ["a", "b"], "y_range": [1, 2]}]}},
        {"selection": {"box": [{"x_range": [1, 1], "y_range": [1, 2]}]}},
    ],
)
def test_nothing_dragged_is_no_region(sent: object) -> None:
    assert read_region(sent) is None


def test_click_names_its_mark() -> None:
    sent = {"chart_event": {"series": "p99", "index": 3, "value": [1, 41], "name": ""}}

    assert read_click(sent) == Click("p99", 3, [1, 41], "")


@pytest.mark.parametrize("sent", [None, {}, {"chart_event": None}, {"chart_event": {"series": "p99"}}])
def test_nothing_clicked_is_no_click(sent: object) -> None:
    assert read_click(sent) is None
