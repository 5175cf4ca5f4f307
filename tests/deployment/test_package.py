"""What ships, and that it is the same bytes whenever it is built."""

import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from deployment.errors import DeploymentError
from deployment.package import SITE_PACKAGES, Package, build_package, read_package, shipped
from deployment.trial import make_environment, try_package

SHIPPED = {"function_app.py", "host.json", "requirements.txt", "recserve", "models"}
UNCHECKED_HASH = b"\x01\0\0\0"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A project of one line a file, with what lies about in a checkout."""
    root = tmp_path_factory.mktemp("checkout") / "project"
    for name, content in {
        ".funcignore": (repository / ".funcignore").read_text(),
        ".git/config": "",
        ".venv/lib/function_app.py": "",
        "console/app.py": "",
        "function_app.py": "import recserve\n",
        "host.json": "{}",
        "local.settings.json": "{}",
        "models/manifest.json": "{}",
        "recserve/__init__.py": 'NAMES = {"a", "b", "c"}\n\n\ndef fail() -> None:\n    raise ValueError\n',
        "recserve/__pycache__/__init__.cpython-311.pyc": "",
        "requirements.txt": "iniconfig==2.3.0\n",
        "tests/recserve/test_it.py": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.fixture(scope="module")
def built(project: Path, python_313: Path) -> Package:
    """The project's package, with its dependencies."""
    return build_package(project.parent / "built.zip", with_dependencies=True, root=project)


def test_only_what_serves_ships(repository: Path) -> None:
    names = shipped(repository)

    assert {name.parts[0] for name in names} == SHIPPED
    assert [name for name in names if name.suffix == ".pyc" or "__pycache__" in name.parts] == []
    assert Path("models/DATA-LICENCE.txt") in names


def test_what_lies_beside_does_not_ship(project: Path) -> None:
    assert [name.as_posix() for name in shipped(project)] == [
        "function_app.py",
        "host.json",
        "models/manifest.json",
        "recserve/__init__.py",
        "requirements.txt",
    ]


def test_core_tools_reads_the_same_from_the_ignore_file(repository: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    accepted = {name for name in tracked if core_tools_accepts(name, repository / ".funcignore")}

    assert len(accepted) > 50
    assert accepted == {name.as_posix() for name in shipped(repository)} & {*tracked}


def core_tools_accepts(name: str, ignore_file: Path) -> bool:
    """As Core Tools' GitIgnoreParser decides: patterns are prefixes, and exclamation marks always win."""
    ignored: list[str] = []
    kept: list[str] = []
    for line in filter(None, map(str.strip, ignore_file.read_text().splitlines())):
        if not line.startswith("#"):
            pattern = re.escape(line.removeprefix("!").removeprefix("/")).replace(r"\*", "[^/]+")
            (kept if line.startswith("!") else ignored).append(pattern)
    return any(re.match(pattern, name) for pattern in kept) or not any(
        re.match(pattern, name) for pattern in ignored
    )


def test_package_is_the_same_bytes_from_the_same_files(built: Package, project: Path, tmp_path: Path) -> None:
    for path in project.rglob("*"):
        path.touch()

    again = build_package(tmp_path / "again.zip", with_dependencies=True, root=project)

    assert again.path.read_bytes() == built.path.read_bytes()
    assert again.has_dependencies
    assert f"{SITE_PACKAGES.as_posix()}/iniconfig/__init__.py" in {entry.name for entry in again.entries}


def test_bytecode_counts_whatever_time_its_source_was_unpacked_at(
    built: Package, project: Path, python_313: Path, tmp_path: Path
) -> None:
    wwwroot = tmp_path / "wwwroot"
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(wwwroot)
    bytecode = wwwroot / "recserve" / "__pycache__" / "__init__.cpython-313.pyc"
    # What is imported is the bytecode, though its source says something else by now.
    (wwwroot / "recserve" / "__init__.py").write_text("raise ImportError\n")
    said = subprocess.run(
        [
            *(python_313, "-B", "-c"),
            "import function_app, recserve; print(sorted(recserve.NAMES)); recserve.fail()",
        ],
        cwd=wwwroot,
        capture_output=True,
        text=True,
        check=False,
    )

    assert bytecode.read_bytes()[:8] == _magic(python_313) + UNCHECKED_HASH
    assert said.stdout == "['a', 'b', 'c']\n"
    assert str(project) not in said.stderr


def _magic(python: Path) -> bytes:
    ask = "import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())"
    said = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout
    return bytes.fromhex(said)


def test_no_file_of_a_package_names_the_machine_that_built_it(built: Package, project: Path) -> None:
    with zipfile.ZipFile(built.path) as archive:
        contents = b"".join(archive.read(entry.name) for entry in built.entries)

    assert str(project.parent).encode() not in contents
    assert b"recserve-package-" not in contents


def test_package_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="make package"):
        read_package(tmp_path / "none.zip")


def test_clean_environment_has_the_worker_library_and_not_what_the_package_brings(
    built: Package, tmp_path: Path
) -> None:
    python = make_environment(built, tmp_path / "environment")

    ask = "from importlib.metadata import distributions as d; print(*sorted(each.name for each in d()))"
    said = subprocess.run(
        [python, "-I", "-c", ask], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "azure-functions-runtime" in said
    assert {"iniconfig", "numpy", "recserve"} & {*said} == set()


def test_packaged_app_recommends_with_nothing_but_its_requirements(
    package: Package, worker_python: Path
) -> None:
    trial = try_package(package, n_starts=1, python=worker_python)

    [start] = trial.starts
    assert trial.python.startswith("3.13")
    assert (len(start.answer["items"]), start.answer["basis"], start.answer["degraded"]) == (5, "history", [])
