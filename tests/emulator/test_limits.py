"""host.json's limits, headers and prefix; keys; cross-origin requests."""

import asyncio
import re

import httpx
import pytest

WAITING = """
entered = 0
release = asyncio.Event()

@app.route()
async def wait(req):
    global entered
    entered += 1
    await release.wait()
    return "done"

@app.timer_trigger(schedule="0 0 1 1 1 *", arg_name="timer")
async def let_go(timer) -> None:
    print("entered", entered, flush=True)
    release.set()
"""


def http_options(**options):
    return {"version": "2.0", "extensions": {"http": options, "queues": {"batchSize": 1}}, "logging": {}}


async def answers_of(host, n_requests: int, *, release_after: int) -> list[httpx.Response]:
    """Send requests that wait, let them go once so many were refused, and give all answers."""
    async with httpx.AsyncClient(base_url=host.base_url, timeout=20) as client:
        requests = {asyncio.create_task(client.get("/api/wait")) for _ in range(n_requests)}
        pending = requests
        while len(requests) - len(pending) < release_after:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        await client.post("/admin/functions/let_go", json={})
        return await asyncio.gather(*requests)


async def test_request_over_the_outstanding_limit_is_429(start_host) -> None:
    host = start_host(WAITING, host_json=http_options(maxOutstandingRequests=3))

    answers = await answers_of(host, 5, release_after=2)

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["x-function-scaleout"] == "1"


async def test_place_is_free_again_after_an_answer(start_host) -> None:
    host = start_host(
        '@app.route()\nasync def f(req): return "x"', host_json=http_options(maxOutstandingRequests=1)
    )

    with host.client() as client:
        assert [client.get("/api/f").status_code for _ in range(5)] == [200] * 5


async def test_requests_over_the_concurrent_limit_wait(start_host) -> None:
    host = start_host(WAITING, host_json=http_options(maxConcurrentRequests=2, maxOutstandingRequests=4))

    answers = await answers_of(host, 6, release_after=2)
    host.stop()

    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 2
    assert "entered 2" in host.stdout


def test_custom_headers_are_on_every_response_but_never_override(start_host) -> None:
    host = start_host(
        '@app.route()\nasync def f(req): return func.HttpResponse(headers={"X-Frame-Options": "DENY"})',
        host_json=http_options(customHeaders={"X-Frame-Options": "SAMEORIGIN", "X-Shop": "1"}),
    )

    with host.client() as client:
        answered, missing = client.get("/api/f"), client.get("/api/nothing")

    assert answered.headers.get_list("x-frame-options") == ["DENY"]
    assert answered.headers["x-shop"] == missing.headers["x-shop"] == "1"


@pytest.mark.parametrize(("prefix", "path"), [("", "/f"), ("shop/v1", "/shop/v1/f"), ("/v2/", "/v2/f")])
def test_route_prefix_stands_before_every_route(start_host, prefix: str, path: str) -> None:
    host = start_host(
        '@app.route()\nasync def f(req): return "x"', host_json=http_options(routePrefix=prefix)
    )

    with host.client() as client:
        assert client.get(path).text == "x"
        assert client.get("/api/f").status_code == 404
    assert f"f: {host.base_url}{path}" in host.stdout


KEYED = """
@app.route(auth_level=func.AuthLevel.ANONYMOUS)
async def everyone(req): return "x"

@app.route(auth_level=func.AuthLevel.FUNCTION)
async def mine(req): return "x"

@app.route(auth_level=func.AuthLevel.FUNCTION)
async def other(req): return "x"

@app.route(auth_level=func.AuthLevel.ADMIN)
async def owners(req): return "x"
"""


def test_auth_levels_are_not_enforced_by_default(start_host) -> None:
    host = start_host(KEYED)

    with host.client() as client:
        assert [client.get(f"/api/{name}").status_code for name in ("everyone", "mine", "owners")] == [
            200
        ] * 3
        assert client.get("/admin/functions").status_code == 200


def test_enable_auth_asks_for_the_key_of_the_level(start_host) -> None:
    host = start_host(KEYED, "--enable-auth")
    with host.client() as client:
        assert client.get("/api/everyone").status_code == 200
        assert client.get("/admin/host/ping").status_code == 200
        refused = [client.get(path).status_code for path in ("/api/mine", "/api/owners", "/admin/functions")]

        keys = keys_of(host)

        def status(path: str, key: str) -> int:
            by_header = client.get(path, headers={"x-functions-key": key}).status_code
            assert client.get(path, params={"code": key}).status_code == by_header
            return by_header

        assert refused == [401] * 3
        assert [status("/api/mine", keys[name]) for name in ("mine", "host", "master", "other")] == [
            200,
            200,
            200,
            401,
        ]
        assert [status("/api/owners", keys[name]) for name in ("mine", "host", "master")] == [401, 401, 200]
        assert [status("/admin/functions", keys[name]) for name in ("host", "master")] == [401, 200]
        assert status("/api/mine", "wrong") == 401


def keys_of(host) -> dict[str, str]:
    """Read the keys that the host prints after its function list."""
    keys: dict[str, str] = {}
    while "other" not in keys:
        if found := re.fullmatch(r" {8}(\w+) +([\w-]{50,})\n", host.process.stdout.readline()):
            keys[found[1]] = found[2]
    return keys


ORIGIN = "https://shop.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,x-id",
}


def test_preflight_is_answered_for_an_allowed_origin(start_host) -> None:
    host = start_host(
        '@app.route(methods=["POST"])\nasync def f(req): return "x"', "--cors", f"https://a.example,{ORIGIN}"
    )

    with host.client() as client:
        preflight = client.options("/api/f", headers=PREFLIGHT)
        stranger = client.options("/api/f", headers=PREFLIGHT | {"Origin": "https://b.example"})
        answer = client.post("/api/f", headers={"Origin": ORIGIN})
        missing = client.get("/api/f", headers={"Origin": ORIGIN})
        plain = client.post("/api/f")

    assert preflight.status_code == stranger.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert preflight.headers["access-control-allow-headers"] == "content-type,x-id"
    assert "access-control-allow-origin" not in stranger.headers
    assert (answer.text, answer.headers["access-control-allow-origin"]) == ("x", ORIGIN)
    assert answer.headers["vary"] == "Origin"
    assert missing.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in plain.headers


def test_any_origin_may_be_allowed_in_local_settings(start_host) -> None:
    host = start_host(
        '@app.route()\nasync def f(req): return "x"',
        local_settings={"IsEncrypted": False, "Host": {"CORS": "*"}},
    )

    with host.client() as client:
        assert client.get("/api/f", headers={"Origin": ORIGIN}).headers["access-control-allow-origin"] == "*"


def test_credentials_are_allowed_where_local_settings_say_so(start_host) -> None:
    host = start_host(
        '@app.route()\nasync def f(req): return "x"',
        local_settings={"IsEncrypted": False, "Host": {"CORS": ORIGIN, "CORSCredentials": True}},
    )

    with host.client() as client:
        headers = client.get("/api/f", headers={"Origin": ORIGIN}).headers

    assert headers["access-control-allow-credentials"] == "true"


def test_without_cors_options_is_a_method_like_any_other(start_host) -> None:
    host = start_host("@app.route()\nasync def f(req): return req.method")

    with host.client() as client:
        assert client.options("/api/f", headers=PREFLIGHT).text == "OPTIONS"
        assert client.options("/api/nothing", headers=PREFLIGHT).status_code == 404
