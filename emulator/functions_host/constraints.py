"""The inline constraints of ASP.NET routes: what follows the colon in `{id:int}`.

A constraint is a predicate on the text of one route value. The set, the names and the ranges are those of
https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-constraints; numbers and dates are read
as in the invariant culture.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from emulator.functions_host.errors import RouteTemplateError

Constraint: TypeAlias = Callable[[str], bool]

# White space as .NET parses numbers, and nothing that only Python takes for it.
_INTEGER = re.compile(r"[\t-\r ]*[+-]?[0-9]+[\t-\r ]*")
_DECIMAL = re.compile(r"[\t-\r ]*[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)[\t-\r ]*")
_FLOAT = re.compile(
    r"[\t-\r ]*[+-]?(?:(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Infinity)[\t-\r ]*|NaN"
)
_GUID = re.compile(
    r"[0-9a-f]{32}"
    r"|(?P<brace>\{)?(?P<paren>\()?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?(brace)\})(?(paren)\))",
    re.IGNORECASE,
)
_DATETIMES = ("%m/%d/%Y", "%m-%d-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%Y-%m-%d")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M%p", " %I:%M %p", " %I:%M:%S %p")
_ARGUMENT_COUNTS = {
    "length": (1, 2),
    "minlength": (1,),
    "maxlength": (1,),
    "min": (1,),
    "max": (1,),
    "range": (2,),
}


def constraint(reference: str, *, template: str) -> Constraint:
    """Build the predicate for one constraint as written, such as `length(1,5)`.

    Raises:
        RouteTemplateError: the name is unknown, or its arguments do not fit.
    """
    name, has_arguments, rest = reference.partition("(")
    name = name.lower()
    if name in _PLAIN and not has_arguments:
        return _PLAIN[name]
    if has_arguments and rest.endswith(")"):
        argument = rest[:-1]
        if name == "regex":
            return _regex(argument, template=template)
        if name in _ARGUMENT_COUNTS:
            return _bounded(name, argument, template=template)
    raise RouteTemplateError(
        f"route {template!r}: unknown constraint {reference!r}; "
        f"known are {', '.join(sorted(_PLAIN))}, {', '.join(_ARGUMENT_COUNTS)} and regex, "
        "the latter with arguments in parentheses"
    )


def _regex(pattern: str, *, template: str) -> Constraint:
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as err:
        raise RouteTemplateError(f"route {template!r}: invalid pattern {pattern!r}: {err}") from err
    return lambda text: compiled.search(text) is not None


def _bounded(name: str, argument: str, *, template: str) -> Constraint:
    try:
        bounds = [int(bound) for bound in argument.split(",")]
    except ValueError:
        bounds = []
    if len(bounds) not in _ARGUMENT_COUNTS[name]:
        expected = " or ".join(str(count) for count in _ARGUMENT_COUNTS[name])
        raise RouteTemplateError(
            f"route {template!r}: {name}({argument}) needs {expected} whole number(s), such as {name}(1)"
        )
    low, high = bounds[0], bounds[-1]
    match name:
        case "length":
            return lambda text: low <= len(text) <= high
        case "minlength":
            return lambda text: len(text) >= low
        case "maxlength":
            return lambda text: len(text) <= high
        case "min":
            return lambda text: _is_long(text) and int(text) >= low
        case "max":
            return lambda text: _is_long(text) and int(text) <= high
        case _:
            return lambda text: _is_long(text) and low <= int(text) <= high


def _is_int(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None and -(2**31) <= int(text) < 2**31


def _is_long(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


def _is_decimal(text: str) -> bool:
    return _DECIMAL.fullmatch(text) is not None and abs(float(text.replace(",", ""))) < 7.9e28


def _is_float(text: str) -> bool:
    return _FLOAT.fullmatch(text) is not None


def _is_bool(text: str) -> bool:
    return text.strip().lower() in ("true", "false")


def _is_guid(text: str) -> bool:
    return _GUID.fullmatch(text) is not None


def _is_datetime(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return any(_parses(text, date + time) for date in _DATETIMES for time in _TIMES)
    return True


def _parses(text: str, date_format: str) -> bool:
    try:
        datetime.strptime(text, date_format)
    except ValueError:
        return False
    return True


_PLAIN: dict[str, Constraint] = {
    "int": _is_int,
    "long": _is_long,
    "float": _is_float,
    "double": _is_float,
    "decimal": _is_decimal,
    "bool": _is_bool,
    "guid": _is_guid,
    "datetime": _is_datetime,
    "alpha": lambda text: re.fullmatch("[a-z]*", text, re.IGNORECASE) is not None,
    "required": lambda text: text != "",
    "file": lambda text: "." in text.rpartition("/")[2].rstrip("."),
    "nonfile": lambda text: "." not in text.rpartition("/")[2].rstrip("."),
}
