"""Users watch what the transitions draw, tell it, and ask with what was not acknowledged."""

import io
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from emulator.load.audience import DrawnAudience, RecordedAudience, Transitions
from emulator.load.client import NO_ANSWER, Outcome
from emulator.load.sessions import Sessions
from emulator.load.target import Target

TARGET = Target(
    url="http://127.0.0.1:1/api", address="127.0.0.1", port=1, host="127.0.0.1:1", path="/api", tls=None
)
N_ITEMS = 50
RING = Transitions(
    item_ids=list(range(100, 100 + N_ITEMS)),
    followers=np.array([[(i + 1) % N_ITEMS, (i + 2) % N_ITEMS] for i in range(N_ITEMS)]),
    weights=np.tile([3.0, 1.0], (N_ITEMS, 1)),
    popularity=np.ones(N_ITEMS),
)
ALICE = ([1, 2], 3)


def sessions(*, event_share: float = 1.0, n_users: int = 1, **options: Any) -> Sessions:
    return Sessions(
        TARGET,
        RecordedAudience([ALICE]),
        tag="t",
        n_users=n_users,
        event_share=event_share,
        rng=np.random.default_rng(0),
        **options,
    )


def sent_by(asked: Sessions, number: int) -> tuple[str, dict[str, Any]]:
    head, _, body = asked.compose(number).partition(b"\r\n\r\n")
    return head.split(b" ")[1].decode(), json.loads(body)


def answer(asked: Sessions, number: int, status: int, body: object = None) -> None:
    headers = {b"x-recserve-instance": b"i-1"}
    asked.receive(Outcome(number, status, 0.001, headers, json.dumps(body).encode()))


def served(*items: int, variant: str = "student") -> dict[str, Any]:
    return {
        "recommendation_id": "r",
        "items": [{"id": item} for item in items],
        "model": {"variant": variant},
        "cold_start": True,
    }


def test_items_are_drawn_from_the_transitions_in_their_proportions() -> None:
    audience = DrawnAudience(RING, seed=0, n_before=2, n_lists=4)
    steps = []
    for number in range(2000):
        before, following = audience.visit(number)
        walk = [*before, *following]
        steps += [(b - a) % N_ITEMS for a, b in pairwise(walk)]
        assert len(set(walk)) == len(walk)

    assert set(steps) == {1, 2}
    assert np.mean(np.array(steps) == 1) == pytest.approx(0.75, abs=0.02)


def test_visits_follow_from_the_seed_and_the_number_and_last_as_long_as_wished() -> None:
    one, other = DrawnAudience(RING, seed=1), DrawnAudience(RING, seed=1)
    lengths = [len(list(one.visit(number).following)) for number in range(2000)]

    assert list(one.visit(7).following) == list(other.visit(7).following)
    assert np.mean(lengths) == pytest.approx(5, rel=0.1)


def test_user_tells_what_was_watched_then_asks_then_tells_what_was_watched_next() -> None:
    asked = sessions()
    told = sent_by(asked, 0)
    answer(asked, 0, 200, {"is_deferred": False})
    listed = sent_by(asked, 1)
    answer(asked, 1, 200, served(9, 3))
    followed = sent_by(asked, 2)

    assert told[0] == "/api/events"
    assert [event["item_id"] for event in told[1]["events"]] == [1, 2]
    assert listed == ("/api/recommend", {"user_id": "t-0", "k": 10})
    assert [(e["item_id"], e["kind"], e["recommendation_id"]) for e in followed[1]["events"]] == [
        (3, "click", "r")
    ]


def test_event_that_was_not_acknowledged_is_sent_again_under_its_id_and_asked_with_meanwhile() -> None:
    asked = sessions()
    first = sent_by(asked, 0)[1]["events"]
    answer(asked, 0, NO_ANSWER)
    meanwhile = sent_by(asked, 1)
    answer(asked, 1, 429)
    again = sent_by(asked, 2)[1]["events"]

    assert meanwhile[1]["history"] == [1, 2]
    assert again == first


def test_without_events_histories_travel_along() -> None:
    asked = sessions(event_share=0)

    assert sent_by(asked, 0) == ("/api/recommend", {"user_id": "t-0", "k": 10, "history": [1, 2]})


def test_user_who_waits_for_an_answer_does_not_hold_up_the_schedule() -> None:
    asked = sessions(event_share=0)

    assert [sent_by(asked, number)[1]["user_id"] for number in range(3)] == ["t-0", "t-1", "t-2"]


def test_quality_is_counted_by_variant_and_cold_answers_are_counted() -> None:
    asked = sessions(event_share=0)
    for number, items in enumerate([(3, 9), (9, 3), (8, 9)]):
        asked.compose(number)
        answer(asked, number, 200, served(*items, variant="student" if number < 2 else "popular"))
    found = asked.describe()

    assert found["quality"] == {
        "student": {"n": 2, "hit_rate_10": 1.0, "ndcg_10": round((1 + 1 / np.log2(3)) / 2, 4)},
        "popular": {"n": 1, "hit_rate_10": 0.0, "ndcg_10": 0.0},
    }
    assert found["n_cold"] == 3
    assert asked.n_about == 0


def test_exactly_the_acknowledged_events_are_written() -> None:
    file = io.StringIO()
    asked = sessions(acknowledged=file, n_users=2)
    asked.compose(0)
    asked.compose(1)
    answer(asked, 0, 503)
    answer(asked, 1, 200, {"is_deferred": True})
    lines = [json.loads(line) for line in file.getvalue().splitlines()]

    assert [(line["event_id"], line["item_id"]) for line in lines] == [("t-1-0", 1), ("t-1-1", 2)]
    assert all(line["is_deferred"] and line["instance"] == "i-1" for line in lines)
    assert asked.describe()["events"] == {"n_acknowledged": 2, "n_deferred": 2, "n_sent_again": 2}


def test_answer_of_another_service_is_no_list() -> None:
    asked = sessions(event_share=0)
    asked.compose(0)
    answer(asked, 0, 200, {"hello": 1})

    assert asked.describe()["n_lists"] == 0
