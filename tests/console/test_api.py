"""The API client, against an HTTP server that says what each test wants."""

import json

import pytest

from console.api import Address, Api, ApiError, read_address
from console.api_values import Event, Phase, Question, read_server_timing
from tests.console.conftest import ANSWER, FILMS, MODELS, Reply, StandIn

QUESTION = Question(history=(260, 1196), k=5)


def problem(status: int, detail: str, **headers: str) -> Reply:
    return Reply(
        {"title": "title", "status": status, "detail": detail},
        status,
        {"content-type": "application/problem+json", **headers},
    )


def test_address_comes_from_the_environment_without_its_last_slash() -> None:
    address = read_address({"RECSERVE_API_URL": "https://app.example/api/", "RECSERVE_API_KEY": "k"})

    assert address == Address("https://app.example/api", "k")


@pytest.mark.parametrize("environ", [{}, {"RECSERVE_API_URL": ""}])
def test_address_is_this_machine_where_the_environment_names_none(environ: dict[str, str]) -> None:
    assert read_address(environ) == Address("http://127.0.0.1:7071/api")


def test_question_about_items_is_posted_and_its_answer_read(stand_in: StandIn) -> None:
    answer = Api(Address(stand_in.url)).recommend(QUESTION)

    method, path, headers, body = stand_in.asked[-1]
    assert (method, path) == ("POST", "/api/recommend")
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {"history": [260, 1196], "k": 5}
    assert [(item.id, item.title, item.score) for item in answer.items] == [
        (593, "Heat (1995)", 8.0),
        (318, "Heat & Dust <b>", 2.0),
    ]
    assert (answer.variant, answer.version) == ("blend", "2026-11-22-73687669")
    assert (answer.basis, answer.n_unknown_items, answer.cold_start) == ("history", 0, False)
    assert answer.phases[-1] == Phase("infer", 0.345)
    assert answer.server_ms == pytest.approx(3.253)
    assert answer.round_trip_ms > 0


@pytest.mark.parametrize("user_id", ["ana", "a/b c", "..", "?#%"])
def test_user_id_of_any_characters_arrives_as_it_is(stand_in: StandIn, user_id: str) -> None:
    Api(Address(stand_in.url)).recommend(Question(user_id=user_id, k=3))

    method, path, _, body = stand_in.asked[-1]
    assert (method, path) == ("POST", "/api/recommend")
    assert json.loads(body) == {"user_id": user_id, "k": 3}


def test_function_key_is_sent_when_there_is_one(stand_in: StandIn) -> None:
    Api(Address(stand_in.url)).check_ready()
    Api(Address(stand_in.url, "secret")).check_ready()

    (_, _, without, _), (_, _, with_key, _) = stand_in.asked
    assert "x-functions-key" not in without
    assert with_key["x-functions-key"] == "secret"


def test_catalogue_is_read_page_by_page_up_to_the_limit(stand_in: StandIn) -> None:
    stand_in.replies["items"] = Reply({"total": 9000, "items": FILMS * 200})

    items = Api(Address(stand_in.url)).catalogue(2500)

    paths = [path for _, path, _, _ in stand_in.asked]
    assert paths[:2] == ["/api/items?limit=1000&offset=0", "/api/items?limit=1000&offset=1000"]
    assert paths[2:] == ["/api/items?limit=500&offset=2000"]
    assert items[0].genres == ("Comedy",)


def test_catalogue_ends_where_the_api_has_no_more(stand_in: StandIn) -> None:
    assert len(Api(Address(stand_in.url)).catalogue(2500)) == len(FILMS)
    assert len(stand_in.asked) == 1


def test_curl_asks_the_same_question_and_hides_the_key(stand_in: StandIn) -> None:
    api = Api(Address(stand_in.url, "secret"))

    by_items = api.curl(Question(history=(260, "it's"), k=5))
    by_user = api.curl(Question(user_id="ana", k=5))

    assert by_items == (
        f"curl {stand_in.url}/recommend \\\n"
        '  -H "x-functions-key: $RECSERVE_API_KEY" \\\n'
        "  -H 'content-type: application/json' \\\n"
        """  -d '{"history":[260,"it'"'"'s"],"k":5}'"""
    )
    assert """-d '{"user_id":"ana","k":5}'""" in by_user
    assert "secret" not in by_items + by_user


@pytest.mark.parametrize("url", ["", "not an address", "http://[half/api", "http://127.0.0.1:99999/api"])
def test_address_where_nothing_can_answer_is_named_with_a_remedy(url: str, nowhere: str) -> None:
    with pytest.raises(ApiError) as caught:
        Api(Address(url or nowhere)).recommend(QUESTION)

    assert (url or nowhere) in caught.value.what
    assert "`make run`" in caught.value.remedy
    assert "RECSERVE_API_URL" in caught.value.remedy


def test_slow_answer_is_given_up_after_the_timeout(stand_in: StandIn) -> None:
    stand_in.replies["recommend"] = Reply(ANSWER, delay_s=0.5)

    with pytest.raises(ApiError, match=r"did not answer within 0\.05 s") as caught:
        Api(Address(stand_in.url), timeout_s=0.05).recommend(QUESTION)

    assert caught.value.is_temporary


