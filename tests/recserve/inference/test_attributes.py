import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.inference.attributes import Attributes
from recserve.schemas import Conditions, Filters

GENRES = ["Comedy", "Drama", "War"]
KNOWN_OR_NOT = [*GENRES, "Opera"]


@st.composite
def attributes_and_columns(draw: st.DrawFn) -> tuple[Attributes, list[int | None], list[list[str]]]:
    n_items = draw(st.integers(1, 30))
    years = draw(st.lists(st.none() | st.integers(1990, 1995), min_size=n_items, max_size=n_items))
    genres = draw(st.lists(st.lists(st.sampled_from(GENRES), max_size=3), min_size=n_items, max_size=n_items))
    numbers = {str(number * 10): number for number in range(1, n_items + 1)}
    return Attributes(numbers, years, genres), years, genres


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    fields = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "genres": st.lists(st.sampled_from(KNOWN_OR_NOT), min_size=1, max_size=3).map(tuple),
                "min_year": st.integers(1989, 1993),
                "max_year": st.integers(1993, 1996),
                "item_ids": st.lists(st.sampled_from([10, "20", 30, "999"]), min_size=1).map(tuple),
            },
        ).filter(bool)
    )
    return Conditions(**fields)


def met_conditions(asked: Conditions, number: int, year: int | None, genres: list[str]) -> list[bool]:
    """What the documentation of `Conditions` says of one item, condition by condition."""
    met = []
    if asked.genres is not msgspec.UNSET:
        met.append(any(genre in genres for genre in asked.genres))
    low, high = asked.min_year, asked.max_year
    if low is not msgspec.UNSET or high is not msgspec.UNSET:
        met.append(
            year is not None
            and (low is msgspec.UNSET or year >= low)
            and (high is msgspec.UNSET or year <= high)
        )
    if asked.item_ids is not msgspec.UNSET:
        met.append(str(number * 10) in map(str, asked.item_ids))
    return met


@given(attributes_and_columns(), st.none() | conditions(), st.none() | conditions())
def test_filter_admits_what_its_description_says(
    catalogue: tuple[Attributes, list[int | None], list[list[str]]],
    allow: Conditions | None,
    deny: Conditions | None,
) -> None:
    attributes, years, genres = catalogue
    filters = Filters(
        allow=msgspec.UNSET if allow is None else allow, deny=msgspec.UNSET if deny is None else deny
    )

    admitted = attributes.admitted(filters)

    expected = [False] + [
        (allow is None or all(met_conditions(allow, number, year, of_item)))
        and (deny is None or not any(met_conditions(deny, number, year, of_item)))
        for number, (year, of_item) in enumerate(zip(years, genres, strict=True), start=1)
    ]
    assert admitted.mask.tolist() == expected
    assert admitted.n_items == sum(expected)


@given(attributes_and_columns(), st.data())
def test_genre_table_holds_the_genres_of_the_items_asked_for(
    catalogue: tuple[Attributes, list[int | None], list[list[str]]], data: st.DataObject
) -> None:
    attributes, _, genres = catalogue
    items = data.draw(st.lists(st.integers(1, len(genres)), unique=True))

    table = attributes.genre_table(np.array(items, np.int64))

    sets = [set(genres[item - 1]) for item in items]
    assert (table @ table.T).tolist() == [[len(a & b) for b in sets] for a in sets]


def test_item_without_a_year_fails_allow_and_escapes_deny() -> None:
    attributes = Attributes({"1": 1, "2": 2}, [None, 1990], [[], []])
    all_years = Conditions(min_year=0, max_year=9999)

    assert attributes.admitted(Filters(allow=all_years)).mask.tolist() == [False, False, True]
    assert attributes.admitted(Filters(deny=all_years)).mask.tolist() == [False, True, False]


def test_years_of_deny_are_one_range() -> None:
    attributes = Attributes({"1": 1, "2": 2, "3": 3}, [1980, 1990, 2000], [[], [], []])

    nineties = Filters(deny=Conditions(min_year=1990, max_year=1999))

    assert attributes.admitted(nineties).mask.tolist() == [False, True, False, True]


def test_equal_filters_of_two_requests_share_one_mask() -> None:
    attributes = Attributes({"1": 1}, [1990], [["Drama"]])
    request = b'{"allow": {"genres": ["Drama"]}}'

    first, second = (attributes.admitted(msgspec.json.decode(request, type=Filters)) for _ in range(2))

    assert first is second


def test_remembered_mask_cannot_be_changed() -> None:
    attributes = Attributes({"1": 1}, [1990], [["Drama"]])
    drama = Conditions(genres=("Drama",))

    for mask in (attributes.admitted(Filters(allow=drama)).mask, attributes.meeting_all(drama)):
        with pytest.raises(ValueError, match="read-only"):
            mask[1] = False


def test_catalogue_without_years_or_genres_says_so() -> None:
    attributes = Attributes({"1": 1}, [None], [[]])

    assert (attributes.newest_year, attributes.median_year, attributes.has_genres) == (None, None, False)


def test_median_year_is_the_older_of_the_two_in_the_middle() -> None:
    years: list[int | None] = [2000, None, 1980, 1990, 1970]

    assert Attributes({}, years, [[]] * 5).median_year == 1980


def test_ranking_imports_nothing_more_once_it_is_asked(repository: Path) -> None:
    script = """
import sys
import numpy as np
from recserve.inference.catalogue import Catalogue, CatalogueFile
from recserve.inference.ranking import rank
from recserve.schemas import Boost, Conditions, Filters, Pin, RankingRules
columns = CatalogueFile(ids=[1, 2], titles=["A", "B"], years=[1990, 2000], genres=[["a"], ["b"]], n_interactions=[2, 1])
rules = RankingRules(
    filters=Filters(allow=Conditions(min_year=1980)), pins=[Pin(item_id=2, position=1)], diversity=0.5,
    boosts=[Boost(genres=("a",), weight=2.0)], freshness_half_life_years=5.0, exploration=0.1,
)
rng = np.random.default_rng(0)
before = set(sys.modules)
rank(np.array([1, 2]), np.array([2, 1], np.float32), rules, Catalogue(columns), k=2, rng=rng)
print(*set(sys.modules) - before)
"""

    run = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=True
    )

    assert run.stdout.strip() == ""
