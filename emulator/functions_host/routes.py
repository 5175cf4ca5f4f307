"""Which function answers a method and a path.

Method is a constraint of the route in Azure's host (WebScriptHostHttpRoutesManager): where it does not
fit the route does not exist, and the answer is 404. HEAD alone is different: on a route that answers
neither GET nor HEAD it is 405.

The table tries the most specific route first. Azure's host tries functions in their order and takes the
first that fits (`RouteCollection`, with no precedence), so an app whose routes overlap should not rely on
either.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from emulator.functions_host.functions import HostedFunction, HttpTrigger
from emulator.functions_host.templates import RouteTemplate


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """The function found and its route values; or no function and the methods that the route has."""

    function: HostedFunction | None
    values: dict[str, str] = field(default_factory=dict)
    allowed_methods: str = ""


@dataclass(frozen=True, slots=True)
class _Route:
    function: HostedFunction
    http: HttpTrigger
    template: RouteTemplate
    "With the route prefix."


class RouteTable:
    """All HTTP routes of an app under one prefix."""

    def __init__(self, functions: Iterable[HostedFunction], *, prefix: str) -> None:
        prefix = prefix.strip("/")
        routes = [
            _Route(function, function.http, RouteTemplate(f"{prefix}/{function.http.template.text}"))
            for function in functions
            if function.http
        ]
        routes.sort(key=lambda route: route.template.precedence)
        self._literal: dict[str, list[_Route]] = {}
        for route in routes:
            if route.template.is_literal:
                self._literal.setdefault(route.template.text.lower(), []).append(route)
        self._parametrised = [route for route in routes if not route.template.is_literal]

    def find(self, method: str, path: str) -> RouteMatch | None:
        """Find who answers; the path is decoded, and a slash at either end is of no account."""
        path = path.removeprefix("/").removesuffix("/")
        allowed_methods = ""
        for route in self._literal.get(path.lower(), ()):
            if route.http.methods is None or method in route.http.methods:
                return RouteMatch(route.function)
            allowed_methods = allowed_methods or ", ".join(route.http.declared_methods)
        for route in self._parametrised:
            values = route.template.match(path)
            if values is None:
                continue
            if route.http.methods is None or method in route.http.methods:
                return RouteMatch(route.function, values)
            allowed_methods = allowed_methods or ", ".join(route.http.declared_methods)
        if method == "HEAD" and allowed_methods:
            return RouteMatch(None, allowed_methods=allowed_methods)
        return None
