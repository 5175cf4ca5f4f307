"""How long each view of the console takes until it is completely drawn, in a real browser, over synthetic telemetry.

Complete is what `chromium.wait_until_complete` says; time runs from the beginning of the navigation. Each view is
opened twice in a round, the views in turns:

    cold      a new browser context, and a time range that is a second later than the round's before: neither the
              browser nor the console has seen any of it; the console's and the emulator's processes are warm
    cached    the same address again in the same context, within the time that the console keeps answers

The planner searches in a process of its own, and its page is complete while it does; the next view waits for the end
of the search, so that it disturbs no other.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import httpx
from playwright.sync_api import Browser, Page

from benchmarks.app_insights import AppInsights
from benchmarks.chromium import chromium, open_page, wait_until_complete
from benchmarks.server import ROOT, free_port, serving
from benchmarks.telemetry_store import SyntheticTelemetry, write_store
from console.queries import load_query
from console.scope import write_moment

START_LIMIT_S = 60.0
SEARCH_LIMIT_S = 240.0
LOOK_BACK = timedelta(days=3)
WIDTH, HEIGHT = 1440, 900
TARGET_MS = 2000.0
APP_CORE = 0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleBench:
    n_requests: tuple[int, ...] = (1_000_000, 5_000_000)
    "Request spans of each store; an ordinary one stands for four requests."
    n_hours: int = 24
    "That they spread over, and that the views show."
    n_rounds: int = 5
    stores: tuple[str, ...] = ()
    "Folders of stores that are there already, instead of new ones."


def run(bench: ConsoleBench, *, say: Say = lambda _: None) -> dict[str, Any]:
    """Measure over each store, and give the times.

    Args:
        say: told what begins.

    Raises:
        NoChromium: there is no browser.
        Incomplete: a view is never completely drawn.
    """
    measured = []
    with tempfile.TemporaryDirectory(prefix="recserve-console-") as scratch, chromium() as browser:
        log = Path(scratch) / "app.log"
        with serving({"RECSERVE_STATE_PATH": f"{scratch}/state.db"}, core=APP_CORE, log=log) as app:
            for data in _stores(bench, Path(scratch), say):
                telemetry = AppInsights(data)
                try:
                    api = f"http://127.0.0.1:{app.port}/api"
                    with serving_console(telemetry.url, api, Path(scratch)) as url:
                        figures = _measure(browser, url, telemetry, bench, say)
                finally:
                    telemetry.kill()
                measured.append(figures)
    return {"is_synthetic": True, "target_ms": TARGET_MS, "stores": measured}


def format_table(figures: dict[str, Any]) -> str:
    """A line for each view: medians of cold and cached, ms, for each store."""
    stores = figures["stores"]
    head = "".join(f"{store['requests']:>13,}{'cached':>9}" for store in stores)
    lines = [f"{'':14}{head}"]
    for name in stores[0]["views"]:
        cells = "".join(
            f"{store['views'][name]['cold_ms']['median']:13,.0f}{store['views'][name]['cached_ms']['median']:9,.0f}"
            for store in stores
        )
        lines.append(f"{name:14}{cells}")
    return "\n".join(lines)


@contextmanager
def serving_console(logs_url: str, api_url: str, folder: Path) -> Iterator[str]:
    """The console in a process of its own; gives its address.

    Args:
        folder: for its log.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [
        *(sys.executable, "-m", "streamlit", "run", "console/app.py", "--server.headless=true"),
        *("--server.address=127.0.0.1", f"--server.port={port}", "--server.fileWatcherType=none"),
    ]
    environ = os.environ | {"RECSERVE_LOGS_URL": logs_url, "RECSERVE_API_URL": api_url}
    log = folder / f"console-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        give_up_s = time.monotonic() + START_LIMIT_S
        while not _answers(f"{url}/_stcore/health"):
            if process.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError(f"the console did not get ready:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def view_paths(page: Page) -> dict[str, str]:
    """The views that the navigation of an open page names, with the paths that it links."""
    links = page.get_by_test_id("stTopNavLink").all()
    return {
        link.inner_text().strip(): "/" + str(link.get_attribute("href")).split("/", 3)[3] for link in links
    }


def wait_for_search(page: Page) -> None:
    """Wait until no bar of progress is left."""
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=\"stProgress\"]')", timeout=SEARCH_LIMIT_S * 1e3
    )


def _stores(bench: ConsoleBench, scratch: Path, say: Say) -> Iterator[Path]:
    yield from map(Path, bench.stores)
    for n in () if bench.stores else bench.n_requests:
        say(f"writing {n:,} requests of {bench.n_hours} hours")
        data = scratch / f"store-{n}"
        until = datetime.now(UTC).replace(second=0, microsecond=0)
        write_store(data, SyntheticTelemetry(n_requests=n, n_hours=bench.n_hours), until)
        yield data


def _measure(
    browser: Browser, url: str, telemetry: AppInsights, bench: ConsoleBench, say: Say
) -> dict[str, Any]:
    now = datetime.now(UTC)
    ever = (now - LOOK_BACK, now + timedelta(hours=1))
    [row] = telemetry.query("AppRequests | summarize newest = max(TimeGenerated), n = count()", ever)
    until = row["newest"].astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    trace = _slow_trace(telemetry, ever)
    page = open_page(browser, width=WIDTH, height=HEIGHT)
    page.goto(url)
    first_ms = wait_until_complete(page)
    paths = view_paths(page)
    page.context.close()
    cold_ms: dict[str, list[float]] = {name: [] for name in paths}
    cached_ms: dict[str, list[float]] = {name: [] for name in paths}
    for turn in range(bench.n_rounds):
        say(f"round {turn + 1} of {bench.n_rounds}")
        end = until + timedelta(seconds=turn)
        span = {"from": write_moment(end - timedelta(hours=bench.n_hours)), "to": write_moment(end)}
        for name, path in _turned(paths, turn):
            params = {"user": "ana"} if name == "Try it" else span
            if name == "Trace":
                params = span | {"trace": trace}
            link = f"{url}{path}?{urlencode(params)}"
            page = open_page(browser, width=WIDTH, height=HEIGHT)
            page.goto(link)
            cold_ms[name].append(wait_until_complete(page))
            wait_for_search(page)
            page.goto("about:blank")
            page.goto(link)
            cached_ms[name].append(wait_until_complete(page))
            page.context.close()
    return {
        "requests": int(row["n"]),
        "first_page_of_the_process_ms": round(first_ms),
        "views": {
            name: {"cold_ms": _summary(cold_ms[name]), "cached_ms": _summary(cached_ms[name])}
            for name in paths
        },
    }


def _turned(paths: dict[str, str], turn: int) -> list[tuple[str, str]]:
    """The views, another one first in each round."""
    names = list(paths.items())
    at = turn * 3 % len(names)
    return names[at:] + names[:at]


def _summary(values_ms: Sequence[float]) -> dict[str, float]:
    return {
        "n": len(values_ms),
        "median": round(median(values_ms)),
        "least": round(min(values_ms)),
        "most": round(max(values_ms)),
    }


def _slow_trace(telemetry: AppInsights, ever: tuple[datetime, datetime]) -> str:
    """A request that waited for a start, which is what a trace has most to tell of."""
    rows = telemetry.query(load_query("slow_requests").text(), ever)
    impacted = [row for row in rows if row["is_impacted"]]
    return str((impacted or rows)[0]["trace"])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False
