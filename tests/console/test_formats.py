"""Numbers and times in the console's words."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from console import formats

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.312, "0.31 ms"),
        (4.26, "4.3 ms"),
        (41.2, "41 ms"),
        (2412, "2.4 s"),
        (0, "0 ms"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_milliseconds(value: float | None, text: str) -> None:
    assert formats.ms(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(9, "9"), (0.5, "0.50"), (1234, "1,234"), (12_345, "12.3 k"), (1.24e6, "1.2 M"), (5e9, "5.0 G")],
)
def test_large_numbers_are_shortened(value: float, text: str) -> None:
    assert formats.short(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (0.0004, "0.04 %"), (0.0123, "1.2 %"), (0.87, "87 %")]
)
def test_shares_are_percent(value: float, text: str) -> None:
    assert formats.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0042, "$0.0042"), (0.25, "$0.250"), (3.1, "$3.10"), (1240, "$1,240"), (-2, "-$2.00")],
)
def test_dollars_have_the_digits_that_matter(value: float, text: str) -> None:
    assert formats.usd(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8, "8 s"), (119, "119 s"), (200, "3 min"), (7200, "2 h"), (200_000, "2 d"), (-5, "0 s")],
)
def test_ages_are_in_one_unit(seconds: float, text: str) -> None:
    assert formats.age(timedelta(seconds=seconds)) == text


def test_range_of_one_day_names_it_once() -> None:
    assert formats.between(NOON, NOON + timedelta(minutes=5)) == "22 Nov 12:00 – 12:05"
    assert formats.between(NOON, NOON + timedelta(days=1)) == "22 Nov 12:00 – 23 Nov 12:00"
    assert formats.clock(NOON + timedelta(seconds=5)) == "12:00:05"


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("Star Wars: Episode IV (1977)", "Star Wars: Episode IV (1977)"),
        ("*batteries not included", r"\*batteries not included"),
        ("![x](https://example.org/x.png)", r"!\[x\](https\://example.org/x.png)"),
        (":material/home: $9", r"\:material/home: \$9"),
    ],
)
def test_foreign_words_are_no_markdown(text: str, markdown: str) -> None:
    assert formats.as_markdown(text) == markdown
