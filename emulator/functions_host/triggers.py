"""The value that a trigger hands to its function when the trigger is pulled by hand."""

import inspect
import json
from typing import Any, get_type_hints

from azure.functions.meta import Datum, get_binding_registry

from emulator.functions_host.functions import HostedFunction


def trigger_value(function: HostedFunction, text: str) -> Any:
    """Decode a trigger's input with the converter that the worker would use.

    Args:
        text: `input` of the request to /admin/functions/{name}, or empty.

    Raises:
        ValueError, TypeError, NotImplementedError: the converter cannot read the text.
    """
    annotation = get_type_hints(inspect.unwrap(function.call)).get(function.trigger_argument)
    if annotation is str:
        return text
    if annotation is bytes:
        return text.encode()
    registry: Any = get_binding_registry()  # type: ignore[no-untyped-call]
    converter = registry.get(function.trigger_type)
    if converter is None:
        return text
    return converter.decode(_datum(function.trigger_type, text), trigger_metadata={})


def _datum(trigger_type: str, text: str) -> Datum:
    try:
        is_object = isinstance(json.loads(text), dict | list)
    except ValueError:
        is_object = False
    if trigger_type == "timerTrigger" and not is_object:
        # A timer has no input of its own; the host describes the schedule in JSON.
        return Datum("{}", "json")
    return Datum(text, "json" if is_object else "string")
