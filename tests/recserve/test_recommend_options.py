"""Rules, terms and batches of recommendation requests, with the shipped models."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.recserve.conftest import http_request, read

Functions = dict[str, Callable[..., Any]]
STAR_WARS = [260, 1196, 1210]


async def ask(functions: Functions, headers: dict[str, str] | None = None, **body: object) -> Any:
    request = http_request("POST", json_body={"history": STAR_WARS, **body}, headers=headers)
    return await functions["recommend"](request)


async def test_filter_leaves_what_it_allows_and_list_is_full(functions: Functions) -> None:
    answer = read(await ask(functions, k=10, rules={"filters": {"allow": {"genres": ["Film-Noir"]}}}))
    pages = [
        read(await functions["items"](http_request(params={"limit": "1000", "offset": str(offset)})))
        for offset in range(0, 4000, 1000)
    ]
    noirs = {film["id"] for page in pages for film in page["items"] if "Film-Noir" in film["genres"]}

    assert len(answer["items"]) == 10
    assert {item["id"] for item in answer["items"]} <= noirs


async def test_filter_that_leaves_nothing_is_an_empty_list_and_why(functions: Functions) -> None:
    response = await ask(functions, rules={"filters": {"allow": {"min_year": 2900}}})

    assert (response.status_code, read(response)["items"]) == (200, [])
    assert "the filter leaves 0 of" in read(response)["note"]


async def test_pinned_film_stands_where_it_is_pinned(functions: Functions) -> None:
    answer = read(await ask(functions, k=5, rules={"pins": [{"item_id": 1, "position": 3}]}))

    assert answer["items"][2]["id"] == 1


async def test_pinned_film_that_the_model_did_not_name_has_no_score(functions: Functions) -> None:
    response = await ask(functions, k=1, rules={"pins": [{"item_id": 260, "position": 1}]})

    item = read(response)["items"][0]
    assert (item["id"], item["score"]) == (260, None)


async def test_reasons_are_films_of_the_history(functions: Functions) -> None:
    answer = read(await ask(functions, k=5, rules={"explain": True}))

    assert {item["because"] for item in answer["items"]} <= set(STAR_WARS)


async def test_exploration_repeats_with_its_seed_and_tells_propensities(functions: Functions) -> None:
    rules = {"exploration": 0.5, "seed": 7}
    one, same = [read(await ask(functions, rules=rules))["items"] for _ in range(2)]
    other = read(await ask(functions, rules=rules | {"seed": 8}))["items"]

    assert one == same != other
    assert all(0 < item["propensity"] <= 1 for item in one)


async def test_seen_films_come_back_where_they_are_wanted(functions: Functions) -> None:
    answer = read(await ask(functions, k=20, exclude_seen=False))

    assert {item["id"] for item in answer["items"]} & set(STAR_WARS)


@pytest.mark.parametrize("deadline_ms", ["0", "-5", "soon", "nan", "inf", "60001", ""])
async def test_bad_deadline_is_refused(functions: Functions, deadline_ms: str) -> None:
    response = await ask(functions, {"x-recserve-deadline-ms": deadline_ms})

    assert (response.status_code, read(response)["field"]) == (400, "x-recserve-deadline-ms")


async def test_bad_priority_is_refused(functions: Functions) -> None:
    response = await ask(functions, {"x-recserve-priority": "highest"})

    assert (response.status_code, read(response)["allowed"]) == (400, "normal or low")


@pytest.mark.parametrize("deadline_ms", ["0.0001", "5e-324"])
async def test_deadline_that_cannot_be_met_is_429_and_says_why(
    functions: Functions, deadline_ms: str
) -> None:
    await ask(functions)
    response = await ask(functions, {"x-recserve-deadline-ms": deadline_ms})

    assert (response.status_code, read(response)["reason"]) == (429, "deadline")
    assert int(response.headers["retry-after"]) >= 1


async def test_batch_answers_as_single_requests_do(functions: Functions) -> None:
    requests = [{"history": [item], "k": 3} for item in (*STAR_WARS, 1, 912, 1258)] * 8
    batch = read(await functions["recommend_batch"](http_request("POST", json_body={"requests": requests})))
    singles = [read(await ask(functions, **request)) for request in requests[:6]]

    assert [a["items"] for a in batch["answers"]] == [a["items"] for a in singles] * 8


async def test_batch_of_257_users_is_refused(functions: Functions) -> None:
    most, too_many = [
        await functions["recommend_batch"](
            http_request("POST", json_body={"requests": [{"history": [1], "k": 1}] * n})
        )
        for n in (256, 257)
    ]

    assert (most.status_code, too_many.status_code) == (200, 400)
    assert read(too_many)["field"] == "requests"


async def test_bad_request_in_a_batch_is_named(functions: Functions) -> None:
    response = await functions["recommend_batch"](
        http_request("POST", json_body={"requests": [{"history": [1]}, {"history": [1], "k": 0}]})
    )

    assert (response.status_code, read(response)["field"]) == (400, "requests[1].k")


async def test_requests_at_the_same_time_share_runs_and_get_their_own_answers(functions: Functions) -> None:
    histories = [[item] for item in (260, 1, 912, 1258, 904, 1219, 858, 296)]
    together = await asyncio.gather(*(ask(functions, history=history) for history in histories))
    alone = [await ask(functions, history=history) for history in histories]

    assert [read(a)["items"] for a in together] == [read(a)["items"] for a in alone]


async def test_reload_without_another_version_changes_nothing(functions: Functions) -> None:
    response = await functions["reload_models"](http_request("POST", json_body={}))

    assert read(response)["outcome"] == "unchanged"
