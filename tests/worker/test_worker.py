"""Microsoft's own worker indexes and runs the app, and agrees with our stand-in for the host."""

import ast
import gzip
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

REPOSITORY = Path(__file__).parents[2]
FUNCTION_APP = REPOSITORY / "function_app.py"
"What the worker is given to import and index the app."
SET_BY_SERVER = {
    *("date", "content-length"),
    # host.json's, which the host puts on every answer
    *("cache-control", "content-security-policy", "referrer-policy", "x-content-type-options"),
}
DIFFERENT_EACH_TIME = {"recommendation_id", "cold_start", "seconds"}
BOTH_KEEP = {"n_new", "n_duplicates"}
"Both sides have one store, and whoever is asked second finds what the first has kept."


def get(target: str, coding: str = "identity", *, known: str = "") -> httpx.Request:
    headers = {"accept-encoding": coding} | ({"if-none-match": known} if known else {})
    return httpx.Request("GET", f"http://localhost/api/{target}", headers=headers)


def post(body: Any, content_type: str | None = "application/json", *, to: str = "recommend") -> httpx.Request:
    """A request with a body; what is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": content_type} if content_type else {}
    return httpx.Request("POST", f"http://localhost/api/{to}", headers=headers, content=content)


GOOD = {
    "recommend to a history": post({"history": [356, 296], "k": 20}),
    "recommend to ids as text": post({"history": ["356", "296"]}),
    "recommend to a history with unknown items": post({"history": [356, "no-such-item"]}),
    "recommend to a known user": post({"user_id": "known-user"}),
    "recommend to a known user and a newer history": post({"user_id": "known-user", "history": [1]}),
    "recommend to an unknown user": post({"user_id": "nobody"}),
    "recommend to an empty history": post({"history": []}),
    "recommend with a charset": post({"history": [1]}, "application/json; charset=utf-8"),
    "recommend by path to a known user": get("recommend/known-user?k=3"),
    "recommend by path to an unknown user": get("recommend/nobody"),
    "recommend by path to an encoded user": get("recommend/J%C3%BCrgen%20%26%20co"),
    "recommend by rules": post(
        {
            "history": [356, 296],
            "rules": {
                "filters": {"allow": {"genres": ["Comedy"]}},
                "pins": [{"item_id": 1, "position": 2}],
                "diversity": 0.5,
                "exploration": 0.2,
                "seed": 1,
                "explain": True,
            },
        }
    ),
    "recommend to two at once": post(
        {"requests": [{"history": [356]}, {"user_id": "known-user", "k": 3}]}, to="recommend/batch"
    ),
    "an event": post(
        {"events": [{"event_id": "e1", "user_id": "somebody", "item_id": 356, "kind": "view"}]}, to="events"
    ),
    "all of a user": get("users/known-user"),
    "all of a user by query": get("users?user_id=nobody%2Fhere"),
    "erasing nobody": httpx.Request("DELETE", "http://localhost/api/users/nobody"),
    "a reload without another version": post({}, to="models/reload"),
    "a page of items": get("items?limit=5&offset=10"),
    "items by a query of two words": get("items?query=toy%20story"),
    "items by a query beyond ASCII": get("items?query=am%C3%A9lie"),
    "items by an empty query": get("items?query=&limit=2"),
    "similar items": get("items/356/similar?k=5"),
    "popular items": get("popular?k=3"),
    "popular items with the host's key": get("popular?code=key"),
    "models": get("models"),
    "liveness": get("health/live"),
    "readiness": get("health/ready"),
    "OpenAPI": get("openapi.json"),
}

CATALOGUE = json.loads((REPOSITORY / "models/edge/manifest.json").read_text())["catalogue"]["sha256"]
OF_EDGE = {
    "the bundle's manifest": (get("edge/manifest"), 200),
    "a file, compressed": (get(f"edge/files/catalogue-{CATALOGUE[:12]}.json", "gzip"), 200),
    "a file as it is": (get(f"edge/files/catalogue-{CATALOGUE[:12]}.json", "identity"), 200),
    "a file that the caller has": (
        get(f"edge/files/catalogue-{CATALOGUE[:12]}.json", "gzip", known=f'"{CATALOGUE}"'),
        304,
    ),
    "a file that is none": (get("edge/files/..%5Cmanifest.json"), 404),
    "the demo page": (get("edge/demo"), 200),
}
"What devices ask for."
AT = b',"at":'
"What stands last in the bundle's manifest is the time."
GZIP = b"\x1f\x8b"

BAD = {
    "not JSON": (post(b"{history:"), 400),
    "not UTF-8": (post(b'{"user_id": "\xff"}'), 400),
    "no body": (post(b""), 400),
    "wrong content type": (post(b"history=1", "application/x-www-form-urlencoded"), 415),
    "no content type": (post({"history": [1]}, None), 415),
    "unknown field": (post({"history": [1], "n": 3}), 400),
    "neither user nor history": (post({"k": 3}), 400),
    "k below the range": (post({"history": [1], "k": 0}), 400),
    "k above the range": (post({"history": [1], "k": 101}), 400),
    "body over 256 KiB": (post(b" " * (256 * 1024 + 1)), 413),
    "k above the range in the query": (get("popular?k=101"), 400),
    "k that is no number": (get("recommend/known-user?k=many"), 400),
    "k twice": (get("popular?k=1&k=2"), 400),
    "unknown parameter": (get("items?q=toy"), 400),
    "unknown item": (get("items/no-such-item/similar"), 404),
    "a slash in a user's path": (get("users/a%2Fb"), 400),
    "no user at all": (get("users"), 400),
    "an event of an unknown kind": (
        post({"events": [{"event_id": "e", "user_id": "u", "item_id": 1, "kind": "stare"}]}, to="events"),
        400,
    ),
}


def agreed_part(answer: Any) -> tuple[int, dict[str, Any], Any]:
    """What both sides must agree on: status, headers and JSON without times, ids and warmth."""
    headers = {name: value for name, value in answer.headers.items() if name not in SET_BY_SERVER}
    if timing := headers.get("server-timing"):
        headers["server-timing"] = [phase.partition(";")[0] for phase in timing.split(", ")]
    return answer.status, headers, _agreed(answer.json)


def _agreed(value: Any) -> Any:
    if isinstance(value, list):
        return [_agreed(item) for item in value]
    if isinstance(value, dict):
        unlike = DIFFERENT_EACH_TIME | BOTH_KEEP
        return {name: _agreed(inner) for name, inner in value.items() if name not in unlike}
    return value


def declared_functions() -> dict[str, tuple[str, list[str], str]]:
    """Route, methods and auth level of each HTTP function, as function_app.py spells them."""
    declared = {}
    for node in ast.parse(FUNCTION_APP.read_text()).body:
        if isinstance(node, ast.AsyncFunctionDef):
            call = node.decorator_list[0]
            assert isinstance(call, ast.Call)
            if ast.unparse(call.func) == "app.route":
                options = {option.arg: ast.unparse(option.value) for option in call.keywords}
                level = options.get("auth_level", "AuthLevel.FUNCTION").removeprefix("AuthLevel.")
                level = level.replace("OF_EDGE", "FUNCTION")  # as RECSERVE_EDGE=key has it
                methods = ast.literal_eval(options["methods"])
                declared[node.name] = (ast.literal_eval(call.args[0]), methods, level)
    return declared


def test_worker_indexes_the_functions_that_are_declared(worker):
    indexed = {
        name: (trigger["route"], trigger["methods"], trigger["authLevel"])
        for name, (trigger, *_) in worker.bindings.items()
        if trigger["type"] == "httpTrigger"
    }

    assert indexed == declared_functions()


def test_worker_and_stand_in_index_the_same_bindings(worker, stand_in):
    assert worker.bindings == stand_in.bindings


def test_worker_is_microsofts_for_python_3_13(worker):
    assert worker.description["python"] == "3.13"
    assert f"azure-functions-runtime=={worker.description['worker']}\n" in (
        Path(__file__).with_name("requirements.txt").read_text()
    )


def test_worker_and_stand_in_run_the_same_onnx_runtime(worker):
    assert worker.description["onnxruntime"] == version("onnxruntime")


def test_every_http_function_is_asked_for_something(worker):
    requests = [*GOOD.values(), *(request for request, _ in OF_EDGE.values())]
    asked = {worker.route(request.method, request.url.raw_path.decode())[0] for request in requests}

    assert asked == declared_functions().keys()


@pytest.mark.parametrize("what", GOOD)
def test_good_request_is_answered_alike(what, worker, stand_in):
    (ours,), (theirs,) = stand_in.ask(GOOD[what]), worker.ask(GOOD[what])

    # Scores are equal to the last digit: both run the same ONNX Runtime, and numpy only orders them.
    assert agreed_part(theirs) == agreed_part(ours)
    assert theirs.status == 200
    assert theirs.headers["content-type"] == "application/json"


@pytest.mark.parametrize("what", OF_EDGE)
def test_device_is_answered_alike(what, worker, stand_in):
    request, status = OF_EDGE[what]

    (ours,), (theirs,) = stand_in.ask(request), worker.ask(request)

    lasting = {"etag", "vary", "content-encoding", "content-type"}
    of_ours, of_theirs = (
        (answer.status, {name: answer.headers.get(name) for name in lasting}) for answer in (ours, theirs)
    )
    assert of_theirs == of_ours
    assert theirs.status == status
    assert lasting_part(theirs.body) == lasting_part(ours.body)


def lasting_part(body: bytes) -> bytes:
    """Unpacked, which the client of the stand-in does by itself, and without the time."""
    return (gzip.decompress(body) if body.startswith(GZIP) else body).partition(AT)[0]


@pytest.mark.parametrize("what", BAD)
def test_bad_request_is_answered_alike(what, worker, stand_in):
    request, status = BAD[what]

    (ours,), (theirs,) = stand_in.ask(request), worker.ask(request)

    assert agreed_part(theirs) == agreed_part(ours)
    assert theirs.status == status
    assert theirs.headers["content-type"] == "application/problem+json"


def test_requests_at_the_same_time_are_answered_as_one_by_one(worker):
    requests = [post({"history": [item], "k": 5}) for item in (1, 110, 260, 296, 318, 356, 480, 593) * 4]

    together = worker.ask(*requests)

    alone = [worker.ask(request)[0] for request in requests]
    for one, other in zip(together, alone, strict=True):
        assert one.status == other.status == 200
        scores = [[item["score"] for item in answer.json["items"]] for answer in (one, other)]
        # A micro-batch multiplies larger matrices, which may round differently.
        assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_overload_is_refused_with_retry_after(start):
    worker = start.worker(RECSERVE_MAX_IN_FLIGHT="1")
    worker.ask(get("popular"))

    answered, *refused = worker.ask(get("popular"), get("popular"), get("popular"))

    assert answered.status == 200
    assert [answer.status for answer in refused] == [429, 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


def test_first_recommendation_is_cold_without_warmup(start):
    worker = start.worker()

    answers = [worker.ask(get("recommend/nobody"))[0].json for _ in range(2)]

    assert [answer["cold_start"] for answer in answers] == [True, False]


def test_first_recommendation_is_warm_after_warmup(start):
    worker = start.worker()

    failure = worker.run("warmup")

    assert not failure
    assert worker.ask(get("recommend/nobody"))[0].json["cold_start"] is False


def test_app_without_models_is_indexed_and_says_that_it_is_not_ready(start, worker, tmp_path):
    settings = {"RECSERVE_MODELS_DIR": str(tmp_path / "missing")}
    requests = get("recommend/nobody"), get("health/ready"), get("health/live")

    without = start.worker(**settings)

    answers = without.ask(requests[0]) + without.ask(*requests[1:])
    ours = start.stand_in(**settings).ask(*requests)
    assert without.bindings == worker.bindings
    assert [answer.status for answer in answers] == [503, 503, 200]
    assert list(map(agreed_part, answers)) == list(map(agreed_part, ours))


def test_warmup_without_models_fails_and_the_worker_lives_on(start, tmp_path):
    worker = start.worker(RECSERVE_MODELS_DIR=str(tmp_path / "missing"))

    failure = worker.run("warmup")

    assert failure.startswith("StartupFailed: the process cannot serve")
    assert worker.ask(get("health/live"))[0].status == 200
