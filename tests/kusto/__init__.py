"""Microsoft's checker of Kusto queries: names, types and result columns against a schema, without a server."""

import atexit
import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

import pytest

from emulator.npm import NpmMissing, install_pinned

HERE = Path(__file__).resolve().parent


class Problem(TypedDict):
    """An error, and the position in the text that it is about."""

    message: str
    at: int


class Verdict(TypedDict):
    """What the checker says of one query.

    Attributes:
        columns: Kusto type of each result column.
    """

    columns: dict[str, str]
    errors: list[Problem]


def check_queries(queries: Mapping[str, str], schema: Mapping[str, Mapping[str, str]]) -> dict[str, Verdict]:
    """Check queries; skips the test where the checker cannot be installed.

    Args:
        queries: text by name.
        schema: Kusto type by column by table.
    """
    checker = _checker()
    assert checker.stdin is not None
    assert checker.stdout is not None
    print(json.dumps({"tables": schema, "queries": queries}), file=checker.stdin, flush=True)
    line = checker.stdout.readline()
    assert line, f"the checker ended with status {checker.wait()}"
    verdicts: dict[str, Verdict] = json.loads(line)
    return verdicts


@cache
def _checker() -> "subprocess.Popen[str]":
    """One process for the whole run: loading the language takes most of its time."""
    try:
        modules = install_pinned(HERE, name="Kusto checker")
    except NpmMissing as err:
        pytest.skip(str(err))
    process = subprocess.Popen(
        ["node", str(HERE / "check.js"), str(modules)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    atexit.register(process.kill)
    return process
