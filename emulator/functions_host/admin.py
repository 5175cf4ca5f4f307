"""The host's own endpoints, under /admin."""

import asyncio
import logging
import os
import platform
import re
import time
import zlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import azure.functions
import msgspec

from emulator.functions_host.functions import HostedFunction
from emulator.functions_host.http_io import Response
from emulator.functions_host.invocation import InvocationFailed, Invoker
from emulator.functions_host.triggers import trigger_value

logger = logging.getLogger("host")

_UNPROTECTED = ("host/ping",)


class FunctionInvocation(msgspec.Struct):
    """Body of a request to run a function by hand."""

    input: str | None = None


class AdminEndpoints:
    """Answers what is asked of the host itself."""

    def __init__(
        self,
        functions: list[HostedFunction],
        *,
        invoker: Invoker,
        script_root: Path,
        base_url: str,
        route_prefix: str,
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._invoker = invoker
        self._script_root = script_root
        self._base_url = base_url
        self._route_prefix = route_prefix
        self._instance_id = os.environ.get("WEBSITE_INSTANCE_ID") or uuid4().hex
        self._started = time.monotonic()
        self._is_warmed_up = False
        self._runs: set[asyncio.Task[None]] = set()

    @staticmethod
    def needs_key(path: str) -> bool:
        """Tell whether a path below /admin/ takes the master key."""
        return path.lower() not in _UNPROTECTED

    async def respond(self, method: str, path: str, body: bytes) -> Response:
        """Answer a request for a path below /admin/."""
        match method, *path.lower().split("/"):
            case "GET", "host", "status":
                return _json(self._status())
            case "GET" | "POST", "host", "ping":
                return Response(200)
            case "GET" | "POST", "warmup":
                return await self._warm_up()
            case "GET", "functions":
                return _json([self._metadata(function) for function in self._functions.values()])
            case "GET", "functions", name if name in self._functions:
                return _json(self._metadata(self._functions[name]))
            case "POST", "functions", name if name in self._functions:
                return self._run(self._functions[name], body)
            case _:
                return Response(404)

    async def _warm_up(self) -> Response:
        """Run the warmup function, once in the life of the process.

        A second request, and one to an app without a warmup function, is answered 200 and does nothing
        (`ScriptRouteHandler`, `WebScriptHostHttpRoutesManager`).
        """
        function = next((f for f in self._functions.values() if f.is_warmup), None)
        if function is None or self._is_warmed_up:
            return Response(200)
        self._is_warmed_up = True
        try:
            await self._invoker.invoke(function, trigger_value(function, ""))
        except InvocationFailed:
            return Response(500)
        return Response(200)

    def _run(self, function: HostedFunction, body: bytes) -> Response:
        try:
            invocation = msgspec.json.decode(body, type=FunctionInvocation)
        except msgspec.DecodeError as err:
            return _json({"error": f'{err}; send {{"input": "text"}}'}, status=400)
        if function.http:
            url = self._invoke_url(function)
            return _json({"error": f"{function.name} has an HTTP trigger; call {url}"}, status=400)
        run = asyncio.create_task(self._run_in_background(function, invocation.input or ""))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        return Response(202)

    async def _run_in_background(self, function: HostedFunction, text: str) -> None:
        try:
            value = trigger_value(function, text)
        except Exception as err:
            logger.error("cannot read the input %r as %s: %s", text, function.trigger_type, err)
            return
        try:
            await self._invoker.invoke(function, value)
        except InvocationFailed:
            return

    def _status(self) -> dict[str, Any]:
        computer = os.environ.get("COMPUTERNAME") or platform.node()
        host_name = re.sub("[^a-z0-9]+", "-", computer.lower()).strip("-")
        return {
            "id": f"{host_name[:20]}-{zlib.crc32(str(self._script_root).encode())}",
            "state": "Running",
            "version": "4",
            "versionDetails": (
                f"recserve emulator, azure-functions {azure.functions.__version__}, "
                f"Python {platform.python_version()}"
            ),
            "platformVersion": "",
            "instanceId": self._instance_id,
            "computerName": computer,
            "processUptime": round((time.monotonic() - self._started) * 1000),
            "functionAppContentEditingState": "Unknown",
        }

    def _metadata(self, function: HostedFunction) -> dict[str, Any]:
        return {
            "name": function.name,
            "script_root_path_href": None,
            "script_href": None,
            "config_href": None,
            "test_data_href": None,
            "href": f"{self._base_url}/admin/functions/{function.name}",
            "invoke_url_template": self._invoke_url(function),
            "language": "python",
            "config": {
                "name": function.name,
                "entryPoint": function.name,
                "scriptFile": function.script_file,
                "language": "python",
                "functionDirectory": function.directory,
                "bindings": function.bindings,
            },
            "files": None,
            "test_data": None,
            "isDisabled": False,
            "isDirect": False,
            "isProxy": False,
        }

    def _invoke_url(self, function: HostedFunction) -> str | None:
        """Build a function's address, in lower case as the host gives it."""
        if function.http is None:
            return None
        parts = [self._base_url, self._route_prefix.strip("/"), function.http.template.text]
        return "/".join(part for part in parts if part).lower()


def _json(value: Any, *, status: int = 200) -> Response:
    headers = [(b"content-type", b"application/json; charset=utf-8")]
    return Response(status, headers, msgspec.json.encode(value))
