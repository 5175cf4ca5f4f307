"""Starting, failing to start, and stopping."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

ONE_FUNCTION = '@app.route()\nasync def f(req): return os.environ.get("GREETING", "none")'


def test_app_settings_are_in_the_environment_before_the_app_is_imported(start_host) -> None:
    host = start_host(
        """
        greeting = os.environ["GREETING"]

        @app.route()
        async def f(req): return " ".join([greeting, os.environ["TAKEN"], os.environ["EMPTY"]])
        """,
        local_settings={
            "IsEncrypted": False,
            "Values": {"GREETING": "hello", "TAKEN": "no", "EMPTY": "filled", "NULL": None},
        },
        env={"TAKEN": "yes", "EMPTY": ""},
    )

    with host.client() as client:
        assert client.get("/api/f").text == "hello yes filled"
    assert "Skipping 'TAKEN' from local settings as it's already defined" in host.stdout
    assert "Skipping 'NULL' because value is null" in host.stdout
    assert "not found" not in host.stdout


def test_port_of_local_settings_is_taken_unless_the_command_line_names_one(write, start_host) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"IsEncrypted": False, "Host": {"LocalHttpPort": port}}
    root = write(ONE_FUNCTION, local_settings=settings)

    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "start", "--script-root", str(root)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    addresses = (re.search(r"http://localhost:(\d+)", line) for line in process.stdout)
    taken = next(int(address[1]) for address in addresses if address)
    process.terminate()
    process.communicate()
    chosen = start_host(ONE_FUNCTION, local_settings=settings)

    assert taken == port
    assert chosen.port != port


def test_faulty_settings_are_one_line(write, fail_to_start) -> None:
    root = write(ONE_FUNCTION, local_settings={"IsEncrypted": False, "Values": {"A": 1}})

    message = fail_to_start(root)

    assert message == ("local.settings.json: Values.A is 1; app settings are text: put it in quotes\n")


@pytest.mark.parametrize(
    ("functions", "problem"),
    [
        ("app = None", "Could not find top level function app instances in function_app.py"),
        (
            ONE_FUNCTION + "\nother = app",
            "More than one FunctionApp or other top level function app instances",
        ),
        ("", "the app has no functions"),
        (
            '@app.route()\ndef f(req): ...\n@app.route("x")\n@app.function_name("f")\ndef g(req): ...',
            "Function f does not have a unique function name",
        ),
        ("@app.function_name('f')\ndef f(req): ...", "Function f does not have a trigger"),
        (
            "@app.route()\ndef f(request): ...",
            "cannot load the f function: the following parameters are declared in Python but not",
        ),
        ("@app.route()\ndef f(): ...", "declared as bindings but are not present in Python: {'req'}"),
        ("@app.route()\ndef f(req, context: int): ...", 'the "context" parameter is expected to be'),
        ('@app.route("{id:integer}")\ndef f(req): ...', "route '{id:integer}': unknown constraint 'integer'"),
        ('@app.route("admin/x")\ndef f(req): ...', "conflicts with one or more built in routes"),
        (
            '@app.route("X")\ndef f(req): ...\n@app.route("x", methods=["GET"])\ndef g(req): ...',
            "cannot load the g function: the route 'x' conflicts with the route defined by function 'f'",
        ),
        (
            '@app.route()\n@app.blob_input("cover", path="a", connection="S")\ndef f(req, cover): ...',
            "has no input bindings, and it declares 'cover' (blob)",
        ),
    ],
)
def test_unloadable_app_stops_the_start(write, fail_to_start, functions: str, problem: str) -> None:
    message = fail_to_start(write(functions))

    assert problem in message
    assert "Traceback" not in message


def test_two_functions_may_share_a_route_by_method(start_host) -> None:
    host = start_host(
        """
        @app.route("basket", methods=["GET"])
        async def show(req): return "shown"

        @app.route("basket", methods=["PUT"])
        async def fill(req): return "filled"
        """
    )

    with host.client() as client:
        assert (client.get("/api/basket").text, client.put("/api/basket").text) == ("shown", "filled")


def test_disabled_function_is_not_there(start_host) -> None:
    host = start_host(
        """
        @app.route("on")
        def on(req):
            return "on"

        @app.route("off")
        def off(req):
            return "off"
        """,
        env={"AzureWebJobs.off.Disabled": "true"},
    )

    with host.client() as client:
        assert [client.get(f"/api/{name}").status_code for name in ("on", "off")] == [200, 404]
    assert "Function off is disabled" in host.stdout


def test_blueprints_are_part_of_the_app(start_host) -> None:
    host = start_host(
        """
        blueprint = func.Blueprint()

        @blueprint.route("deep", auth_level="anonymous")
        async def deep(req): return "x"

        app.register_functions(blueprint)
        """
    )

    with host.client() as client:
        assert client.get("/api/deep").text == "x"


@pytest.mark.parametrize(
    ("code", "last_line"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def load():\n    return {}['model']\nload()", "KeyError: 'model'"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_failing_import_shows_the_end_of_the_users_traceback(
    write, fail_to_start, code: str, last_line: str
) -> None:
    root = write(code)

    message = fail_to_start(root)

    assert message.startswith("function_app.py failed to import:\n\nTraceback") or "SyntaxError" in message
    assert message.rstrip().splitlines()[-1] == last_line
    assert f'File "{root}/function_app.py"' in message
    assert "importlib" not in message
    assert "emulator" not in message.replace(str(root), "")


def test_missing_script_is_one_line(tmp_path: Path, fail_to_start) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0"}))

    message = fail_to_start(tmp_path)

    assert message == (
        f"function_app.py is missing in {tmp_path}; start in the function app's directory, "
        "or name it with --script-root\n"
    )


def test_script_file_name_setting_is_honoured(write, fail_to_start) -> None:
    message = fail_to_start(write(ONE_FUNCTION), env={"PYTHON_SCRIPT_FILE_NAME": "main.py"})

    assert message.startswith("main.py is missing in ")


def test_port_in_use_is_one_line_with_the_remedy(start_host, write, fail_to_start) -> None:
    host = start_host(ONE_FUNCTION)

    message = fail_to_start(write(ONE_FUNCTION), "--port", str(host.port))

    assert message == (
        f"Port {host.port} is unavailable. Close the process using that port, "
        "or specify another port using --port [-p].\n"
    )


def test_address_of_another_machine_is_one_line(write, fail_to_start) -> None:
    message = fail_to_start(write(ONE_FUNCTION), "--host", "192.0.2.1")

    assert message.startswith("cannot listen on 192.0.2.1:0: ")
    assert message.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_lets_running_requests_finish_and_frees_the_port(start_host, number: int) -> None:
    host = start_host(
        """
        @app.route()
        async def slow(req):
            print("running", flush=True)
            await asyncio.sleep(0.5)
            return "finished"
        """
    )
    answers: list[str] = []

    def ask() -> None:
        with host.client() as client:
            answers.append(client.get("/api/slow").text)

    asking = threading.Thread(target=ask)
    asking.start()
    while "running" not in host.process.stdout.readline():
        pass
    status = host.stop(number)
    asking.join()

    assert (status, answers) == (0, ["finished"])
    assert "Traceback" not in host.log
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", host.port))


def test_idle_connection_does_not_hold_up_the_stop(start_host) -> None:
    host = start_host(ONE_FUNCTION)

    with host.client() as client:
        client.get("/api/f")

        assert host.stop() == 0
    assert host.log == ""


def test_restarted_host_has_the_port_at_once(start_host) -> None:
    first = start_host(ONE_FUNCTION)
    with first.client() as client:
        client.get("/api/f")
    first.stop()

    second = start_host(ONE_FUNCTION, "--port", str(first.port))

    with second.client() as client:
        assert client.get("/api/f").text == "none"


def test_second_interrupt_does_not_wait_for_a_function_that_hangs(start_host) -> None:
    host = start_host(
        """
        @app.route()
        def hang(req):
            print("hanging", flush=True)
            time.sleep(60)
        """
    )
    with socket.create_connection(("127.0.0.1", host.port)) as connection:
        connection.sendall(b"GET /api/hang HTTP/1.1\r\nHost: x\r\n\r\n")
        while "hanging" not in host.process.stdout.readline():
            pass
        host.process.send_signal(signal.SIGINT)
        wait_until_refused(host.port)

        status = host.stop(signal.SIGINT)

    assert status == 1
    assert "Stopped with 1 function(s) still running on threads." in host.stdout
    assert "Traceback" not in host.log


def wait_until_refused(port: int) -> None:
    """Wait until a host takes no more connections."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise AssertionError(f"port {port} still takes connections")


