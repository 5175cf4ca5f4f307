"""The commands of docs/operate.md, each run once against an emulated plan, and what they printed.

Two instances, Azurite for the container of models, and the Application Insights emulator stand in for Azure. The app
begins with another version of the models, so that rolling out and rolling back change something. Blocks that begin
with `# Azure` are left out.
"""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from benchmarks.app_insights import running_app_insights
from benchmarks.plan import running_plan
from benchmarks.server import ROOT
from benchmarks.swap import make_versions
from emulator.app_insights.tables import WORKSPACE_ID
from emulator.azurite import ACCOUNT, KEY, Azurite, running_azurite

PAGE = ROOT / "docs" / "operate.md"
AZURE = "# Azure"
CONTAINER = "models"
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_END = "----- ended with"


@dataclass(frozen=True, slots=True)
class Block:
    """Commands that stand together on the page."""

    text: str

    @property
    def needs_azure(self) -> bool:
        return self.text.startswith(AZURE)


def blocks(page: Path = PAGE) -> list[Block]:
    """All blocks of commands, in the order of the page."""
    return [Block(textwrap.dedent(found[2]).rstrip("\n")) for found in _BLOCK.finditer(page.read_text())]


def run(*, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run every block that needs no Azure; returns what each printed and how it ended."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recserve-docs-")))
        for name in ("azurite", "versions"):
            (folder / name).mkdir()
        app_insights = stack.enter_context(running_app_insights(folder / "app-insights"))
        models_url = _container(stack.enter_context(running_azurite(folder / "azurite")))
        before = make_versions(ROOT / "models", folder / "versions", first="counts").good[1]
        settings = {
            "RECSERVE_MODELS_DIR": str(before),
            "RECSERVE_MODELS_URL": models_url,
            "RECSERVE_MODELS_CACHE": str(folder / "models-cache"),
            "RECSERVE_STATE_PATH": str(folder / "state.db"),
            "RECSERVE_OUTBOX_PATH": str(folder / "outbox.db"),
            "RECSERVE_SPOOL_DIR": str(folder / "spool"),
        }
        options = ["--always-ready", "2", "--app-insights", app_insights.connection_string]
        plan = stack.enter_context(running_plan(folder / "plan", settings, options=options, n_ready=2))
        on_stage(f"a plan at {plan.url}")
        given = {
            "API": f"{plan.url}/api",
            "KEY": "any",
            "LOGS": f"{app_insights.url}/v1",
            "TOKEN": "any",
            "RECSERVE_WORKSPACE_ID": WORKSPACE_ID,
            "MODELS": models_url,
            "MODELS_BEFORE": str(before),
            "PLAN": str(folder / "plan"),
            "WORK": str(folder),
        }
        return {"blocks": list(_run_blocks(given, on_stage=on_stage))}


def _container(azurite: Azurite) -> str:
    """URL of a fresh container that whoever knows it may write to."""
    client = ContainerClient.from_connection_string(azurite.connection_string, CONTAINER)
    client.create_container()
    token = generate_container_sas(
        ACCOUNT,
        CONTAINER,
        account_key=KEY,
        permission=ContainerSasPermissions(read=True, write=True, list=True, create=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return f"{client.url}?{token}"


def _run_blocks(given: Mapping[str, str], *, on_stage: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """One shell runs them all, since later blocks call what earlier ones define."""
    environ = {**os.environ, **given, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shell = subprocess.Popen(
        ["bash"],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    # Of several commands in a block the last that failed counts.
    print("trap 'failed=$?' ERR; failed=0", file=shell.stdin)
    try:
        for block in blocks():
            if block.needs_azure:
                continue
            began_s = time.monotonic()
            print(block.text, f"echo; echo {_END} $failed; failed=0", sep="\n", file=shell.stdin, flush=True)
            printed = []
            for line in shell.stdout:
                if line.startswith(_END):
                    break
                printed.append(_without_place(line, given))
            else:
                line = f"{_END} {shell.wait()}"
            took_s = time.monotonic() - began_s
            on_stage(f"{took_s:5.1f} s  {block.text.splitlines()[0]}")
            yield {
                "commands": block.text,
                "printed": "".join(printed).rstrip("\n"),
                "exit_status": int(line.removeprefix(_END)),
                "took_s": round(took_s, 1),
            }
    finally:
        shell.stdin.close()
        shell.kill()
        shell.wait()


def _without_place(line: str, given: Mapping[str, str]) -> str:
    """A line without the names of this machine's folders and ports, longest first."""
    for name, value in sorted(given.items(), key=lambda item: -len(item[1])):
        if len(value) > len("any"):
            line = line.replace(value.partition("?")[0], f"${name}")
    return line.replace(f"{ROOT}/", "")


def format_table(figures: dict[str, Any]) -> str:
    """The page's commands as a terminal would show them."""
    return "\n\n".join(
        f"$ {each['commands']}\n{each['printed']}\n[{each['exit_status']}, {each['took_s']} s]"
        for each in figures["blocks"]
    )
