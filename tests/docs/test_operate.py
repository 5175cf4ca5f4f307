"""docs/operate.md: its commands were run, its options exist, its names are those of the Bicep."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.docs_commands import Block, blocks
from infra.check.rules import INFRA
from infra.check.syntax import read_file

SUBCOMMANDS = {"deployment", "recserve.inference.blob", "planner", "training", "emulator"}
NAME = re.compile(r"\$\{?(RECSERVE_\w+)")


def modules_called(page: list[Block]) -> dict[tuple[str, ...], set[str]]:
    """`python -m MODULE [SUBCOMMAND]` of all blocks, with the options that follow."""
    called: dict[tuple[str, ...], set[str]] = {}
    for block in page:
        for command in re.findall(r"^\s*python -m (.*)$", block.text, re.MULTILINE):
            words = shlex.split(command.partition("|")[0], comments=True)
            options = [word for word in words[1:] if word.startswith("-")]
            n_words = 2 if words[0] in SUBCOMMANDS else 1
            called.setdefault(tuple(words[:n_words]), set()).update(options)
    return called


def test_every_command_that_needs_no_azure_was_run(repository: Path) -> None:
    result = json.loads((repository / "benchmarks" / "results" / "docs_commands.json").read_text())
    recorded = {each["commands"]: each["exit_status"] for each in result["figures"]["blocks"]}
    tried = [block.text for block in blocks() if not block.needs_azure]

    assert len(tried) > 8
    # After a change of the page: python -m benchmarks docs-commands
    assert {text: recorded.get(text) for text in tried} == dict.fromkeys(tried, 0)


def test_blocks_that_call_azure_say_so() -> None:
    calling = [block for block in blocks() if re.search(r"\baz[d]? [a-z]", block.text)]

    assert len(calling) > 4
    assert [block.text for block in calling if not block.needs_azure] == []


def test_options_of_the_commands_exist() -> None:
    called = modules_called(blocks())
    helps = {
        words: subprocess.Popen(
            [sys.executable, "-m", *words, "--help"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"COLUMNS": "200", "PATH": ""},
            cwd=INFRA.parent,
        )
        for words in called
    }
    printed = {words: process.communicate()[0] for words, process in helps.items()}

    assert len(called) > 6
    for words, options in called.items():
        assert [option for option in options if option not in printed[words]] == [], printed[words]
        if words != ("infra.check",):
            assert "usage" in printed[words].lower()


def test_names_that_azure_blocks_read_are_outputs_of_the_bicep() -> None:
    outputs = read_file(INFRA / "main.bicep").outputs
    read = {name for block in blocks() for name in NAME.findall(block.text)}

    assert read
    assert read - outputs.keys() == set()


def test_settings_that_azd_is_given_are_read_by_the_bicep() -> None:
    given = {name for block in blocks() for name in re.findall(r"azd env set (\w+)", block.text)}
    parameters = (INFRA / "main.bicepparam").read_text()

    assert given
    assert [name for name in given if f"readEnvironmentVariable('{name}'" not in parameters] == []


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs", "infra"])
def test_links_lead_somewhere(repository: Path, name: str) -> None:
    place = repository / name
    dead = []
    for page in [place] if place.is_file() else sorted(place.glob("*.md")):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            file, _, anchor = target.partition("#")
            path = (page.parent / file) if file else page
            if "://" in target or target.startswith("mailto:"):
                continue
            if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
                dead.append(f"{page.name}: {target}")

    assert dead == []
