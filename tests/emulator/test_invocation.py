"""What a function receives, what it may return, and what the client sees of it."""

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest

FUNCTIONS = """
import json

logging.getLogger("shop").info("imported on %s", threading.current_thread().name)
cv = threading.local()


def described(req, **more):
    return json.dumps({
        "method": req.method, "url": req.url, "headers": dict(req.headers), "params": dict(req.params),
        "route_params": dict(req.route_params), "body": req.get_body().decode("latin-1"), **more,
    })


@app.route("echo/{id:int}/{*rest}")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(described(req), mimetype="application/json")


@app.route("echo/new", methods=["POST"])
def create(req: func.HttpRequest) -> str:
    return "created"


@app.route("text/{name}")
async def text(req: func.HttpRequest) -> str:
    return req.route_params["name"]


@app.route()
def unrouted(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    trace = context.trace_context
    return func.HttpResponse(json.dumps({
        "name": context.function_name, "directory": context.function_directory,
        "id": context.invocation_id, "local_id": context.thread_local_storage.invocation_id,
        "parent": trace.trace_parent, "state": trace.trace_state, "attributes": trace.attributes,
        "retries": [context.retry_context.retry_count, context.retry_context.max_retry_count],
        "thread": threading.current_thread().name, "cwd": os.getcwd(),
    }))


@app.route("read", methods=["GET"])
async def read(req): return func.HttpResponse("read", headers={"X-Kind": "a"})


@app.route("status/{code:int}")
async def status(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=int(req.route_params["code"]))


@app.route("cookies")
async def cookies(req):
    response = func.HttpResponse(b"\\x00\\xff", mimetype="application/octet-stream")
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; HttpOnly")
    response.headers["Content-Length"] = "999"
    return response


@app.route("wrong/{kind}")
async def wrong(req):
    return {"none": None, "dict": {"a": 1}, "bytes": b"x",
            "header": func.HttpResponse(headers={"X-Sign": "\\u20ac"}),
            "status": func.HttpResponse(status_code=7)}[req.route_params["kind"]]


@app.route("raise")
def fails(req): raise KeyError("no such shelf")


@app.route("outputs", binding_arg_name="res")
async def outputs(req: func.HttpRequest, res: func.Out[func.HttpResponse]) -> None:
    res.set(func.HttpResponse("through out", status_code=201))


@app.route("json", methods=["POST"])
async def reads_json(req):
    try:
        return str(req.get_json())
    except ValueError as err:
        return func.HttpResponse(str(err), status_code=400)
"""


@pytest.fixture(scope="module")
def host(start_shared_host):
    return start_shared_host(FUNCTIONS, env={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "100000"})


@pytest.fixture(scope="module")
def client(host) -> Iterator[httpx.Client]:
    with host.client() as client:
        yield client


def test_function_receives_the_request_as_the_worker_builds_it(client: httpx.Client) -> None:
    url = "/API/Echo/7/caf%C3%A9/a%2Fb/?q=1&q=2&empty=&s=a+b%26"
    headers = [("X-One", "1"), ("X-One", "2"), ("Content-Type", "text/plain")]

    received = client.post(url, content=b"\xff!", headers=headers).json()

    assert received["method"] == "POST"
    assert received["url"] == f"{client.base_url}{url}"
    assert received["params"] == {"q": "1,2", "s": "a b&"}
    assert received["route_params"] == {"id": "7", "rest": "café/a%2Fb"}
    assert received["headers"]["x-one"] == "1,2"
    assert received["headers"]["content-type"] == "text/plain"
    assert received["body"] == "\xff!"


def test_literal_route_wins_over_parameters(client: httpx.Client) -> None:
    assert client.post("/api/echo/new").text == "created"


def test_text_is_a_plain_response(client: httpx.Client) -> None:
    response = client.get("/api/text/a%20b")

    assert (response.status_code, response.text) == (200, "a b")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_sync_function_runs_on_a_thread_with_its_context(host, client: httpx.Client) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    seen = client.get("/api/unrouted", headers={"traceparent": parent, "tracestate": "a=1"}).json()

    assert seen["thread"].startswith("function")
    assert seen["id"] == seen["local_id"]
    assert len(seen["id"]) == 36
    assert (seen["parent"], seen["state"], seen["attributes"]) == (parent, "a=1", {})
    assert (seen["name"], seen["retries"]) == ("unrouted", [0, 0])
    assert seen["directory"] == seen["cwd"] == str(host.script_root)


@pytest.mark.parametrize("path", ["/api/echo/x", "/api/nothing", "/api", "/nothing", "/api//read"])
def test_unknown_path_is_404(client: httpx.Client, path: str) -> None:
    response = client.get(path)

    assert (response.status_code, response.content) == (404, b"")


def test_wrong_method_is_404_because_method_is_part_of_the_route(client: httpx.Client) -> None:
    assert client.post("/api/read").status_code == 404
    assert client.options("/api/read").status_code == 404


def test_head_is_answered_where_get_is(client: httpx.Client) -> None:
    response = client.head("/api/read")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["x-kind"] == "a"


