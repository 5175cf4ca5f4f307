"""ASP.NET route templates: `items/{id:int}/{view=full}/{*rest}` against a path.

A template is compiled once into a regular expression over the decoded path and a list of parameters; the
constraints of a parameter are checked on the text that the expression captured. The rules are those of
https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates.
"""

import re
from dataclasses import dataclass

from emulator.functions_host.constraints import Constraint, constraint
from emulator.functions_host.errors import RouteTemplateError

_NAME = re.compile(r"[^{}/?*:=]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One `{...}` of a template."""

    name: str
    constraints: tuple[Constraint, ...] = ()
    default: str | None = None
    is_optional: bool = False
    is_catch_all: bool = False

    @property
    def may_be_absent(self) -> bool:
        return self.is_optional or self.is_catch_all or self.default is not None


class RouteTemplate:
    """A parsed route template.

    Attributes:
        text: the template as written, without slashes at its ends.
        is_literal: whether the template has no parameters.
        precedence: sorts templates from the most to the least specific, segment by segment: literal,
            constrained or composite, unconstrained, constrained catch-all, catch-all. This is
            `RoutePrecedence.ComputeInbound` of ASP.NET Core.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip("/")
        segments = [
            _parse_segment(segment, self.text)
            for segment in _split(self.text, "/", unless_in="{}")
            if segment
        ]
        self.parameters = [part for segment in segments for part in segment if isinstance(part, Parameter)]
        self.is_literal = not self.parameters
        self.precedence = tuple(_precedence(segment) for segment in segments)
        _check(segments, self.text)
        self._pattern = re.compile(_expression(segments), re.IGNORECASE | re.DOTALL)

    def match(self, path: str) -> dict[str, str] | None:
        """Match a decoded path without slashes at its ends.

        Returns:
            Route values by parameter name, without the absent optional ones; None where the path or a
            constraint does not fit.
        """
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        values = {}
        for parameter, captured in zip(self.parameters, found.groups(), strict=True):
            value = captured or parameter.default
            if value is None:
                continue
            if captured and not all(holds(captured) for holds in parameter.constraints):
                return None
            values[parameter.name] = value
        return values


def _split(text: str, separator: str, *, unless_in: str) -> list[str]:
    """Split at a separator outside a pair of brackets; a backslash hides the character after it."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if index and text[index - 1] == "\\":
            continue
        if character == unless_in[0]:
            depth += 1
        elif character == unless_in[1]:
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _parse_segment(segment: str, template: str) -> list[str | Parameter]:
    """Cut a segment into literal text and parameters; doubled braces are literal braces."""
    parts: list[str | Parameter] = []
    literal = ""
    position = 0
    while position < len(segment):
        character = segment[position]
        if segment.startswith(("{{", "}}"), position):
            literal += character
            position += 2
        elif character == "{":
            end = _closing_brace(segment, position, template)
            if literal:
                parts.append(literal)
                literal = ""
            parts.append(_parse_parameter(segment[position + 1 : end], template))
            position = end + 1
        elif character == "}":
            raise RouteTemplateError(f"route {template!r}: '}}' without '{{'")
        else:
            literal += character
            position += 1
    return [*parts, literal] if literal else parts


def _closing_brace(segment: str, start: int, template: str) -> int:
    position = start + 1
    while position < len(segment):
        if segment.startswith(("{{", "}}"), position):
            position += 2
        elif segment[position] == "}":
            return position
        else:
            position += 1
    raise RouteTemplateError(f"route {template!r}: '{{' without '}}'")


def _parse_parameter(text: str, template: str) -> Parameter:
    content = text.replace("{{", "{").replace("}}", "}")
    is_catch_all = content.startswith("*")
    declaration, has_default, default = _partition_default(content.removeprefix("*").removeprefix("*"))
    is_optional = not has_default and declaration.endswith("?")
    name, *references = _split(
        declaration.removesuffix("?") if is_optional else declaration, ":", unless_in="()"
    )
    if not _NAME.fullmatch(name):
        raise RouteTemplateError(f"route {template!r}: {{{text}}} has no valid parameter name")
    if is_catch_all and is_optional:
        raise RouteTemplateError(f"route {template!r}: a catch-all is optional by itself; drop the '?'")
    return Parameter(
        name=name,
        constraints=tuple(constraint(reference, template=template) for reference in references),
        default=default if has_default else None,
        is_optional=is_optional,
        is_catch_all=is_catch_all,
    )


def _partition_default(declaration: str) -> tuple[str, bool, str]:
    before, *after = _split(declaration, "=", unless_in="()")
    return before, bool(after), "=".join(after)


def _precedence(segment: list[str | Parameter]) -> int:
    first = segment[0]
    if len(segment) > 1:
        return 2
    if isinstance(first, str):
        return 1
    if first.is_catch_all:
        return 4 if first.constraints else 5
    return 2 if first.constraints else 3


def _check(segments: list[list[str | Parameter]], template: str) -> None:
    names: set[str] = set()
    for index, segment in enumerate(segments):
        is_last = index == len(segments) - 1
        for position, part in enumerate(segment):
            if isinstance(part, str):
                continue
            if part.name.lower() in names:
                raise RouteTemplateError(f"route {template!r}: parameter {part.name!r} appears twice")
            names.add(part.name.lower())
            if part.is_catch_all and not (is_last and len(segment) == 1):
                raise RouteTemplateError(f"route {template!r}: a catch-all must be the whole last segment")
            if part.is_optional and not (is_last and position == len(segment) - 1):
                raise RouteTemplateError(
                    f"route {template!r}: only the last parameter may be optional, not {part.name!r}"
                )
            if position and isinstance(segment[position - 1], Parameter):
                raise RouteTemplateError(f"route {template!r}: two parameters need text between them")
            if part.is_optional and position and segment[position - 1] != ".":
                raise RouteTemplateError(
                    f"route {template!r}: in a composite segment an optional parameter must follow a '.'"
                )


def _expression(segments: list[list[str | Parameter]]) -> str:
    """Build the expression; trailing segments that may be absent nest as `(?:/one(?:/two)?)?`."""
    n_required = len(segments)
    while n_required and _may_be_absent(segments[n_required - 1]):
        n_required -= 1
    expression = "/".join(_segment_expression(segment) for segment in segments[:n_required])
    for index, segment in enumerate(segments[n_required:], start=n_required):
        expression += f"(?:{'/' if index else ''}{_segment_expression(segment)}"
    return expression + ")?" * (len(segments) - n_required)


def _may_be_absent(segment: list[str | Parameter]) -> bool:
    first = segment[0]
    return len(segment) == 1 and isinstance(first, Parameter) and first.may_be_absent


def _segment_expression(segment: list[str | Parameter]) -> str:
    if len(segment) > 1 and isinstance(segment[-1], Parameter) and segment[-1].is_optional:
        # `{name}.{extension?}`: the extension is what follows the last dot, and the dot goes with it.
        head = "".join(_part_expression(part, lazy=True) for part in segment[:-2])
        return rf"{head}(?:\.([^/.]+))?"
    return "".join(_part_expression(part) for part in segment)


def _part_expression(part: str | Parameter, *, lazy: bool = False) -> str:
    if isinstance(part, str):
        return re.escape(part)
    if part.is_catch_all:
        return "(.*)"
    return "([^/]+?)" if lazy else "([^/]+)"
