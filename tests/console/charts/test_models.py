"""Pictures of models and quality as data: what they draw, read from their specification."""

from datetime import timedelta
from typing import Any

import pytest

from console.analysis.ladder import Following
from console.charts.models import frontier_chart, overlap_chart, rate_chart, served_mix, size, variant_colours
from console.palette import DARK, LIGHT
from console.telemetry import Table, table_of
from tests.console.analysis.test_ladder import BEATEN, BEST, CHEAP, START, served

ORDER = ["best", "cheap", "counts"]
COLOURS = variant_colours(ORDER, LIGHT)


def following(variant: str, hit_rate: float) -> Following:
    return Following(
        variant=variant,
        n_known=100,
        hit_rate=hit_rate,
        hit_rate_low=hit_rate - 0.02,
        hit_rate_high=hit_rate + 0.02,
        gain=0.1,
        n_answers=1000,
        click_through=float("nan"),
        click_through_low=float("nan"),
        click_through_high=float("nan"),
    )


def rows_of(chart: Any) -> list[list[dict[str, Any]]]:
    """The data behind each layer; Altair moves them to the top of the specification."""
    spec = chart.to_dict()
    return [spec["datasets"][layer["data"]["name"]] for layer in spec["layer"] if "data" in layer] or [
        next(iter(spec["datasets"].values()))
    ]


def test_variants_never_have_the_colour_of_brownout() -> None:
    for palette in (LIGHT, DARK):
        colours = variant_colours([str(n) for n in range(10)], palette)

        assert palette.series[1] not in colours.values()
        assert len(set(list(colours.values())[:7])) == 7


def test_frontier_line_joins_only_rungs_that_none_beats() -> None:
    front, *others = rows_of(frontier_chart([BEST, CHEAP, BEATEN], ["best"], variant_colours(
        ["best", "cheap", "beaten"], LIGHT), LIGHT))  # fmt: skip

    assert [row["name"] for row in front] == ["cheap", "best"]
    assert {row["name"]: row["role"] for row in others[0]} == {
        "best": "answers",
        "cheap": "at hand",
        "beaten": "at hand",
    }


def test_neighbours_on_the_frontier_have_their_names_on_different_sides() -> None:
    _, rows, *_ = rows_of(frontier_chart([BEST, CHEAP, BEATEN], ["best"], variant_colours(
        ["best", "cheap", "beaten"], LIGHT), LIGHT))  # fmt: skip

    by_latency = sorted(rows, key=lambda row: row["latency_ms"])
    assert [row["is_above"] for row in by_latency] == [True, False, True]


def test_rung_without_an_interval_has_one_of_no_length() -> None:
    _, rows, *_ = rows_of(frontier_chart([BEST], ["best"], COLOURS, LIGHT))

    assert (rows[0]["low"], rows[0]["high"]) == (0.10, 0.10)


def test_rates_come_with_interval_in_the_order_of_the_ladder() -> None:
    chart = rate_chart([following("cheap", 0.2), following("best", 0.3)], "hit_rate", ORDER, COLOURS, LIGHT)

    spec = chart.to_dict()
    [rows] = rows_of(chart)
    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["best", "cheap"]
    assert rows[0]["text"] == "20 %"
    assert (rows[0]["low"], rows[0]["high"]) == (pytest.approx(0.18), pytest.approx(0.22))
    assert spec["layer"][1]["encoding"]["x"]["scale"]["domain"][1] > 0.32


def test_rate_that_is_not_known_is_not_drawn() -> None:
    unknown, known = following("best", float("nan")), following("cheap", 0.1)

    [rows] = rows_of(rate_chart([unknown, known], "hit_rate", ORDER, COLOURS, LIGHT))

    assert [row["variant"] for row in rows] == ["cheap"]


def test_mix_adds_up_to_all_answers_and_sets_brownout_apart() -> None:
    table = served(
        (0, "best", "default", 30),
        (0, "cheap", "split", 10),
        (0, "cheap", "brownout", 10),
        (1, "best", "default", 5),
    )

    series = served_mix(table, ORDER, COLOURS, LIGHT)["series"]

    assert [each["name"] for each in series] == ["best", "cheap", "cheap, brownout"]
    assert [[y for _, y in each["data"]] for each in series] == [[60, 100], [20, 0], [20, 0]]
    assert series[-1]["itemStyle"]["color"] == LIGHT.warn
    assert {each["stack"] for each in series} == {"all"}


def test_overlap_is_a_line_for_each_shadow() -> None:
    shadow: Table = table_of(
        {
            "interval_start": [START, START, START + timedelta(minutes=1)],
            "variant": ["best", "cheap", "best"],
            "mean_overlap": [0.5, 0.9, 0.25],
        }
    )

    chart = overlap_chart(shadow, COLOURS, LIGHT)

    assert [(each["name"], [y for _, y in each["data"]]) for each in chart["series"]] == [
        ("best", [50, 25]),
        ("cheap", [90]),
    ]
    assert chart["legend"]["show"]


@pytest.mark.parametrize(("n_bytes", "text"), [(2_191_966, "2.2 MB"), (43_293, "43 kB")])
def test_size_is_said_in_its_unit(n_bytes: int, text: str) -> None:
    assert size(n_bytes) == text