def test_head_elsewhere_is_405_with_the_methods_of_the_route(client: httpx.Client) -> None:
    response = client.head("/api/json")

    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("code", [200, 204, 304, 418, 503])
def test_status_code_reaches_the_client(client: httpx.Client, code: int) -> None:
    assert client.get(f"/api/status/{code}").status_code == code


def test_binary_body_and_every_cookie_reach_the_client(client: httpx.Client) -> None:
    response = client.get("/api/cookies")

    assert response.content == b"\x00\xff"
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("none", "returned NoneType; return func.HttpResponse or str"),
        ("dict", "returned dict"),
        ("bytes", "returned bytes"),
        ("header", "can't encode character"),
        ("status", "7 is not a status code"),
    ],
)
def test_unusable_result_is_500_and_logged(host, client: httpx.Client, kind: str, problem: str) -> None:
    response = client.get(f"/api/wrong/{kind}")

    assert (response.status_code, response.content) == (500, b"")
    assert problem in host.wait_for_log(problem)


def test_unhandled_exception_is_an_empty_500_with_the_traceback_in_the_log(
    host, client: httpx.Client
) -> None:
    response = client.get("/api/raise")

    assert (response.status_code, response.content) == (500, b"")
    log = host.wait_for_log("no such shelf")
    assert "Executed 'Functions.fails' (Failed, Id=" in log
    assert 'def fails(req): raise KeyError("no such shelf")' in log


def test_successful_invocations_are_not_logged_by_default(host, client: httpx.Client) -> None:
    client.get("/api/read")

    assert "Executing" not in host.log


def test_output_parameter_can_carry_the_response(client: httpx.Client) -> None:
    response = client.get("/api/outputs")

    assert (response.status_code, response.text) == (201, "through out")


def test_malformed_json_is_the_functions_matter(client: httpx.Client) -> None:
    response = client.post("/api/json", content=b"{")

    assert (response.status_code, response.text) == (400, "HTTP request does not contain valid JSON data")


def test_log_records_of_the_app_are_shown(host) -> None:
    assert "INFO shop: imported on MainThread" in host.log


def test_body_at_the_limit_is_taken(client: httpx.Client) -> None:
    assert client.post("/api/echo/1", content=b"x" * 100_000).status_code == 200


def test_body_that_says_it_is_over_the_limit_is_refused_unread(host) -> None:
    with socket.create_connection(("127.0.0.1", host.port), timeout=10) as connection:
        connection.sendall(b"POST /api/echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n")

        answer = b"".join(iter(lambda: connection.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_body_that_grows_over_the_limit_is_refused(host) -> None:
    with socket.create_connection(("127.0.0.1", host.port), timeout=10) as connection:
        head = b"POST /api/echo/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(
            head + b"C350\r\n" + b"x" * 50_000 + b"\r\n" + b"C351\r\n" + b"x" * 50_001 + b"\r\n"
        )

        answer = b"".join(iter(lambda: connection.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_client_that_leaves_mid_body_goes_unnoticed(host, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", host.port), timeout=10) as connection:
        connection.sendall(b"POST /api/echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf")

    assert client.get("/api/read").text == "read"
    assert "ASGI" not in host.log


def test_home_page_says_the_app_is_running(client: httpx.Client) -> None:
    response = client.get("/")

    assert response.status_code == 200
    assert "up and running" in response.text


def test_several_requests_run_at_once(start_host) -> None:
    host = start_host(
        """
        meeting = threading.Barrier(4, timeout=10)

        @app.route()
        def meet(req): return str(meeting.wait() >= 0)
        """
    )

    async def meet_all() -> list[str]:
        async with httpx.AsyncClient(base_url=host.base_url, timeout=20) as client:
            answers = await asyncio.gather(*(client.get("/api/meet") for _ in range(4)))
        return [answer.text for answer in answers]

    assert asyncio.run(meet_all()) == ["True"] * 4


def test_verbose_logs_each_invocation_as_the_host_does(start_host) -> None:
    host = start_host('@app.route()\nasync def f(req): return "x"', "--verbose")

    with host.client() as client:
        client.get("/api/f")

    log = host.wait_for_log("Executed")
    assert (
        "Executing 'Functions.f' (Reason='This function was programmatically called via the host APIs.', Id="
        in log
    )
    assert "Executed 'Functions.f' (Succeeded, Id=" in log


def test_function_over_its_timeout_is_500_and_logged(start_host) -> None:
    host = start_host(
        "@app.route()\nasync def endless(req): await asyncio.Event().wait()",
        host_json={"version": "2.0", "functionTimeout": "00:00:00.2"},
    )

    with host.client() as client:
        response = client.get("/api/endless")

    assert (response.status_code, response.content) == (500, b"")
    assert "exceeded by function 'Functions.endless' (Id: '" in host.wait_for_log("Initiating cancellation.")


def test_timeout_error_of_the_function_itself_is_not_the_hosts(start_host) -> None:
    host = start_host('@app.route()\nasync def f(req): raise TimeoutError("mine")')

    with host.client() as client:
        assert client.get("/api/f").status_code == 500

    assert "Initiating cancellation" not in host.wait_for_log("mine")
