"""Microsoft's checker of Kusto queries: names, types and result columns against a schema, without a server."""

import json
import subprocess
from collections.abc import Mapping
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
    try:
        modules = install_pinned(HERE, name="Kusto checker")
    except NpmMissing as err:
        pytest.skip(str(err))
    checked = subprocess.run(
        ["node", str(HERE / "check.js"), str(modules)],
        input=json.dumps({"tables": schema, "queries": queries}),
        capture_output=True,
        text=True,
        check=True,
    )
    verdicts: dict[str, Verdict] = json.loads(checked.stdout)
    return verdicts
