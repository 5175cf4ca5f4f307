"""One function of the app: what triggers it, how it is called, what it may return.

The checks on a function's signature, and their texts, are the Python worker's
(`azure_functions_runtime/functions.py`): what fails to load there fails here.
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_type_hints

from emulator.functions_host.errors import DiscoveryError
from emulator.functions_host.templates import RouteTemplate

if TYPE_CHECKING:
    from azure.functions import Function

Binding: TypeAlias = dict[str, Any]

HTTP_TRIGGER = "httpTrigger"
TIMER_TRIGGER = "timerTrigger"
WARMUP_TRIGGER = "warmupTrigger"
RETURN = "$return"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    """How HTTP reaches a function."""

    template: RouteTemplate
    "Below the route prefix."
    methods: frozenset[str] | None
    "None allows all."
    declared_methods: tuple[str, ...]
    auth_level: str
    "`anonymous`, `function` or `admin`."


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedFunction:
    """A function as the host knows it."""

    name: str
    call: Callable[..., Any]
    is_async: bool
    directory: str
    script_file: str
    bindings: tuple[Binding, ...]
    "As they would stand in function.json."
    trigger_type: str
    trigger_argument: str
    takes_context: bool
    http: HttpTrigger | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    "Parameters of type `func.Out`, and the binding type of each."
    returns_http: bool = False

    @property
    def is_warmup(self) -> bool:
        return self.trigger_type == WARMUP_TRIGGER

    @property
    def is_timer(self) -> bool:
        return self.trigger_type == TIMER_TRIGGER


def hosted_function(function: "Function") -> HostedFunction:
    """Describe an indexed function.

    Raises:
        DiscoveryError: its parameters and its bindings do not fit each other, or its route is wrong.
    """
    name = str(function.get_function_name())
    call = function.get_user_function()
    bindings = tuple(json.loads(binding) for binding in function.get_raw_bindings())
    trigger = next(binding for binding in bindings if binding["type"].lower().endswith("trigger"))
    takes_context = _check_parameters(name, call, bindings)
    outputs = {
        binding["name"]: binding["type"]
        for binding in bindings
        if binding["direction"] == "OUT" and binding["name"] != RETURN
    }
    unsupported = [b for b in bindings if b["direction"] == "IN" and b is not trigger]
    if unsupported:
        kinds = ", ".join(f"{binding['name']!r} ({binding['type']})" for binding in unsupported)
        raise _load_error(name, f"the emulator has no input bindings, and it declares {kinds}")
    return HostedFunction(
        name=name,
        call=call,
        is_async=inspect.iscoroutinefunction(call),
        directory=str(Path(inspect.getfile(call)).parent),
        script_file=function.function_script_file,
        bindings=bindings,
        trigger_type=trigger["type"],
        trigger_argument=trigger["name"],
        takes_context=takes_context,
        http=http_trigger(name, trigger) if trigger["type"] == HTTP_TRIGGER else None,
        outputs=outputs,
        returns_http=any(b["name"] == RETURN and b["type"] == "http" for b in bindings),
    )


def _check_parameters(name: str, call: Callable[..., Any], bindings: tuple[Binding, ...]) -> bool:
    """Check parameters against bindings; tell whether the function takes a context."""
    parameters = set(inspect.signature(call).parameters)
    bound = {binding["name"] for binding in bindings} - {RETURN}
    takes_context = "context" in parameters - bound
    if takes_context:
        parameters.remove("context")
        annotation = get_type_hints(call).get("context")
        if annotation is not None and getattr(annotation, "__name__", "") != "Context":
            raise _load_error(
                name,
                'the "context" parameter is expected to be of type azure.functions.Context, '
                f'got "{annotation!r}"',
            )
    if unbound := parameters - bound:
        raise _load_error(
            name,
            "the following parameters are declared in Python but not in the function definition "
            f"(function.json or function decorators): {unbound!r}",
        )
    if missing := bound - parameters:
        raise _load_error(
            name,
            f"the following parameters are declared as bindings but are not present in Python: {missing!r}",
        )
    return takes_context


def http_trigger(name: str, trigger: Binding) -> HttpTrigger:
    """How a binding says that HTTP reaches its function.

    Raises:
        DiscoveryError: its route is wrong.
    """
    template = RouteTemplate(trigger.get("route") or name)
    if template.text.lower().startswith(("admin", "runtime")):
        # ScriptHost.ValidateHttpFunction reserves both, whatever the route prefix.
        raise _load_error(
            name,
            f"the specified route {template.text!r} conflicts with one or more built in routes; "
            "start it with neither 'admin' nor 'runtime'",
        )
    declared = tuple(method.upper() for method in trigger.get("methods") or ())
    methods = frozenset(declared)
    if "GET" in methods:
        # WebScriptHostHttpRoutesManager.BuildConstraintMethods: who answers GET answers HEAD.
        methods |= {"HEAD"}
    return HttpTrigger(
        template=template,
        methods=methods or None,
        declared_methods=declared,
        auth_level=trigger.get("authLevel", "function").lower(),
    )


def _load_error(name: str, problem: str) -> DiscoveryError:
    return DiscoveryError(f"cannot load the {name} function: {problem}")
