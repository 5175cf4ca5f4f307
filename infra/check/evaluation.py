"""What a Bicep file deploys for given parameters: the resources of ARM, with what only Azure knows left as markers."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from infra.check import syntax
from infra.check.syntax import BicepError, Expression, File, read_file

MONTH = "2026-11-01"
"What `utcNow` says here."


class Runtime(str):
    """A value that Azure gives when it deploys, such as an id; its text says which."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Deployed:
    """One resource of a deployment.

    Attributes:
        name: all its names, from the outermost resource on.
        body: as ARM gets it.
    """

    type: str
    version: str
    name: str
    body: Mapping[str, Any]
    where: str


@dataclass(slots=True)
class Deployment:
    """What a file deploys."""

    resources: list[Deployed] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)


def deploy(path: Path, parameters: Mapping[str, Any]) -> Deployment:
    """What a file deploys, with all modules below it.

    Raises:
        BicepError: a parameter is missing, unknown or not allowed, or an expression makes no sense.
    """
    return _Scope(read_file(path), parameters).deploy()


def parameters_of(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """What a `.bicepparam` file gives, with these environment variables.

    Raises:
        BicepError: a variable is missing, or an expression makes no sense.
    """
    scope = _Scope(read_file(path), {}, environ)
    return {name: scope.value(each.value) for name, each in scope.file.assignments.items()}


class _Scope:
    """The names of one file, and what they stand for; loops add theirs in `_locals`."""

    def __init__(
        self, file: File, parameters: Mapping[str, Any], environ: Mapping[str, str] | None = None
    ) -> None:
        self.file = file
        self._environ = environ or {}
        self._locals: dict[str, Any] = {}
        self._deployment = Deployment()
        self._outputs: dict[str, Any] = {}
        self._variables: dict[str, Any] = {}
        if unknown := parameters.keys() - file.parameters.keys():
            raise BicepError(f"{file.path.name} has no parameters {sorted(unknown)}")
        self._parameters = {name: self._parameter(each, parameters) for name, each in file.parameters.items()}

    def deploy(self) -> Deployment:
        for module in self.file.modules.values():
            self._deploy_module(module)
        for resource in self.file.resources.values():
            if not resource.is_existing:
                self._each(resource.body, partial(self._deploy_resource, resource))
        self._deployment.outputs = {name: self.value(each.value) for name, each in self.file.outputs.items()}
        return self._deployment

    def value(self, expression: Expression) -> Any:
        match expression:
            case syntax.Literal(value):
                return value
            case syntax.Text(parts):
                texts = [part if isinstance(part, str) else self.value(part) for part in parts]
                joined = "".join(_text(each) for each in texts)
                return Runtime(joined) if any(isinstance(each, Runtime) for each in texts) else joined
            case syntax.Name(name, line):
                return self._name(name, line)
            case syntax.Member(of, name, line):
                return self._member(self.value(of), name, line)
            case syntax.Index(of, key):
                return self._member(self.value(of), self.value(key), 0)
            case syntax.Call(name, arguments, line):
                return self._call(name, arguments, line)
            case syntax.Operation(operator, operands):
                return self._operation(operator, operands)
            case syntax.Mapping(entries):
                return {self.value(key): self.value(each) for key, each in entries}
            case syntax.Sequence(items):
                return [self.value(each) for each in items]
            case syntax.For():
                found: list[Any] = []
                self._each(expression, lambda body: found.append(self.value(body)))
                return found
        raise self._error(f"{type(expression).__name__} stands where a value should", 0)

    def _parameter(self, declared: syntax.Parameter, given: Mapping[str, Any]) -> Any:
        name = declared.name
        if name not in given:
            if declared.default is None:
                raise self._error(f"parameter {name!r} is missing", declared.line)
            return self.value(declared.default)
        value = given[name]
        kinds = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}
        is_kind = isinstance(value, kinds[declared.type]) and (declared.type == "bool") == isinstance(
            value, bool
        )
        if not is_kind:
            raise self._error(f"parameter {name!r} is {value!r}, which is no {declared.type}", declared.line)
        if (allowed := declared.decorator("allowed")) and value not in self.value(allowed.arguments[0]):
            raise self._error(f"parameter {name!r} is {value!r}, which is not allowed", declared.line)
        size = value if declared.type == "int" else len(value) if declared.type != "bool" else 0
        kind = "Value" if declared.type == "int" else "Length"
        least, most = declared.decorator(f"min{kind}"), declared.decorator(f"max{kind}")
        if (least and size < self.value(least.arguments[0])) or (
            most and size > self.value(most.arguments[0])
        ):
            raise self._error(f"parameter {name!r} is {value!r}, which is out of range", declared.line)
        return value

    def _each(self, body: Expression, do: Callable[[Expression], Any]) -> None:
        """For each round of a loop, if there is one, and where its condition holds."""
        match body:
            case syntax.For(names, source, inner):
                for number, item in enumerate(self.value(source)):
                    outer = dict(self._locals)
                    self._locals |= dict(zip(names, (item, number), strict=False))
                    self._each(inner, do)
                    self._locals = outer
            case syntax.If(condition, inner):
                if self.value(condition):
                    self._each(inner, do)
            case _:
                do(body)

    def _deploy_module(self, module: syntax.Module) -> None:
        def one(body: Expression) -> None:
            assert isinstance(body, syntax.Mapping)
            given = body.get("params")
            path = (self.file.path.parent / module.path).resolve()
            try:
                made = deploy(path, self.value(given) if given else {})
            except BicepError as err:
                raise self._error(f"module {module.name!r}: {err}", module.line) from err
            self._deployment.resources += made.resources
            self._outputs[module.name] = made.outputs

        if module.name not in self._outputs:
            self._outputs[module.name] = None
            self._each(module.body, one)

    def _deploy_resource(self, resource: syntax.Resource, body: Expression) -> None:
        assert isinstance(body, syntax.Mapping)
        content = {
            str(self.value(key)): self.value(each)
            for key, each in body.entries
            if key not in (syntax.Literal("parent"), syntax.Literal("scope"), syntax.Literal("dependsOn"))
        }
        parent = body.get("parent")
        name = str(content["name"])
        if parent is not None:
            name = f"{self._path_of(parent)}/{name}"
        where = f"{self.file.path.name}:{body.line}"
        self._deployment.resources.append(Deployed(resource.type, resource.version, name, content, where))

    def _path_of(self, parent: Expression) -> str:
        symbol = parent.of if isinstance(parent, syntax.Index) else parent
        if not isinstance(symbol, syntax.Name) or symbol.name not in self.file.resources:
            raise self._error("`parent` names no resource", 0)
        return symbol.name

    def _name(self, name: str, line: int) -> Any:
        if name in self._locals:
            return self._locals[name]
        if name in self._parameters_so_far:
            return self._parameters_so_far[name]
        if name in self.file.variables:
            if name not in self._variables:
                outer, self._locals = self._locals, {}
                self._variables[name] = self.value(self.file.variables[name].value)
                self._locals = outer
            return self._variables[name]
        if name in self.file.resources:
            return Runtime(name)
        if name in self.file.modules:
            self._deploy_module(self.file.modules[name])
            return {"outputs": self._outputs[name]}
        raise self._error(f"{name!r} is declared nowhere", line)

    @property
    def _parameters_so_far(self) -> Mapping[str, Any]:
        return getattr(self, "_parameters", {})

    def _member(self, of: Any, name: Any, line: int) -> Any:
        if isinstance(of, Runtime):
            return Runtime(f"{of}.{name}")
        try:
            return of[name]
        except (KeyError, IndexError, TypeError):
            raise self._error(f"{_text(of)[:60]} has no {name!r}", line) from None

    def _operation(self, operator: str, operands: tuple[Expression, ...]) -> Any:
        if operator == "?:":
            return self.value(operands[1] if self.value(operands[0]) else operands[2])
        if operator in ("&&", "||"):
            first = self.value(operands[0])
            return self.value(operands[1]) if first == (operator == "&&") else first
        left, *others = (self.value(each) for each in operands)
        if operator == "??":
            return left if left is not None else others[0]
        if not others:
            return not left if operator == "!" else -left
        right = others[0]
        compute: dict[str, Callable[[], Any]] = {
            "==": lambda: left == right,
            "!=": lambda: left != right,
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "/": lambda: left // right,
            "%": lambda: left % right,
        }
        return compute[operator]()

    def _call(self, name: str, arguments: tuple[Expression, ...], line: int) -> Any:
        if name in ("loadTextContent", "loadJsonContent"):
            path = self.file.path.parent / str(self.value(arguments[0]))
            try:
                text = path.read_text()
            except OSError as err:
                raise self._error(f"{name}: {path.name!r}: {err.strerror}", line) from err
            return text if name == "loadTextContent" else json.loads(text)
        values = [self.value(each) for each in arguments]
        if name == "readEnvironmentVariable":
            if values[0] not in self._environ and len(values) < 2:
                raise self._error(f"environment variable {values[0]} is not set", line)
            return self._environ.get(*values)
        if name not in _FUNCTIONS:
            raise self._error(f"function {name!r} is not known here", line)
        try:
            return _FUNCTIONS[name](*values)
        except (TypeError, ValueError, IndexError, AttributeError) as err:
            raise self._error(f"{name}: {err}", line) from err

    def _error(self, what: str, line: int) -> BicepError:
        return BicepError(f"{self.file.path.name}{f':{line}' if line else ''}: {what}")


