"""Links to a question: written, read back, and tampered with."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from console.api_values import ItemId, Question
from console.links import DEFAULT_K, MAX_FILMS, MAX_K, MAX_USER_ID_LENGTH, read_link, write_link

CATALOGUE: list[ItemId] = [356, 296, "a,b&c", 318, 260, 1196, 1210, *range(5000, 5040)]


@given(
    history=some.lists(some.sampled_from(CATALOGUE), unique=True, max_size=MAX_FILMS),
    k=some.integers(1, MAX_K),
)
def test_link_to_films_reads_back_as_the_same_question(history: list[ItemId], k: int) -> None:
    question = Question(history=tuple(history), k=k)

    link = read_link(write_link(question, by_user=False), CATALOGUE)

    assert link.question == question
    assert not link.by_user
    assert not link.complaints


@given(user_id=some.text(max_size=MAX_USER_ID_LENGTH), k=some.integers(1, MAX_K))
def test_link_to_a_user_reads_back_as_the_same_user(user_id: str, k: int) -> None:
    link = read_link(write_link(Question(user_id=user_id, k=k), by_user=True), CATALOGUE)

    assert (link.question.user_id, link.question.k) == (user_id, k)
    assert link.by_user
    assert not link.complaints


def test_link_to_films_is_readable() -> None:
    link = write_link(Question(history=(260, 1196), k=5), by_user=False)

    assert link == {"items": "260,1196", "k": "5"}


def test_empty_link_asks_about_star_wars() -> None:
    assert read_link({}, CATALOGUE).question == Question(history=(260, 1196, 1210), k=DEFAULT_K)


def test_empty_link_asks_about_the_most_popular_films_where_star_wars_is_missing() -> None:
    assert read_link({}, [5, 3, 9, 7]).question.history == (5, 3, 9)


def test_link_with_no_films_is_a_question_without_films() -> None:
    link = read_link({"items": ""}, CATALOGUE)

    assert link.question.history == ()
    assert not link.complaints


@pytest.mark.parametrize("k", ["0", "21", "-1", "ten", "", "5.5", "9" * 5000, "²"])
def test_count_out_of_range_is_replaced_with_a_complaint(k: str) -> None:
    link = read_link({"k": k}, CATALOGUE)

    assert link.question.k == DEFAULT_K
    assert link.complaints == (
        "The link asks for a number of films that is not between 1 and 20; here are 8.",
    )


def test_unknown_films_are_left_out_with_a_complaint() -> None:
    link = read_link({"items": "260,<script>,999999,296"}, CATALOGUE)

    assert link.question.history == (260, 296)
    assert link.complaints == ("The catalogue lacks 2 of the 4 films in the link; the rest are shown.",)


def test_link_without_one_known_film_shows_the_example_and_says_so() -> None:
    link = read_link({"items": "nonsense"}, CATALOGUE)

    assert link.question.history == (260, 1196, 1210)
    assert "none of the films" in link.complaints[0]


def test_films_beyond_the_most_allowed_are_left_out_with_a_complaint() -> None:
    link = read_link({"items": ",".join(map(str, range(5000, 5030)))}, CATALOGUE)

    assert link.question.history == tuple(range(5000, 5020))
    assert link.complaints == ("The link names 30 films; the first 20 are shown.",)


def test_film_named_twice_counts_once() -> None:
    assert read_link({"items": "260,260"}, CATALOGUE).question.history == (260,)


def test_user_id_longer_than_the_api_takes_is_ignored_with_a_complaint() -> None:
    link = read_link({"user": "x" * 257}, CATALOGUE)

    assert link.by_user
    assert link.question.user_id == ""
    assert "longer than 256" in link.complaints[0]