def test_starting_api_is_not_ready_for_the_moment(stand_in: StandIn) -> None:
    stand_in.replies["health/ready"] = problem(503, "the process is still starting; try again shortly")

    with pytest.raises(ApiError, match="not ready") as caught:
        Api(Address(stand_in.url)).check_ready()

    assert caught.value.is_temporary
    assert caught.value.detail == "the process is still starting; try again shortly"


def test_busy_api_says_when_to_ask_again(stand_in: StandIn) -> None:
    stand_in.replies["recommend"] = problem(429, "64 requests are in flight", **{"retry-after": "2"})

    with pytest.raises(ApiError, match="turned this question away") as caught:
        Api(Address(stand_in.url)).recommend(QUESTION)

    assert caught.value.remedy == "Ask again in 2 s."
    assert caught.value.is_temporary


def test_refused_question_repeats_what_the_api_says(stand_in: StandIn) -> None:
    stand_in.replies["recommend"] = problem(400, "k: 500 is not allowed; send an integer from 1 to 100")

    with pytest.raises(ApiError, match="status 400") as caught:
        Api(Address(stand_in.url)).recommend(QUESTION)

    assert caught.value.detail == "k: 500 is not allowed; send an integer from 1 to 100"
    assert not caught.value.is_temporary


@pytest.mark.parametrize(
    ("key", "what"),
    [("", "The API wants a function key."), ("old", "The API refused the function key.")],
)
def test_missing_or_wrong_key_is_told_apart(stand_in: StandIn, key: str, what: str) -> None:
    stand_in.replies["recommend"] = Reply(b"", 401)

    with pytest.raises(ApiError) as caught:
        Api(Address(stand_in.url, key)).recommend(QUESTION)

    assert caught.value.what == what
    assert "RECSERVE_API_KEY" in caught.value.remedy


def test_failed_api_is_reported_with_its_status(stand_in: StandIn) -> None:
    stand_in.replies["recommend"] = Reply(b"<html>Bad gateway</html>", 502)

    with pytest.raises(ApiError, match="status 502") as caught:
        Api(Address(stand_in.url)).recommend(QUESTION)

    assert caught.value.detail == ""


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>hello</html>"),
        Reply(b"\xff"),
        Reply([]),
        Reply({"items": []}),
        Reply(ANSWER | {"items": 3}),
        Reply(ANSWER | {"model": None}),
        Reply(b"nothing here", 404),
    ],
)
def test_server_that_is_something_else_is_recognised(stand_in: StandIn, reply: Reply) -> None:
    stand_in.replies["recommend"] = reply

    with pytest.raises(ApiError, match="not a recommendation API"):
        Api(Address(stand_in.url)).recommend(QUESTION)


@pytest.mark.parametrize(
    ("header", "phases"),
    [
        ("", ()),
        ("admit;dur=0.105, state;dur=2.795", (Phase("admit", 0.105), Phase("state", 2.795))),
        ('db;desc="a lookup";dur=53, cache', (Phase("db", 53.0),)),
        ("cache, cpu;dur=1", (Phase("cpu", 1.0),)),
        ("admit;dur=soon", ()),
    ],
)
def test_server_timing_is_read_as_far_as_it_has_durations(header: str, phases: tuple[Phase, ...]) -> None:
    assert read_server_timing(header) == phases


def test_question_begins_the_trace_that_the_answer_names(stand_in: StandIn) -> None:
    answer = Api(Address(stand_in.url)).recommend(QUESTION)

    _, _, headers, _ = stand_in.asked[-1]
    version, trace_id, span_id, flags = headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", answer.trace_id, "01")
    assert len(span_id) == 16


def test_event_is_posted_and_may_wait_for_the_store(stand_in: StandIn) -> None:
    api = Api(Address(stand_in.url))
    event = Event(user_id="ana", item_id=593, kind="add")

    stand_in.replies["events"] = Reply({"n_new": 1, "is_deferred": False})
    assert api.record(event)
    stand_in.replies["events"] = Reply({"n_new": 0, "is_deferred": True})
    assert not api.record(event)

    first, second = (json.loads(body)["events"][0] for _, _, _, body in stand_in.asked[-2:])
    assert first.pop("event_id") != second.pop("event_id")
    assert first == second == {"user_id": "ana", "item_id": 593, "kind": "add"}


def test_ladder_is_read_with_intervals_where_the_api_tells_them(stand_in: StandIn) -> None:
    stand_in.replies["models"] = Reply(MODELS)

    ladder = Api(Address(stand_in.url)).ladder()

    assert (ladder.version, ladder.serving) == ("v1", ("blend",))
    blend, counts = ladder.rungs
    assert (blend.name, blend.n_bytes, blend.ndcg, blend.ndcg_low, blend.ndcg_high) == (
        "blend", 2_000_000, 0.09, 0.07, 0.11,
    )  # fmt: skip
    assert counts.ndcg_low is None


def test_ladder_of_a_stranger_is_refused(stand_in: StandIn) -> None:
    stand_in.replies["models"] = Reply({"ladder": "none"})

    with pytest.raises(ApiError, match="not a recommendation API"):
        Api(Address(stand_in.url)).ladder()
