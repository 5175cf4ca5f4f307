"""Importing function_app.py and finding the functions in it, as the Python worker indexes them."""

import importlib
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from emulator.functions_host.errors import DiscoveryError
from emulator.functions_host.functions import HostedFunction, hosted_function

if TYPE_CHECKING:
    from azure.functions import FunctionRegister

_SCRIPT_FILE_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py")
_HOST_FRAMES = (str(Path(__file__).parent), "<frozen importlib", str(Path(importlib.__file__).parent))
_MAX_TRACEBACK_FRAMES = 8


def discover_functions(script_root: Path) -> list[HostedFunction]:
    """Import the app's script on this thread and describe its functions, in the order of their names.

    Raises:
        DiscoveryError: there is no script, it fails to import, it has no or several apps, or a function
            in it cannot be loaded.
    """
    script = os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
    if not _SCRIPT_FILE_NAME.fullmatch(script):
        raise DiscoveryError(
            f"PYTHON_SCRIPT_FILE_NAME is {script!r}; give a file name such as function_app.py"
        )
    if not (script_root / script).is_file():
        raise DiscoveryError(
            f"{script} is missing in {script_root}; start in the function app's directory, "
            "or name it with --script-root"
        )
    module = _import(script_root, script)
    try:
        functions = [hosted_function(function) for function in _app_of(module, script).get_functions()]
    except (ValueError, TypeError, NameError) as err:
        # From the library, about a decorator, or from an annotation that does not resolve.
        raise DiscoveryError(f"{script}: {err}") from err
    if not functions:
        raise DiscoveryError(f"{script}: the app has no functions; decorate one, such as with @app.route()")
    _check_routes(functions)
    return sorted(functions, key=lambda function: function.name.lower())


def is_disabled(function: HostedFunction) -> bool:
    """Whether an app setting `AzureWebJobs.<name>.Disabled` is true or 1, as the host reads it."""
    return os.environ.get(f"AzureWebJobs.{function.name}.Disabled", "").lower() in ("true", "1")


def _import(script_root: Path, script: str) -> ModuleType:
    sys.path.insert(0, str(script_root))
    try:
        return importlib.import_module(Path(script).stem)
    except KeyboardInterrupt:
        raise
    except BaseException as err:
        raise DiscoveryError(f"{script} failed to import:\n\n{_user_traceback(err)}") from err


def _user_traceback(err: BaseException) -> str:
    """Format a traceback without the frames of the host and of the import system."""
    report = traceback.TracebackException.from_exception(err)
    frames = [frame for frame in report.stack if not frame.filename.startswith(_HOST_FRAMES)]
    report.stack = traceback.StackSummary.from_list(frames[-_MAX_TRACEBACK_FRAMES:])
    return "".join(report.format()).rstrip()


def _app_of(module: ModuleType, script: str) -> "FunctionRegister":
    from azure.functions import FunctionRegister  # after the app, which may have better to do first

    apps = {name: value for name, value in vars(module).items() if isinstance(value, FunctionRegister)}
    if not apps:
        raise DiscoveryError(
            f"Could not find top level function app instances in {script}; "
            "it needs one, such as app = func.FunctionApp()"
        )
    if len(apps) > 1:
        # The worker counts names, not objects: a second name for one app is one too many.
        raise DiscoveryError(
            f"More than one FunctionApp or other top level function app instances are defined in {script}: "
            f"{', '.join(apps)}; keep one and register the others as blueprints"
        )
    return next(iter(apps.values()))


def _check_routes(functions: list[HostedFunction]) -> None:
    """Refuse two functions for the same route and method, as ScriptHost.ValidateFunction does."""
    with_routes = [(function, function.http) for function in functions if function.http]
    for index, (function, http) in enumerate(with_routes):
        for other, other_http in with_routes[:index]:
            same_route = http.template.text.lower() == other_http.template.text.lower()
            declared, others = set(http.declared_methods), set(other_http.declared_methods)
            if same_route and (not declared or not others or declared & others):
                raise DiscoveryError(
                    f"cannot load the {function.name} function: the route {http.template.text!r} conflicts "
                    f"with the route defined by function {other.name!r}; change one, or its methods"
                )
