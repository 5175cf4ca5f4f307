"""What the host in front of the app sees to: keys, headers, other origins, sizes."""

import json
from pathlib import Path

import pytest

from infra.check.rules import LEAST, MOST
from recserve.openapi import OPERATIONS, Operation
from recserve.schemas import Request
from tests.infra.test_deployment import made, settings, site
from tests.security.conftest import LiveApp

STRICT = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
ORIGIN = "https://elsewhere.example"


def path_of(operation: Operation) -> str:
    path = f"/api{operation.path}".replace("{user_id?}", "someone").replace("{user_id}", "someone")
    return path.replace("{item_id}", "10")


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_function_opens_to_the_keys_of_its_level_alone(live: LiveApp, name: str) -> None:
    operation = OPERATIONS[name]

    def status(key: str | None) -> int:
        headers = {} if key is None else {"x-functions-key": key}
        return live.ask_as_given(operation.method.upper(), path_of(operation), headers=headers).status_code

    refused = {key: status(live.keys.get(key, key)) == 401 for key in ("wrong", "host", "master")}
    refused["none"] = status(None) == 401

    assert refused == {
        "none": operation.key != "none",
        "wrong": operation.key != "none",
        "host": operation.key == "master",
        "master": False,
    }


def test_key_of_one_function_does_not_open_another(live: LiveApp) -> None:
    headers = {"x-functions-key": live.keys["items"]}

    assert live.ask_as_given("GET", "/api/items", headers=headers).status_code == 200
    assert live.ask_as_given("GET", "/api/popular", headers=headers).status_code == 401
    assert live.ask_as_given("POST", "/api/models/reload", headers=headers, json={}).status_code == 401


@pytest.mark.parametrize(
    "ask",
    [
        ("GET", "/api/popular"),
        ("GET", "/api/users/someone"),
        ("GET", "/api/popular?k=0"),
        ("POST", "/api/recommend/batch"),
        ("GET", "/api/health/live"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/nothing"),
        ("PATCH", "/api/popular"),
    ],
    ids=" ".join,
)
def test_every_answer_carries_strict_headers(live: LiveApp, ask: tuple[str, str]) -> None:
    answer = live.ask(*ask)

    assert {name: answer.headers.get(name) for name in STRICT} == STRICT


def test_refusal_of_a_key_carries_them_too(live: LiveApp) -> None:
    answer = live.ask_as_given("GET", "/api/popular")

    assert (answer.status_code, answer.headers.items() >= STRICT.items()) == (401, True)


def test_strict_headers_take_less_than_a_fifth_of_a_kilobyte() -> None:
    assert sum(len(f"{name}: {value}\r\n") for name, value in STRICT.items()) < 200


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_other_origins_may_neither_send_nor_read(live: LiveApp, method: str) -> None:
    preflight = live.ask(
        "OPTIONS",
        "/api/recommend",
        headers={
            "origin": ORIGIN,
            "access-control-request-method": method,
            "access-control-request-headers": "content-type,x-functions-key",
        },
    )
    answer = live.ask(method, "/api/recommend", headers={"origin": ORIGIN}, json={"history": [10]})

    allowed = [
        name for each in (preflight, answer) for name in each.headers if name.startswith("access-control")
    ]
    assert allowed == []


def test_a_form_that_another_site_sends_does_nothing(live: LiveApp) -> None:
    """What a browser sends without asking first: a form's content types."""
    event = {"event_id": "e", "user_id": "someone", "item_id": 10, "kind": "click"}
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
    ):
        answer = live.ask(
            "POST",
            "/api/events",
            headers={"origin": ORIGIN, "content-type": content_type},
            content=json.dumps({"events": [event]}),
        )
        assert answer.status_code == 415


def test_body_beyond_every_limit_is_refused_unread(live: LiveApp) -> None:
    """The host is told so, and reads no more of it than this; its own limit is 100 MB."""
    answer = live.ask("POST", "/api/events", content=bytes(4_194_305))

    assert (answer.status_code, answer.content) == (413, b"")


def test_the_host_s_limit_leaves_room_for_every_body_that_is_allowed() -> None:
    limits = [made(environ) for environ in (LEAST, MOST)]
    most = max(kind.max_body_bytes for kind in _kinds(Request))

    assert {settings(each)["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] for each in limits} == {"4194304"}
    assert most <= 4_194_304 // 2


def _kinds(kind: type[Request]) -> list[type[Request]]:
    return [kind, *(inner for each in kind.__subclasses__() for inner in _kinds(each))]


@pytest.mark.parametrize("environ", [LEAST, MOST])
def test_azure_is_asked_over_tls_and_answers_no_other_origin(environ: dict[str, str]) -> None:
    app = site(made(environ))

    assert app["httpsOnly"] is True
    assert app["siteConfig"]["minTlsVersion"] == "1.2"
    assert app["siteConfig"]["cors"] == {"allowedOrigins": []}
    assert app["siteConfig"]["remoteDebuggingEnabled"] is False


def test_host_json_keeps_no_switch_open(repository: Path) -> None:
    http = json.loads((repository / "host.json").read_text())["extensions"]["http"]
    sample = json.loads((repository / "local.settings.sample.json").read_text())

    assert {name.lower(): value for name, value in http["customHeaders"].items()} == STRICT
    assert "CORS" not in sample["Host"]
