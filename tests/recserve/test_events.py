"""What users did, from the event to the next recommendation, its export and its erasure."""

import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.recserve.conftest import http_request, read

Functions = dict[str, Callable[..., Any]]


@pytest.fixture
def user_id() -> str:
    return uuid4().hex


def event(user_id: str, item_id: int | str = 260, **fields: object) -> dict[str, object]:
    return {"event_id": uuid4().hex, "user_id": user_id, "item_id": item_id, "kind": "click"} | fields


async def post(functions: Functions, *events: dict[str, object]) -> Any:
    return await functions["events"](http_request("POST", json_body={"events": list(events)}))


async def recommend(functions: Functions, user_id: str, **fields: object) -> Any:
    return read(await functions["recommend"](http_request("POST", json_body={"user_id": user_id, **fields})))


async def export(functions: Functions, user_id: str) -> Any:
    return read(await functions["export_user"](http_request(params={"user_id": user_id})))


async def test_event_changes_the_very_next_recommendation(functions: Functions, user_id: str) -> None:
    before = await recommend(functions, user_id)
    accepted = read(await post(functions, event(user_id, 1258), event(user_id, 1219)))
    after = await recommend(functions, user_id)

    assert (accepted["n_new"], accepted["is_deferred"]) == (2, False)
    assert (before["basis"], after["basis"]) == ("unknown_user", "history")
    assert before["items"] != after["items"]
    assert not {item["id"] for item in after["items"]} & {1258, 1219}


async def test_event_is_counted_once_however_often_it_is_sent(functions: Functions, user_id: str) -> None:
    sent = event(user_id)
    first, again = [read(await post(functions, sent)) for _ in range(2)]

    assert (first["n_new"], first["n_duplicates"]) == (1, 0)
    assert (again["n_new"], again["n_duplicates"]) == (0, 1)
    assert len((await export(functions, user_id))["events"]) == 1


async def test_events_are_in_the_order_of_their_time_whatever_that_of_arrival(
    functions: Functions, user_id: str
) -> None:
    now = datetime.now(UTC)
    late, early = (
        event(user_id, item, at=(now - timedelta(days=age)).isoformat()) for item, age in ((1, 1), (2, 2))
    )
    await post(functions, late)
    await post(functions, early)

    assert [kept["item_id"] for kept in (await export(functions, user_id))["events"]] == ["2", "1"]


async def test_event_from_the_future_happened_on_arrival(functions: Functions, user_id: str) -> None:
    accepted = read(await post(functions, event(user_id, at="2999-01-01T00:00:00Z")))
    kept = (await export(functions, user_id))["events"][0]

    assert accepted["n_clock_skewed"] == 1
    assert datetime.fromisoformat(kept["at"]) <= datetime.now(UTC)


async def test_event_older_than_histories_are_kept_is_dropped_and_counted(
    functions: Functions, user_id: str
) -> None:
    accepted = read(await post(functions, event(user_id, at="2001-01-01T00:00:00Z")))

    assert (accepted["n_new"], accepted["n_expired"]) == (0, 1)


async def test_unknown_item_is_kept_and_counted(functions: Functions, user_id: str) -> None:
    accepted = read(await post(functions, event(user_id, "no such film")))
    answer = await recommend(functions, user_id)

    assert (accepted["n_new"], accepted["n_unknown_items"]) == (1, 1)
    assert (answer["basis"], answer["n_unknown_items"]) == ("no_known_items", 1)


async def test_export_tells_all_that_was_sent(functions: Functions, user_id: str) -> None:
    sent = event(user_id, at="2026-11-01T10:00:00+01:00", recommendation_id="r1", kind="purchase")
    await post(functions, sent)

    exported = await export(functions, user_id)

    assert exported == {
        "user_id": user_id,
        "events": [
            {
                "event_id": sent["event_id"],
                "item_id": "260",
                "kind": "purchase",
                "at": "2026-11-01T09:00:00Z",
                "recommendation_id": "r1",
            }
        ],
    }


async def test_erased_user_is_unknown(functions: Functions, user_id: str) -> None:
    await post(functions, event(user_id))
    erased = read(await functions["erase_user"](http_request("DELETE", route={"user_id": user_id})))

    assert erased == {"n_events": 1}
    assert (await export(functions, user_id))["events"] == []
    assert (await recommend(functions, user_id))["basis"] == "unknown_user"


PRINTABLE = string.printable.strip()
USER_IDS = [
    PRINTABLE,
    "/",
    "..",
    "a/b?c#d%2F",
    "'; DROP TABLE events; --",
    "\U0001f600" * 256,
    " ",
    "ü" * 256,
]


@pytest.mark.parametrize("user_id", USER_IDS, ids=range(len(USER_IDS)))
async def test_user_id_may_be_any_text_of_256_characters(functions: Functions, user_id: str) -> None:
    await post(functions, event(user_id))

    assert [kept["item_id"] for kept in (await export(functions, user_id))["events"]] == ["260"]
    assert (await recommend(functions, user_id))["basis"] == "history"


async def test_user_id_with_a_slash_in_the_path_is_told_where_to_go(functions: Functions) -> None:
    response = await functions["export_user"](http_request(route={"user_id": "a%2Fb"}))

    assert response.status_code == 400
    assert "in the query or the body" in read(response)["detail"]


BAD_EVENTS: dict[str, tuple[dict[str, object], str]] = {
    "unknown kind": ({"kind": "stare"}, "events[1].kind"),
    "no offset": ({"at": "2026-11-01T10:00:00"}, "events[1].at"),
    "no time at all": ({"at": "yesterday"}, "events[1].at"),
    "empty id": ({"event_id": ""}, "events[1].event_id"),
    "unknown field": ({"price": 3}, "events[1]"),
    "user id too long": ({"user_id": "u" * 257}, "events[1].user_id"),
}


@pytest.mark.parametrize(("fields", "field"), BAD_EVENTS.values(), ids=BAD_EVENTS)
async def test_bad_event_refuses_the_batch_and_is_named(
    functions: Functions, user_id: str, fields: dict[str, object], field: str
) -> None:
    response = await post(functions, event(user_id), event(user_id) | fields)

    assert (response.status_code, read(response)["field"]) == (400, field)
    assert read(response)["allowed"]
    assert (await export(functions, user_id))["events"] == []


async def test_flood_of_events_is_refused_by_number(functions: Functions, user_id: str) -> None:
    most, too_many = [await post(functions, *(event(user_id) for _ in range(n))) for n in (500, 501)]

    assert (most.status_code, too_many.status_code) == (200, 400)
    assert read(too_many)["field"] == "events"
