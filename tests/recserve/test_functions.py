"""The functions of the function app, asked as the worker asks them, with the shipped models."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from recserve.state.sqlite import SqliteStore
from recserve.state.store import Event
from tests.recserve.conftest import http_request, read

STAR_WARS = [260, 1196, 1210]
Respond = Callable[..., Any]


@pytest.fixture
async def users(state_path: Path, functions: object) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(state_path)
    yield store
    await store.close()


def click(user_id: str, item_id: int, *, age_s: float) -> Event:
    return Event(f"{user_id}-{item_id}", user_id, str(item_id), "click", time.time() - age_s)


async def recommend(functions: dict[str, Callable[..., Any]], body: object) -> Any:
    return await functions["recommend"](http_request("POST", json_body=body))


async def test_history_gets_titled_films_that_are_not_in_it(functions: dict) -> None:
    response = await recommend(functions, {"history": STAR_WARS, "k": 5})
    answer = read(response)

    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert len(answer["items"]) == 5
    assert not {item["id"] for item in answer["items"]} & set(STAR_WARS)
    assert all(item["title"] for item in answer["items"])
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["basis"] == "history"
    assert answer["model"]["variant"] == "student"


async def test_different_tastes_get_different_films(functions: dict) -> None:
    noir = read(await recommend(functions, {"history": [912, 904, 903], "k": 10}))
    horror = read(await recommend(functions, {"history": [1258, 1219, 1214], "k": 10}))

    shared = {item["id"] for item in noir["items"]} & {item["id"] for item in horror["items"]}
    assert len(shared) < 5


async def test_every_answer_has_an_id_of_its_own(functions: dict) -> None:
    ids = {read(await recommend(functions, {"history": STAR_WARS}))["recommendation_id"] for _ in range(20)}

    assert len(ids) == 20


async def test_same_question_gets_the_same_films(functions: dict) -> None:
    first, second = [read(await recommend(functions, {"history": STAR_WARS})) for _ in range(2)]

    assert first["items"] == second["items"]


async def test_item_ids_may_be_numbers_or_text(functions: dict) -> None:
    as_numbers = read(await recommend(functions, {"history": STAR_WARS}))
    as_text = read(await recommend(functions, {"history": [str(item) for item in STAR_WARS]}))

    assert as_numbers["items"] == as_text["items"]


async def test_k_defaults_to_ten_and_may_be_a_hundred(functions: dict) -> None:
    assert len(read(await recommend(functions, {"history": STAR_WARS}))["items"]) == 10
    assert len(read(await recommend(functions, {"history": STAR_WARS, "k": 100}))["items"]) == 100


async def test_unknown_items_are_dropped_and_counted(functions: dict) -> None:
    answer = read(await recommend(functions, {"history": [*STAR_WARS, 99999999, "no such film"]}))

    assert (answer["n_unknown_items"], answer["basis"]) == (2, "history")


async def test_history_of_unknown_items_alone_gets_popular_films_and_says_so(functions: dict) -> None:
    answer = read(await recommend(functions, {"history": [99999999]}))

    assert (answer["basis"], answer["model"]["variant"], answer["n_unknown_items"]) == (
        "no_known_items",
        "popular",
        1,
    )


async def test_empty_history_gets_popular_films_and_says_so(functions: dict) -> None:
    answer = read(await recommend(functions, {"history": []}))

    assert (answer["basis"], answer["model"]["variant"]) == ("empty_history", "popular")


async def test_unknown_user_gets_popular_films_and_says_so(functions: dict) -> None:
    answer = read(
        await functions["recommend_user"](http_request(route={"user_id": "nobody"}, params={"k": "3"}))
    )
    popular = read(await functions["popular"](http_request(params={"k": "3"})))

    assert (answer["basis"], len(answer["items"])) == ("unknown_user", 3)
    assert answer["items"] == popular["items"]


async def test_stored_history_answers_as_the_same_history_sent(functions: dict, users: SqliteStore) -> None:
    await users.record([click("ana", item, age_s=60.0 - place) for place, item in enumerate(STAR_WARS)])

    stored = read(await functions["recommend_user"](http_request(route={"user_id": "ana"})))
    posted = read(await recommend(functions, {"user_id": "ana"}))
    sent = read(await recommend(functions, {"history": STAR_WARS}))

    assert stored["items"] == posted["items"] == sent["items"]
    assert stored["basis"] == "history"


async def test_history_that_is_sent_continues_the_one_that_is_stored(
    functions: dict, users: SqliteStore
) -> None:
    await users.record([click("ben", 260, age_s=1.0)])

    both = read(await recommend(functions, {"user_id": "ben", "history": [1196, 1210]}))
    sent = read(await recommend(functions, {"history": STAR_WARS}))

    assert both["items"] == sent["items"]


async def test_longest_history_is_answered(functions: dict) -> None:
    response = await recommend(functions, {"history": [260] * 1000})

    assert response.status_code == 200


async def test_similar_films_are_near_and_not_the_film_itself(functions: dict) -> None:
    answer = read(await functions["similar"](http_request(route={"item_id": "260"}, params={"k": "5"})))
    ids = {item["id"] for item in answer["items"]}

    assert ids & {1196, 1210}
    assert 260 not in ids


async def test_search_finds_titles_by_words_in_any_case(functions: dict) -> None:
    page = read(await functions["items"](http_request(params={"query": "WARS star", "limit": "2"})))

    assert page["total"] >= 6
    assert page["items"][0]["id"] == 260
    assert (page["items"][0]["year"], "Sci-Fi" in page["items"][0]["genres"]) == (1977, True)


async def test_pages_of_the_catalogue_are_disjoint_and_complete(functions: dict) -> None:
    ids: list[int] = []
    while True:
        page = read(await functions["items"](http_request(params={"limit": "1000", "offset": str(len(ids))})))
        if not page["items"]:
            break
        ids += [item["id"] for item in page["items"]]

    assert len(ids) == len(set(ids)) == page["total"]


async def test_models_tell_their_measurements(functions: dict) -> None:
    answer = read(await functions["models"](http_request()))

    assert [variant["name"] for variant in answer["ladder"]] == [
        "teacher",
        "student",
        "pruned",
        "int8",
        "counts",
        "popular",
    ]
    assert all(0 < variant["metrics"]["ndcg@10"] < 1 for variant in answer["ladder"])


async def test_phases_are_told_in_the_server_timing_header(functions: dict) -> None:
    response = await recommend(functions, {"history": STAR_WARS})

    phases = [phase.split(";")[0] for phase in response.headers["server-timing"].split(", ")]
    assert phases == ["startup", "admit", "state", "queue", "infer", "rank", "encode"]


@pytest.mark.parametrize(
    ("name", "route", "expected"),
    [
        ("popular", {}, ["startup", "admit", "queue", "infer", "rank", "encode"]),
        ("similar", {"item_id": "260"}, ["startup", "admit", "queue", "infer", "rank", "encode"]),
        ("items", {}, ["startup", "admit", "search", "encode"]),
        ("export_user", {"user_id": "nobody"}, ["startup", "admit", "state", "encode"]),
        ("erase_user", {"user_id": "nobody"}, ["startup", "admit", "state", "encode"]),
    ],
)
async def test_other_answers_tell_their_phases_too(
    functions: dict, name: str, route: dict, expected: list[str]
) -> None:
    response = await functions[name](http_request(route=route))

    assert [phase.split(";")[0] for phase in response.headers["server-timing"].split(", ")] == expected


async def test_process_is_live_and_ready(functions: dict) -> None:
    ready = await functions["health_ready"](http_request())
    live = await functions["health_live"](http_request())

    assert read(live) == {"status": "live"}
    assert (ready.status_code, read(ready)["status"]) == (200, "ready")


BAD_BODIES = {
    "unknown field": ({"historie": [1], "history": []}, "historie", [1]),
    "unknown field that looks like a path": ({"history": [], "x - at `$.k": 5}, "x - at `$.k", 5),
    "unknown field with a line break": ({"a\nb": 5}, "a\nb", 5),
    "unknown field without a name": ({"": 5}, "", 5),
    "null instead of a history": ({"history": None}, "history", None),
    "null instead of k": ({"history": [], "k": None}, "k", None),
    "k below the range": ({"history": [], "k": 0}, "k", 0),
    "k above the range": ({"history": [], "k": 101}, "k", 101),
    "k of another type": ({"history": [], "k": "ten"}, "k", "ten"),
    "fractional k": ({"history": [], "k": 1.5}, "k", 1.5),
    "item of another type": ({"history": [1, {"id": 2}]}, "history[1]", {"id": 2}),
    "history of another type": ({"history": "260"}, "history", "260"),
    "user id of another type": ({"user_id": 7}, "user_id", 7),
    "empty user id": ({"user_id": ""}, "user_id", ""),
    "user id too long": ({"user_id": "u" * 257}, "user_id", "u" * 100 + "..."),
    "history too long": ({"history": [1] * 1001}, "history", "[" + "1," * 49 + "1..."),
}


@pytest.mark.parametrize(("body", "field", "value"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_bad_field_is_named_with_its_value_and_what_is_allowed(
    functions: dict, body: dict, field: str, value: object
) -> None:
    response = await recommend(functions, body)
    problem = read(response)

    assert (response.status_code, response.mimetype) == (400, "application/problem+json")
    assert (problem["field"], problem["value"]) == (field, value)
    assert problem["allowed"]


@pytest.mark.parametrize("body", [{}, [], "text", 1, None])
async def test_body_that_asks_nothing_is_refused(functions: dict, body: object) -> None:
    response = await functions["recommend"](
        http_request("POST", body=msgspec.json.encode(body), headers={"content-type": "application/json"})
    )

    assert (response.status_code, read(response)["field"], read(response)["value"]) == (400, "body", body)
    assert "history" in read(response)["allowed"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b'{"history":[NaN]}', "not JSON"),
        (b'{"history":[1,]}', "not JSON"),
        (b'{"history":[1e400]}', "a number that is out of range"),
        (b'{"user_id":"\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
async def test_body_that_cannot_be_read_is_refused(functions: dict, body: bytes, said: str) -> None:
    response = await functions["recommend"](
        http_request("POST", body=body, headers={"content-type": "application/json"})
    )

    problem = read(response)
    assert (response.status_code, problem["field"]) == (400, "body")
    assert problem["allowed"] == "a JSON object in UTF-8"
    assert said in problem["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
async def test_other_content_types_are_refused(functions: dict, content_type: str) -> None:
    response = await functions["recommend"](
        http_request("POST", json_body={"history": []}, headers={"content-type": content_type})
    )

    assert (response.status_code, read(response)["field"]) == (415, "content-type")


async def test_content_type_may_name_its_charset(functions: dict) -> None:
    response = await functions["recommend"](
        http_request(
            "POST", json_body={"history": []}, headers={"content-type": "application/json; charset=utf-8"}
        )
    )

    assert response.status_code == 200


async def test_body_over_256_kib_is_refused(functions: dict) -> None:
    body = b'{"history":[]' + b" " * (256 * 1024) + b"}"
    response = await functions["recommend"](
        http_request("POST", body=body, headers={"content-type": "application/json"})
    )

    assert (response.status_code, read(response)["value"]) == (413, len(body))


async def test_compressed_body_is_refused_by_name(functions: dict) -> None:
    response = await functions["recommend"](
        http_request("POST", json_body={"history": []}, headers={"content-encoding": "gzip"})
    )

    assert (response.status_code, read(response)["field"]) == (415, "content-encoding")


@pytest.mark.parametrize(
    "body", [{"user_id": "u" * 100_000}, {"u" * 100_000: 1}, {"history": {"x": "y" * 100_000}}]
)
async def test_long_text_is_not_thrown_back_whole(functions: dict, body: dict) -> None:
    response = await recommend(functions, body)

    assert len(response.get_body()) < 1000


async def test_long_content_type_is_not_thrown_back_whole(functions: dict) -> None:
    response = await functions["recommend"](
        http_request("POST", json_body={}, headers={"content-type": "x" * 30_000})
    )

    assert len(response.get_body()) < 1000


async def test_query_of_a_post_is_refused_since_it_would_do_nothing(functions: dict) -> None:
    response = await functions["recommend"](
        http_request("POST", json_body={"history": []}, params={"k": "3"})
    )

    assert (response.status_code, read(response)["field"]) == (400, "k")


BAD_PARAMS = {
    "unknown parameter": ("popular", {"q": "1"}, {}, 400, "q"),
    "k no number": ("popular", {"k": "many"}, {}, 400, "k"),
    "k out of range": ("recommend_user", {"k": "101"}, {"user_id": "ana"}, 400, "k"),
    "user id too long": ("recommend_user", {}, {"user_id": "u" * 257}, 400, "user_id"),
    "user id twice": ("recommend_user", {"user_id": "ben"}, {"user_id": "ana"}, 400, "user_id"),
    "unknown item": ("similar", {}, {"item_id": "99999999"}, 404, "item_id"),
    "limit out of range": ("items", {"limit": "1001"}, {}, 400, "limit"),
    "negative offset": ("items", {"offset": "-1"}, {}, 400, "offset"),
}


@pytest.mark.parametrize(("name", "params", "route", "status", "field"), BAD_PARAMS.values(), ids=BAD_PARAMS)
async def test_bad_parameter_is_named(
    functions: dict, name: str, params: dict, route: dict, status: int, field: str
) -> None:
    response = await functions[name](http_request(params=params, route=route))

    assert (response.status_code, read(response)["field"]) == (status, field)


async def test_function_key_in_the_query_is_the_hosts_and_no_unknown_parameter(functions: dict) -> None:
    response = await functions["popular"](http_request(params={"code": "secret", "clientId": "me"}))

    assert response.status_code == 200


async def test_answers_keep_the_shapes_that_openapi_promises(functions: dict) -> None:
    import jsonschema

    document = read(await functions["openapi"](http_request()))
    answers = {
        "Recommendations": await recommend(functions, {"history": STAR_WARS}),
        "ItemList": await functions["popular"](http_request()),
        "CataloguePage": await functions["items"](http_request()),
        "Models": await functions["models"](http_request()),
        "Health": await functions["health_ready"](http_request()),
        "Problem": await recommend(functions, {"k": 0, "history": []}),
    }

    for name, response in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(read(response))
