"""Starting and stopping the host: settings, app, socket, server, in this order."""

import gc
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from emulator.functions_host.errors import AddressError, SettingsError
from emulator.functions_host.settings import (
    DEFAULT_PORT,
    HostJson,
    HostStartSettings,
    apply_app_settings,
    load_host_json,
    load_local_settings,
)
from emulator.listening import bound_socket, run_server

if TYPE_CHECKING:
    from emulator.functions_host.host import FunctionsHost
    from emulator.functions_host.invocation import Invoker
    from emulator.functions_host.timers import Timers

_KEEP_ALIVE_S = 130
"How long an idle connection stays open; Kestrel's default."
_DEFAULT_BODY_LIMIT_BYTES = 100 * 1024 * 1024


def serve(
    script_root: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    enable_auth: bool = False,
    cors: str | None = None,
    verbose: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Host a function app until SIGINT or SIGTERM, on the main thread of a process of its own.

    Changes the process: its working directory, import path, environment and root logger become the
    app's, as in a worker. Ends it with status 1 if functions still run on threads when it has stopped.

    Args:
        script_root: the directory of function_app.py and host.json.
        port: None takes `Host.LocalHttpPort` of local.settings.json, or 7071; 0 picks a free one.
        enable_auth: enforce auth levels, with keys printed at the start.
        cors: comma-separated origins; None takes `Host.CORS` of local.settings.json.
        verbose: log every invocation.
        on_ready: called with the host's address once requests are accepted.

    Raises:
        HostStartError: the host cannot start.
    """
    gc.disable()  # until the app is served: what a start makes is no garbage
    script_root = script_root.resolve()
    if not script_root.is_dir():
        raise SettingsError(f"{script_root} is not a directory; name the app's directory with --script-root")
    _show_output_at_once()
    host_json = load_host_json(script_root)
    start_settings = _load_app_settings(script_root)
    if cors is not None:
        start_settings = msgspec.structs.replace(start_settings, cors=cors)
    port = port if port is not None else start_settings.local_http_port or DEFAULT_PORT
    with bound_socket(host, port, failure=AddressError) as listener:
        base_url = _base_url(host, listener.getsockname()[1])
        _set_environment(script_root, base_url)
        invoker, application, timers, announcement = _load_app(
            script_root,
            host_json,
            start_settings,
            base_url=base_url,
            enable_auth=enable_auth,
            verbose=verbose,
        )

        def announce() -> None:
            gc.enable()
            print(announcement)
            if on_ready is not None:
                on_ready(base_url)
            timers.start()

        run_server(
            application,
            listener,
            failure=AddressError,
            keep_alive_s=_KEEP_ALIVE_S,
            on_start=announce,
            on_stop=timers.stop,
        )
    invoker.close()
    if invoker.n_on_threads:
        print(f"Stopped with {invoker.n_on_threads} function(s) still running on threads.")
        sys.stderr.flush()
        # Python would wait for these threads at exit, and nothing can stop them.
        os._exit(1)


def _load_app(
    script_root: Path,
    host_json: HostJson,
    start_settings: HostStartSettings,
    *,
    base_url: str,
    enable_auth: bool,
    verbose: bool,
) -> "tuple[Invoker, FunctionsHost, Timers, str]":
    """Import the app and put the host around it; the text is what to print once it is served."""
    # Imported this late because a wrong setting or a taken port should show without waiting for it; and the
    # app before the rest, because it may start threads that load what takes longest.
    from emulator.functions_host.discovery import discover_functions, is_disabled

    discovered = discover_functions(script_root)

    from emulator.functions_host.banner import function_list
    from emulator.functions_host.cors import CorsPolicy
    from emulator.functions_host.host import FunctionsHost
    from emulator.functions_host.invocation import Invoker
    from emulator.functions_host.keys import Keys
    from emulator.functions_host.telemetry import RequestSpans
    from emulator.functions_host.timers import Timers

    policy = CorsPolicy.parse(start_settings.cors, with_credentials=start_settings.cors_credentials)
    functions = []
    for function in discovered:
        if is_disabled(function):
            print(f"Function {function.name} is disabled")
        else:
            functions.append(function)
    keys = Keys.generate(functions) if enable_auth else None
    invoker = Invoker(timeout_s=host_json.function_timeout_s, verbose=verbose)
    application = FunctionsHost(
        functions,
        host_json=host_json,
        invoker=invoker,
        script_root=script_root,
        base_url=base_url,
        body_limit_bytes=_body_limit_bytes(),
        keys=keys,
        cors=policy,
        spans=RequestSpans.from_environment(host_json.telemetry_mode),
    )
    prefix = host_json.extensions.http.route_prefix
    announcement = function_list(functions, base_url=base_url, route_prefix=prefix)
    if keys is not None:
        announcement = "\n".join([announcement, *keys.lines()])
    return invoker, application, Timers.of(functions, invoker=invoker), announcement


def _load_app_settings(script_root: Path) -> HostStartSettings:
    settings = load_local_settings(script_root)
    if settings is None:
        print(f"local.settings.json not found in {script_root}; going on without it.")
        return HostStartSettings()
    for line in apply_app_settings(settings):
        print(line)
    return settings.host


def _base_url(host: str, port: int) -> str:
    if host in ("127.0.0.1", "0.0.0.0", "::", "::1"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _set_environment(script_root: Path, base_url: str) -> None:
    """Set what Core Tools set for the worker (`StartHostAction.GetConfigurationSettings`)."""
    os.chdir(script_root)
    os.environ["AZURE_FUNCTIONS_ENVIRONMENT"] = "Development"
    os.environ.setdefault("AzureWebJobsScriptRoot", str(script_root))
    os.environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    os.environ.setdefault("WEBSITE_HOSTNAME", base_url.removeprefix("http://"))


def _body_limit_bytes() -> int:
    setting = os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "")
    return int(setting) if setting.isdigit() else _DEFAULT_BODY_LIMIT_BYTES


def _show_output_at_once() -> None:
    """Show lines as they are printed, and log records, the app's and the host's, from INFO on."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter("[%(asctime)s.%(msecs)03d] %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
