"""What events say of the lists before them, from the store of lists to the service and its metrics."""

from pathlib import Path

import pytest

from recserve.admission.terms import Terms
from recserve.bootstrap import build_service
from recserve.feedback import Feedback, LastLists, ShownList
from recserve.schemas import Event, EventsRequest, RecommendRequest, UserRequest
from recserve.settings import read_settings
from recserve.telemetry.timeline import Timeline

SHOWN = ShownList("student", "v1", [10, 20, 30])


def test_gain_falls_with_the_place_on_the_list() -> None:
    lists = LastLists()
    lists.remember("u", SHOWN)

    assert lists.judge("u", 10, "click") == Feedback("student", "v1", "click", "listed", 1.0)
    assert lists.judge("u", "30", "view").gain == 0.5
    assert lists.judge("u", 40, "purchase") == Feedback("student", "v1", "purchase", "not_listed", 0.0)
    assert lists.judge("another", 10, "click") == Feedback("", "", "click", "unknown", 0.0)


def test_newest_list_counts_and_whoever_was_shown_one_longest_ago_is_forgotten() -> None:
    lists = LastLists(most_users=2)
    for user_id in ("a", "b", "a", "c"):
        lists.remember(user_id, SHOWN)
    lists.remember("a", ShownList("counts", "v2", [40]))

    assert [lists.judge(user_id, 10, "click").followed for user_id in "abc"] == [
        "not_listed",
        "unknown",
        "listed",
    ]
    assert lists.judge("a", 40, "click").variant == "counts"


async def test_events_are_judged_once_by_the_list_before_them(models_dir: Path, tmp_path: Path) -> None:
    state = {"RECSERVE_STATE_PATH": str(tmp_path / "state.db"), "RECSERVE_DEADLINE_MS": "60000"}
    service = build_service(
        read_settings({"RECSERVE_MODELS_DIR": str(models_dir)} | state), Timeline("start")
    )
    shown = await service.recommend(RecommendRequest(user_id="u", k=3), Terms(), Timeline("recommend"))
    events = EventsRequest(
        events=[
            Event(event_id="1", user_id="u", item_id=shown.items[1].id, kind="click"),
            Event(event_id="2", user_id="nobody", item_id=shown.items[1].id, kind="view"),
        ]
    )
    first, again, erased = Timeline("events"), Timeline("events"), Timeline("events")
    await service.record(events, first)
    await service.record(events, again)
    await service.users.erase(UserRequest(user_id="u"), Timeline("erase_user"))
    await service.record(
        EventsRequest(events=[Event(event_id="3", user_id="u", item_id=shown.items[0].id, kind="click")]),
        erased,
    )
    await service.users.store.close()

    variant, version = shown.model.variant, shown.model.version
    assert list(first.feedback) == [
        Feedback(variant, version, "click", "listed", pytest.approx(0.6309, abs=1e-4)),
        Feedback("", "", "view", "unknown", 0.0),
    ]
    assert again.feedback == ()
    assert [feedback.followed for feedback in erased.feedback] == ["unknown"]
