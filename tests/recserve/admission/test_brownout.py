from hypothesis import given
from hypothesis import strategies as st

from recserve.admission.brownout import Brownout

LADDER = ("student", "counts", "popular")


def test_best_variant_answers_while_there_is_room() -> None:
    assert Brownout(LADDER, starts_at=0.5).choose(0.49) == "student"


def test_cheaper_variants_share_the_rest_of_the_range_evenly() -> None:
    brownout = Brownout(LADDER, starts_at=0.5)

    assert [brownout.choose(pressure) for pressure in (0.5, 0.74, 0.76, 0.99)] == [
        "counts",
        "counts",
        "popular",
        "popular",
    ]


def test_ladder_of_one_always_answers_with_it() -> None:
    assert Brownout(("only",), starts_at=0.5).choose(0.99) == "only"


def test_brownout_that_starts_at_full_never_starts() -> None:
    assert Brownout(LADDER, starts_at=1.0).choose(0.999) == "student"


@given(
    starts_at=st.floats(0.01, 1.0),
    pressures=st.tuples(st.floats(0.0, 1.0, exclude_max=True), st.floats(0.0, 1.0, exclude_max=True)).map(
        sorted
    ),
)
def test_more_pressure_never_gives_a_better_variant(starts_at: float, pressures: list[float]) -> None:
    brownout = Brownout(LADDER, starts_at=starts_at)
    low, high = (LADDER.index(brownout.choose(pressure)) for pressure in pressures)

    assert low <= high
