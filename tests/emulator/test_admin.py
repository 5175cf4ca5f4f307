import pytest

FUNCTIONS = """
@app.route("Items/{id}", methods=["GET"])
async def GetItem(req): return "x"

@app.warm_up_trigger("warmup_context")
def warmup(warmup_context) -> None:
    print("warmed by", type(warmup_context).__name__, flush=True)

@app.timer_trigger(schedule="0 0 1 1 1 *", arg_name="timer")
async def nightly(timer: func.TimerRequest) -> None:
    logging.info("nightly ran, past due: %s", timer.past_due)

@app.queue_trigger("message", queue_name="orders", connection="Storage")
def on_order(message: func.QueueMessage) -> None:
    logging.info("ordered %s", message.get_body().decode())

@app.service_bus_queue_trigger("text", queue_name="q", connection="Bus")
def on_text(text: str) -> None:
    logging.info("text is %r", text)
"""


@pytest.fixture(scope="module")
def host(start_shared_host):
    return start_shared_host(FUNCTIONS)


@pytest.fixture(scope="module")
def client(host):
    with host.client() as client:
        yield client


def test_status_has_the_fields_of_the_real_host(client) -> None:
    status = client.get("/admin/host/status").json()

    assert status["state"] == "Running"
    assert set(status) == {
        "id",
        "state",
        "version",
        "versionDetails",
        "platformVersion",
        "instanceId",
        "computerName",
        "processUptime",
        "functionAppContentEditingState",
    }
    assert status["processUptime"] >= 0


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ping_is_an_empty_200(client, method: str) -> None:
    response = client.request(method, "/Admin/Host/Ping")

    assert (response.status_code, response.content) == (200, b"")


def test_functions_are_listed_with_bindings_and_addresses(host, client) -> None:
    listed = {function["name"]: function for function in client.get("/admin/functions").json()}

    assert sorted(listed) == ["GetItem", "nightly", "on_order", "on_text", "warmup"]
    item = listed["GetItem"]
    assert item["invoke_url_template"] == f"{host.base_url}/api/items/{{id}}"
    assert item["href"] == f"{host.base_url}/admin/functions/GetItem"
    assert item["config"]["scriptFile"] == "function_app.py"
    assert item["config"]["bindings"][0]["type"] == "httpTrigger"
    assert listed["nightly"]["invoke_url_template"] is None
    assert client.get("/admin/functions/getitem").json() == item


def test_timer_function_is_run_by_hand(host, client) -> None:
    response = client.post("/admin/functions/nightly", json={"input": "now"})

    assert (response.status_code, response.content) == (202, b"")
    assert "nightly ran, past due: False" in host.wait_for_log("nightly ran")


def test_input_reaches_the_function_as_its_type(host, client) -> None:
    assert client.post("/admin/functions/on_order", json={"input": "two beans"}).status_code == 202
    assert client.post("/admin/functions/on_text", json={"input": '{"a": 1}'}).status_code == 202

    host.wait_for_log("ordered two beans")
    host.wait_for_log("""text is '{"a": 1}'""")


def test_http_function_is_not_run_by_hand_and_its_address_is_named(host, client) -> None:
    response = client.post("/admin/functions/GetItem", json={"input": ""})

    assert response.status_code == 400
    assert f"{host.base_url}/api/items/{{id}}" in response.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"input": 1}'])
def test_running_by_hand_needs_a_body_with_an_input(client, body: bytes) -> None:
    response = client.post("/admin/functions/nightly", content=body)

    assert response.status_code == 400
    assert response.json()["error"].endswith('send {"input": "text"}')


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/functions/nobody"),
        ("POST", "/admin/functions/nobody"),
        ("DELETE", "/admin/functions/nightly"),
        ("POST", "/admin/host/status"),
        ("GET", "/admin/host"),
        ("GET", "/admin/"),
        ("GET", "/admin"),
    ],
)
def test_anything_else_below_admin_is_404(client, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 404


def test_warmup_runs_the_function_once_in_the_life_of_the_process(start_host) -> None:
    host = start_host(FUNCTIONS)

    with host.client() as client:
        answers = [client.post("/admin/warmup").status_code for _ in range(3)]
    host.stop()

    assert answers == [200, 200, 200]
    assert host.stdout.count("warmed by WarmUpContext") == 1


def test_warmup_of_an_app_without_a_warmup_function_is_200(start_host) -> None:
    host = start_host('@app.route()\ndef f(req): return "x"')

    with host.client() as client:
        assert client.post("/admin/warmup").status_code == 200


def test_warmup_that_fails_is_500(start_host) -> None:
    host = start_host(
        """
        @app.route()
        def f(req): return "x"

        @app.warm_up_trigger("warmup_context")
        def warmup(warmup_context) -> None: raise OSError("cold")
        """
    )

    with host.client() as client:
        assert client.post("/admin/warmup").status_code == 500
    host.wait_for_log("OSError: cold")


def test_function_list_is_printed_as_core_tools_print_it(host) -> None:
    host.stop()

    assert host.stdout == (
        f"local.settings.json not found in {host.script_root}; going on without it.\n"
        "\n"
        "Functions:\n"
        "\n"
        f"        GetItem: [GET] {host.base_url}/api/Items/{{id}}\n"
        "\n"
        "        nightly: timerTrigger\n"
        "\n"
        "        on_order: queueTrigger\n"
        "\n"
        "        on_text: serviceBusTrigger\n"
        "\n"
        "        warmup: warmupTrigger\n"
        "\n"
        "queueTrigger of 'on_order' does not fire by itself here; "
        f"run it with POST {host.base_url}/admin/functions/on_order\n"
        "serviceBusTrigger of 'on_text' does not fire by itself here; "
        f"run it with POST {host.base_url}/admin/functions/on_text\n"
    )
