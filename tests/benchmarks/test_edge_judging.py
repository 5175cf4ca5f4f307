"""How answers of devices are judged."""

from benchmarks.edge.histories import EdgeHistory
from benchmarks.edge.judging import Listed, compare, compare_quality, draw_requests

USERS = [EdgeHistory("held_out", [place, place + 1], place + 2) for place in range(100)]


def test_a_list_that_parts_is_told_with_the_gap_of_scores_there() -> None:
    cloud = Listed([1, 2, 3], [9.0, 5.5, 5.25])
    edge = Listed([1, 3, 2], [9.0, 5.5, 5.5])

    figures = compare(USERS[:2], [cloud, edge], [cloud, cloud])

    assert figures["identical"] == 0.5
    [mismatch] = figures["mismatches"]
    assert (mismatch["history"], mismatch["place"], mismatch["score_gap"]) == (1, 2, 0.25)
    assert mismatch["overlap"] == 3


def test_a_shorter_list_is_no_identical_one() -> None:
    figures = compare(USERS[:1], [Listed([1], [9.0])], [Listed([1, 2], [9.0, 5.5])])

    assert figures["identical"] == 0
    assert figures["mismatches"][0]["place"] == 2


def test_scores_may_differ_where_the_order_does_not() -> None:
    figures = compare(USERS[:1], [Listed([1, 2], [9.0, 5.5])], [Listed([1, 2], [9.0, 5.4999])])

    assert figures["identical"] == 1
    assert figures["n_same_items_other_scores"] == 1


def test_what_is_lost_is_paired_by_user() -> None:
    found, missed = Listed([7], [1.0]), Listed([8], [1.0])

    figures = compare_quality([found, missed], [found, found], [7, 7])

    assert (figures["edge"], figures["cloud"], figures["lost_share"]) == (0.5, 1.0, 0.5)


def test_requests_hand_over_the_shares_that_were_asked_for() -> None:
    requests = draw_requests(USERS, 100, share_rules=0.1, share_unknown=0.2, seed=0)

    with_rules = [request for request in requests if "rules" in request.body]
    unknown = [request for request in requests if "user_id" in request.body]
    assert 5 <= len(with_rules) <= 15
    assert 13 <= len(unknown) <= 27
    assert all(request.target is None for request in unknown)
    assert requests == draw_requests(USERS, 100, share_rules=0.1, share_unknown=0.2, seed=0)