def _text(value: Any) -> str:
    """As Bicep writes a value into a string."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "True" if value else "False"
    return json.dumps(value, separators=(",", ":"))


def _union(*values: Any) -> Any:
    if all(isinstance(each, dict) for each in values):
        return {name: value for each in values for name, value in each.items()}
    return list(dict.fromkeys(item for each in values for item in each))


def _substring(text: str, start: int, length: int | None = None) -> str:
    if not 0 <= start <= len(text):
        raise ValueError(f"{start} is not inside a text of {len(text)}")
    return text[start:] if length is None else text[start : start + length]


def _token(*parts: Any) -> str:
    """Thirteen letters or digits, the same for the same parts, as `uniqueString` gives."""
    return re.sub(r"[^a-z0-9]", "", uuid5(NAMESPACE_URL, "|".join(map(_text, parts))).hex)[:13]


def _marker(name: str) -> Callable[[], Runtime]:
    return lambda: Runtime(f"{name}()")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "union": _union,
    "concat": lambda *values: list(chain(*values)) if isinstance(values[0], list) else "".join(values),
    "empty": lambda value: not value,
    "contains": lambda within, what: what in within,
    "length": len,
    "join": lambda items, between: between.join(map(_text, items)),
    "split": lambda text, by: text.split(by),
    "first": lambda items: items[0],
    "last": lambda items: items[-1],
    "substring": _substring,
    "indexOf": lambda text, part: text.find(part),
    "replace": lambda text, old, new: text.replace(old, new),
    "toLower": str.lower,
    "max": max,
    "min": min,
    "int": int,
    "bool": lambda value: {"true": True, "false": False}[str(value).lower()],
    "string": _text,
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
    "uniqueString": _token,
    "guid": lambda *parts: str(uuid5(NAMESPACE_URL, "|".join(map(_text, parts)))),
    "utcNow": lambda _: MONTH,
    "resourceId": lambda kind, *names: Runtime(f"resourceId({kind},{','.join(map(_text, names))})"),
    "subscriptionResourceId": lambda kind, *names: Runtime(
        f"subscriptionResourceId({kind},{','.join(names)})"
    ),
    "resourceGroup": _marker("resourceGroup"),
    "subscription": _marker("subscription"),
    "tenant": _marker("tenant"),
    "environment": _marker("environment"),
}
