import numpy as np

from recserve.inference.ranking.explanations import N_HISTORY, Ties, choose_reasons, history_to_explain


def ties(**scores: float) -> Ties:
    """What the variant answers for one history item: `i7=2` is item 7 with score 2."""
    return np.array([int(name[1:]) for name in scores]), np.array([*scores.values()], np.float32)


def test_reason_is_the_history_item_with_the_strongest_tie() -> None:
    answered = [ties(i7=2, i8=1), ties(i8=3, i7=1)]

    assert choose_reasons([7, 8], [1, 2], answered) == {7: 1, 8: 2}


def test_newest_history_item_wins_a_draw() -> None:
    assert choose_reasons([7], [2, 1], [ties(i7=1), ties(i7=1)]) == {7: 2}


def test_item_without_a_tie_has_no_reason() -> None:
    answered = [ties(i7=0, i8=-1), ties(i9=float("nan"), i0=float("-inf"))]

    assert choose_reasons([6, 7, 8, 9], [1, 2], answered) == {6: None, 7: None, 8: None, 9: None}


def test_tie_that_is_no_number_does_not_hide_another() -> None:
    assert choose_reasons([7], [1, 2], [ties(i7=float("nan")), ties(i7=1)]) == {7: 2}


def test_item_is_no_reason_for_itself() -> None:
    assert choose_reasons([7], [7, 1], [ties(i7=9), ties(i7=1)]) == {7: 1}


def test_answers_may_differ_in_length() -> None:
    assert choose_reasons([7], [1, 2], [ties(), ties(i6=1, i7=1)]) == {7: 2}


def test_empty_history_explains_nothing() -> None:
    assert choose_reasons([7], [], []) == {7: None}


def test_newest_different_items_of_the_history_are_asked_about() -> None:
    assert history_to_explain([5, 1, 2, 1]) == [1, 2, 5]
    assert history_to_explain(range(1, 100)) == list(range(99, 99 - N_HISTORY, -1))