def test_asgi_app_of_the_functions_library_is_hosted(start_host) -> None:
    host = start_host(
        """
        async def application(scope, receive, send):
            while scope["type"] == "lifespan":
                message = await receive()
                await send({"type": message["type"] + ".complete"})
            await send({"type": "http.response.start", "status": 202, "headers": [(b"x-a", b"1")]})
            await send({"type": "http.response.body", "body": scope["path"].encode()})

        app = func.AsgiFunctionApp(app=application, http_auth_level=func.AuthLevel.ANONYMOUS)
        """
    )

    with host.client() as client:
        response = client.get("/api/shelf/7")

    assert (response.status_code, response.text, response.headers["x-a"]) == (202, "/api/shelf/7", "1")


def test_serve_tells_its_caller_when_and_where_it_is_ready(write) -> None:
    program = (
        "from pathlib import Path\n"
        "from emulator.functions_host.serving import serve\n"
        f"serve(Path({str(write(ONE_FUNCTION))!r}), port=0, on_ready=lambda url: print('ready', url))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address = next(line.split()[1] for line in process.stdout if line.startswith("ready"))

    answer = httpx.get(f"{address}/api/f", timeout=10)
    process.terminate()

    assert answer.text == "none"
    assert process.wait(10) == 0
    process.stdout.close()
