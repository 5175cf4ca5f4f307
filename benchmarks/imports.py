"""What `import function_app` loads, and what it costs: the import budget, kept in `import_budget.json`.

A test holds the sets exactly: a package that nobody decided on fails it. Milliseconds are reported, not
tested: they are the machine's as much as ours.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from benchmarks.server import ROOT

BUDGET = Path(__file__).with_name("import_budget.json")

Moment = Literal["indexed", "ready"]
"indexed: the host knows the functions; ready: the models are loaded."

_STATEMENTS: Mapping[Moment, str] = {
    "indexed": "threading.Thread.start = lambda self: None\n"
    "threading.Event.wait = lambda self, timeout=None: True\nimport function_app",
    "ready": "import asyncio, function_app\nasyncio.run(function_app.startup.service())",
}
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| +(\S+)")


def packages_at(moment: Moment) -> set[str]:
    """Packages outside the standard library that are loaded by then, by their first name; of azure, two."""
    printed = _run("print('\\n'.join(sys.modules))", moment).stdout
    return {_package(name) for name in printed.split()} - {"", "standard library", "azure"}


def _package(module: str) -> str:
    """The package that a module counts as; "" for what comes with the interpreter and its extensions."""
    first, _, rest = module.partition(".")
    if first in sys.stdlib_module_names:
        return "standard library"
    if first.startswith(("_", "cython")) or first == "function_app":
        return ""
    return f"azure.{rest.partition('.')[0]}" if first == "azure" and rest else first


def spent_ms(moment: Moment) -> dict[str, float]:
    """Milliseconds that each package's modules took themselves, the standard library as one."""
    spent: dict[str, float] = {}
    for line in _run("", moment, "-X", "importtime").stderr.splitlines():
        matched = _LINE.fullmatch(line.rstrip())
        if matched and matched[3] != "recserve.process":  # its time is that of waiting for the other thread
            package = _package(matched[3]) or "others"
            spent[package] = spent.get(package, 0.0) + int(matched[1]) / 1e3
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def _run(then: str, moment: Moment, *options: str) -> subprocess.CompletedProcess[str]:
    script = f"import sys, threading\n{_STATEMENTS[moment]}\n{then}"
    return subprocess.run(
        [sys.executable, *options, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )


def budget() -> dict[str, Any]:
    """The budget: for each moment the packages that may load, and milliseconds."""
    read: dict[str, Any] = json.loads(BUDGET.read_text())
    return read
