"""Bicep, as far as these files use it, from text to a tree.

Microsoft's compiler is in none of the registries that this project builds from. This reader takes a subset:
declarations, decorators, strings with interpolation, objects, arrays, `for`, conditions, operators and calls. Anything
else is refused, with its line, so that what was not understood is never taken for checked.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias


class BicepError(ValueError):
    """A file that cannot be read; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class Text:
    """A string with expressions inside."""

    parts: tuple["str | Expression", ...]


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Member:
    """`of.name`"""

    of: "Expression"
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Index:
    of: "Expression"
    key: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple["Expression", ...]
    line: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with its operands; `?:` has three."""

    operator: str
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[tuple["Expression", "Expression"], ...]
    line: int

    def get(self, key: str) -> "Expression | None":
        return next((value for name, value in self.entries if name == Literal(key)), None)


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class For:
    """`[for item in source: body]`, or `(item, number)`."""

    names: tuple[str, ...]
    source: "Expression"
    body: "Expression"


@dataclass(frozen=True, slots=True)
class If:
    """`if (condition) body` of a resource or module."""

    condition: "Expression"
    body: "Expression"


Expression: TypeAlias = (
    Literal | Text | Name | Member | Index | Call | Operation | Mapping | Sequence | For | If
)


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: str
    default: Expression | None
    decorators: tuple[Call, ...]
    line: int

    def decorator(self, name: str) -> Call | None:
        return next((each for each in self.decorators if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    value: Expression
    line: int


@dataclass(frozen=True, slots=True)
class Resource:
    name: str
    type: str
    version: str
    is_existing: bool
    body: Expression
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    path: str
    body: Expression
    line: int


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    type: str
    value: Expression
    line: int


@dataclass(slots=True)
class File:
    """One `.bicep` or `.bicepparam` file."""

    path: Path
    scope: str = "resourceGroup"
    using: str = ""
    "File that a `.bicepparam` is for."
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    assignments: dict[str, Variable] = field(default_factory=dict)
    "`param name = value` of a `.bicepparam`."


_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|//[^\n]*|/\*.*?\*/)|(?P<newline>\n)|(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<multiline>'''.*?''')|(?P<quote>')"
    r"|(?P<sign>\?\?|==|!=|<=|>=|&&|\|\||[-+*/%<>=!?:.,@(){}\[\]])",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "'": "'", "\\": "\\", "$": "$"}
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))
"Binary operators, loosest first."


def read_file(path: Path) -> File:
    """Read a file.

    Raises:
        BicepError: it uses what this reader does not know, or is no Bicep.
    """
    return _read(path, path.read_text())


@lru_cache(maxsize=256)  # a module is read as often as it is deployed
def _read(path: Path, text: str) -> File:
    return _Reader(path, text).file()


class _Reader:
    def __init__(self, path: Path, text: str) -> None:
        self._path, self._text, self._at = path, text, 0
        self._line_ends = [found.start() for found in re.finditer("\n", text)]

    def file(self) -> File:
        read = File(self._path)
        self._skip_lines()
        while self._at < len(self._text):
            self._declaration(read)
            self._skip_lines()
        return read

    def _declaration(self, file: File) -> None:
        decorators = []
        while self._take("@"):
            name, line = self._identifier(), self._line()
            decorators.append(self._call(name, line))
            self._skip_lines()
        line, keyword = self._line(), self._identifier()
        if keyword == "targetScope":
            self._expect("=")
            file.scope = self._string_value()
        elif keyword == "using":
            file.using = self._string_value()
        elif keyword == "param":
            name = self._identifier()
            if self._take("="):
                self._add(file.assignments, Variable(name, self._expression(), line))
                return
            kind = self._identifier()
            default = self._expression() if self._take("=") else None
            self._add(file.parameters, Parameter(name, kind, default, tuple(decorators), line))
        elif keyword == "var":
            name = self._identifier()
            self._expect("=")
            self._add(file.variables, Variable(name, self._expression(), line))
        elif keyword == "resource":
            name = self._identifier()
            kind, _, version = self._string_value().partition("@")
            is_existing = self._take_word("existing")
            self._expect("=")
            self._add(file.resources, Resource(name, kind, version, is_existing, self._expression(), line))
        elif keyword == "module":
            name, path = self._identifier(), self._string_value()
            self._expect("=")
            self._add(file.modules, Module(name, path, self._expression(), line))
        elif keyword == "output":
            name, kind = self._identifier(), self._identifier()
            self._expect("=")
            self._add(file.outputs, Output(name, kind, self._expression(), line))
        else:
            raise self._error(f"{keyword!r} begins no declaration that is known here")

    def _add(self, known: dict[str, Any], declared: Any) -> None:
        if declared.name in known:
            raise self._error(f"{declared.name!r} is declared twice")
        known[declared.name] = declared

    def _expression(self) -> Expression:
        condition = self._coalesce()
        if not self._take("?"):
            return condition
        self._skip_lines()
        yes = self._expression()
        self._skip_lines()
        self._expect(":")
        self._skip_lines()
        return Operation("?:", (condition, yes, self._expression()))

    def _coalesce(self) -> Expression:
        left = self._binary(0)
        while self._take("??"):
            left = Operation("??", (left, self._binary(0)))
        return left

    def _binary(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while (sign := self._peek()) in _LEVELS[level]:
            self._expect(sign)
            left = Operation(sign, (left, self._binary(level + 1)))
        return left

    def _unary(self) -> Expression:
        for sign in ("!", "-"):
            if self._take(sign):
                return Operation(sign, (self._unary(),))
        return self._postfix(self._primary())

    def _postfix(self, of: Expression) -> Expression:
        while True:
            line = self._line()
            if self._take("."):
                of = Member(of, self._identifier(), line)
            elif self._take("["):
                of = Index(of, self._expression())
                self._expect("]")
            else:
                return of

    def _primary(self) -> Expression:
        line = self._line()
        kind, text = self._token()
        if kind == "number":
            return Literal(int(text))
        if kind == "multiline":
            return Literal(text[3:-3].removeprefix("\n"))
        if kind == "quote":
            return self._string()
        if kind == "name":
            if text == "if":
                return self._if()
            if text in ("true", "false", "null"):
                return Literal({"true": True, "false": False, "null": None}[text])
            return self._call(text, line) if self._peek() == "(" else Name(text, line)
        if text == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if text == "{":
            return self._mapping(line)
        if text == "[":
            return self._sequence()
        raise self._error(f"{text!r} begins no expression")

    def _if(self) -> If:
        self._expect("(")
        condition = self._expression()
        self._expect(")")
        return If(condition, self._expression())

    def _call(self, name: str, line: int) -> Call:
        self._expect("(")
        return Call(name, self._listed(")"), line)

    def _sequence(self) -> Expression:
        self._skip_lines()
        if not self._take_word("for"):
            return Sequence(self._listed("]"))
        names: tuple[str, ...]
        if self._take("("):
            first = self._identifier()
            self._expect(",")
            names = (first, self._identifier())
            self._expect(")")
        else:
            names = (self._identifier(),)
        if not self._take_word("in"):
            raise self._error("`for` lacks its `in`")
        source = self._expression()
        self._expect(":")
        body = self._expression()
        self._skip_lines()
        self._expect("]")
        return For(names, source, body)

    def _listed(self, end: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        self._skip_lines()
        while not self._take(end):
            items.append(self._expression())
            self._separate(end)
        return tuple(items)

    def _mapping(self, line: int) -> Mapping:
        entries: list[tuple[Expression, Expression]] = []
        self._skip_lines()
        while not self._take("}"):
            kind, text = self._token()
            if kind not in ("name", "quote"):
                raise self._error(f"{text!r} is no name of a property")
            key = Literal(text) if kind == "name" else self._string()
            if any(key == known for known, _ in entries):
                raise self._error(f"property {text!r} stands twice")
            self._expect(":")
            entries.append((key, self._expression()))
            self._separate("}")
        return Mapping(tuple(entries), line)

    def _separate(self, end: str) -> None:
        has_comma = self._take(",")
        before = self._at
        self._skip_lines()
        if not has_comma and self._peek() != end and "\n" not in self._text[before : self._at]:
            raise self._error(f"{self._peek()!r} stands where a comma, a new line or {end!r} should")

    def _string(self) -> Expression:
        """What follows a quote."""
        parts: list[str | Expression] = [""]
        while True:
            char = self._text[self._at : self._at + 1]
            if char in ("", "\n"):
                raise self._error("a string does not end")
            if char == "'":
                self._at += 1
                break
            if self._text.startswith("${", self._at):
                self._at += 2
                parts += [self._expression(), ""]
                self._expect("}")
            elif char == "\\":
                escaped = self._text[self._at + 1]
                if escaped not in _ESCAPES:
                    raise self._error(f"\\{escaped} escapes nothing")
                parts[-1] = str(parts[-1]) + _ESCAPES[escaped]
                self._at += 2
            else:
                parts[-1] = str(parts[-1]) + char
                self._at += 1
        return Literal(parts[0]) if len(parts) == 1 else Text(tuple(part for part in parts if part != ""))

    def _string_value(self) -> str:
        found = self._primary()
        if not isinstance(found, Literal) or not isinstance(found.value, str):
            raise self._error("a plain string should stand here")
        return found.value

    def _identifier(self) -> str:
        kind, text = self._token()
        if kind != "name":
            raise self._error(f"{text!r} stands where a name should")
        return text

    def _token(self) -> tuple[str, str]:
        while True:
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise self._error(f"{self._text[self._at : self._at + 10]!r} is not understood")
            kind = str(found.lastgroup)
            self._at = found.end()
            if kind != "space":
                return kind, found[0]

    def _peek(self) -> str:
        before = self._at
        try:
            return self._token()[1] if self._at < len(self._text) else ""
        finally:
            self._at = before

    def _take(self, sign: str) -> bool:
        before = self._at
        if self._at < len(self._text) and self._token()[1] == sign:
            return True
        self._at = before
        return False

    _take_word = _take

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._error(f"{self._peek()!r} stands where {sign!r} should")

    def _skip_lines(self) -> None:
        while self._at < len(self._text):
            before = self._at
            found = _TOKEN.match(self._text, self._at)
            if found is None or found.lastgroup not in ("space", "newline"):
                self._at = before
                return
            self._at = found.end()

    def _line(self) -> int:
        return bisect_left(self._line_ends, self._at) + 1

    def _error(self, what: str) -> BicepError:
        return BicepError(f"{self._path.name}:{self._line()}: {what}")
