"""What must hold of the Bicep files as written, and of what they deploy."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from infra.check import syntax
from infra.check.evaluation import Deployment, deploy, parameters_of
from infra.check.schemas import problems_of
from infra.check.syntax import BicepError, File, read_file

INFRA = Path(__file__).resolve().parent.parent
LEAST = {"AZURE_ENV_NAME": "check", "AZURE_LOCATION": "westeurope"}
"Environment of a deployment that sets nothing else."
MOST = {
    **LEAST,
    "AZURE_PRINCIPAL_ID": "00000000-0000-0000-0000-000000000001",
    "RECSERVE_ALERT_EMAIL": "operator@example.com",
    "RECSERVE_API_CLIENT_ID": "00000000-0000-0000-0000-000000000002",
    "RECSERVE_PRIVATE": "true",
    "RECSERVE_UPLOAD_FROM": "192.0.2.1",
    "RECSERVE_ZONE_REDUNDANT": "true",
}
"One with everything on."

_SECRET = re.compile(
    r"secret$|secrets$|password|passphrase|accountkey|accesskey|apikey|sastoken|connectionstring",
    re.IGNORECASE,
)


def deployments(infra: Path = INFRA) -> list[Deployment]:
    """What `main.bicep` deploys with the least and with the most that can be set.

    Raises:
        BicepError: it deploys nothing.
    """
    return [
        deploy(infra / "main.bicep", parameters_of(infra / "main.bicepparam", environ))
        for environ in (LEAST, MOST)
    ]


def check(infra: Path = INFRA) -> list[str]:
    """Everything that is wrong with the files of a directory, one line each; empty: nothing that these rules know."""
    try:
        files = {path.resolve(): read_file(path) for path in sorted(infra.rglob("*.bicep"))}
        given = read_file(infra / "main.bicepparam")
    except BicepError as err:
        return [str(err)]
    found = [problem for file in files.values() for problem in _file_problems(file, files)]
    found += _module_problems(files, infra)
    main = files[(infra / "main.bicep").resolve()]
    found += [
        f"main.bicepparam:{each.line}: main.bicep has no parameter {name!r}"
        for name, each in given.assignments.items()
        if name not in main.parameters
    ]
    if found:
        return found
    try:
        made = deployments(infra)
    except BicepError as err:
        return [str(err)]
    return sorted({problem for each in made for one in each.resources for problem in problems_of(one)})


def _file_problems(file: File, files: Mapping[Path, File]) -> Iterator[str]:
    used: set[str] = set()
    known = {*file.parameters, *file.variables, *file.resources, *file.modules}
    for top, line in _tops(file):
        for name, at in _names(top, frozenset()):
            used.add(name)
            if name not in known:
                yield f"{file.path.name}:{at or line}: {name!r} is declared nowhere"
        for call in _calls(top):
            if call.name.lower().startswith("list"):
                yield f"{file.path.name}:{call.line}: {call.name} reads keys; use an identity"
        yield from _output_problems(file, top, files)
    for kind, declared in (("parameter", file.parameters), ("variable", file.variables)):
        for name, each in declared.items():
            if name not in used:
                yield f"{file.path.name}:{each.line}: {kind} {name!r} is not used"
    for parameter in file.parameters.values():
        if _SECRET.search(parameter.name) and not parameter.decorator("secure"):
            yield f"{file.path.name}:{parameter.line}: parameter {parameter.name!r} is a secret; mark it @secure()"
    for output in file.outputs.values():
        secrets = {name for name, each in file.parameters.items() if each.decorator("secure")}
        leaks = sorted(secrets & {name for name, _ in _names(output.value, frozenset())})
        if _SECRET.search(output.name) or leaks or _mentions_secret(output.value):
            yield f"{file.path.name}:{output.line}: output {output.name!r} shows a secret to whoever reads deployments"


def _module_problems(files: Mapping[Path, File], infra: Path) -> Iterator[str]:
    """Parameters of modules, whether their conditions hold or not; modules that nobody uses."""
    reached = {(infra / "main.bicep").resolve()}
    for file in files.values():
        for module in file.modules.values():
            path = (file.path.parent / module.path).resolve()
            where = f"{file.path.name}:{module.line}: module {module.name!r}"
            if path not in files:
                yield f"{where}: there is no {module.path}"
                continue
            reached.add(path)
            given = _body(module.body).get("params")
            names = (
                {str(key.value) for key, _ in given.entries if isinstance(key, syntax.Literal)}
                if isinstance(given, syntax.Mapping)
                else set()
            )
            declared = files[path].parameters
            for name in sorted(names - declared.keys()):
                yield f"{where}: {module.path} has no parameter {name!r}"
            for name, each in declared.items():
                if each.default is None and name not in names:
                    yield f"{where}: parameter {name!r} of {module.path} is not given"
    for path in files.keys() - reached:
        yield f"{path.name}: no module uses it"


def _output_problems(file: File, top: Any, files: Mapping[Path, File]) -> Iterator[str]:
    """`module.outputs.name` that the module does not put out."""
    for each in _walk(top):
        match each:
            case syntax.Member(syntax.Member(syntax.Name(name), "outputs"), output, line) if (
                name in file.modules
            ):
                made = files.get((file.path.parent / file.modules[name].path).resolve())
                if made and output not in made.outputs:
                    yield f"{file.path.name}:{line}: module {name!r} puts out no {output!r}"


def _tops(file: File) -> Iterator[tuple[Any, int]]:
    """Every expression of a file, with the line of its declaration."""
    for parameter in file.parameters.values():
        if parameter.default is not None:
            yield parameter.default, parameter.line
    for group in (file.variables, file.outputs):
        yield from ((each.value, each.line) for each in group.values())
    for made in (file.resources, file.modules):
        yield from ((each.body, each.line) for each in made.values())


def _names(value: Any, bound: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Names that an expression refers to, but for those that its loops bind."""
    if isinstance(value, syntax.Name):
        if value.name not in bound:
            yield value.name, value.line
    elif isinstance(value, syntax.For):
        yield from _names(value.source, bound)
        yield from _names(value.body, bound | set(value.names))
    else:
        for part in _parts(value):
            yield from _names(part, bound)


def _calls(value: Any) -> Iterator[syntax.Call]:
    return (each for each in _walk(value) if isinstance(each, syntax.Call))


def _mentions_secret(value: Any) -> bool:
    return any(isinstance(each, syntax.Member) and _SECRET.search(each.name) for each in _walk(value))


def _walk(value: Any) -> Iterator[Any]:
    yield value
    for part in _parts(value):
        yield from _walk(part)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        yield from value
    elif is_dataclass(value):
        yield from (getattr(value, each.name) for each in fields(value))


def _body(body: Any) -> syntax.Mapping:
    while isinstance(body, (syntax.For, syntax.If)):
        body = body.body
    assert isinstance(body, syntax.Mapping)
    return body
