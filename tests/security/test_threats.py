"""Every control in SECURITY.md has a test, and every test that is named there exists."""

import ast
import re
from pathlib import Path

import pytest

NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@pytest.fixture(scope="module")
def threats(repository: Path) -> dict[str, list[tuple[str, str]]]:
    """The tests of each threat."""
    text = (repository / "SECURITY.md").read_text()
    table = text.partition("\n## Threats\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {row[0].removeprefix("| "): NAMED.findall(row[2]) for row in rows[2:]}


def test_every_threat_has_a_test(threats: dict[str, list[tuple[str, str]]]) -> None:
    assert len(threats) > 30
    assert [threat for threat, tests in threats.items() if not tests] == []


def test_every_test_that_is_named_is_there(
    threats: dict[str, list[tuple[str, str]]], repository: Path
) -> None:
    named = {test for tests in threats.values() for test in tests}

    assert (
        sorted(named - {(file, name) for file, _ in named for name in functions_of(repository, file)}) == []
    )


def functions_of(repository: Path, file: str) -> set[str]:
    tree = ast.parse((repository / "tests" / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_is_named_is_collected_where_its_file_is(
    threats: dict[str, list[tuple[str, str]]], request: pytest.FixtureRequest
) -> None:
    """Of files that this run has collected whole; the run of everything has them all."""
    chosen = request.config.option
    if chosen.keyword or chosen.markexpr or any("::" in argument for argument in request.config.args):
        return
    collected = {item.nodeid.removeprefix("tests/").partition("[")[0] for item in request.session.items}
    files = {nodeid.partition("::")[0] for nodeid in collected}
    named = {f"{file}::{name}" for tests in threats.values() for file, name in tests if file in files}

    assert sorted(named - collected) == []
