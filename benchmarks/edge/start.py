"""A browser's first answers: what is fetched for them, and how long they take, with a profile that is fresh or not."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

from benchmarks.chromium import FLAGS, find_chromium

PAGE = "start.html"
_HTML = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>A first answer</title>
<script type="module" src="start.js"></script>
"""
_SCRIPT = """
import {EdgeClient} from './recserve-edge.js';
const client = await EdgeClient.open({api: '../..', compareEvery: 0});
await client.ready();
const {by} = await client.recommend({history: [260, 1196, 1210]});
document.documentElement.dataset.first = JSON.stringify({by, ms: performance.now(), ...client.status()});
"""
PATIENCE_MS = 60_000
N_RESAMPLES = 2000


def add_start_page(edge_dir: Path) -> None:
    """Lay the measured page beside the client of a bundle: an app that wants one answer as soon as it can."""
    (edge_dir / "web" / PAGE).write_text(_HTML)
    (edge_dir / "web" / "start.js").write_text(_SCRIPT)


def measure_starts(url: str, n: int) -> dict[str, Any]:
    """Time from a navigation to the first answer of the device, and what it fetched.

    Args:
        url: origin of a service whose bundle `add_start_page` was given.
        n: fresh profiles; each is visited twice, by browsers of their own.
    """
    cold_ms, kept_ms = [], []
    with sync_playwright() as playwright:
        for turn in range(n):
            with tempfile.TemporaryDirectory(
                prefix="recserve-profile-", ignore_cleanup_errors=True
            ) as profile:
                cold, fetched = _visit(playwright, profile, url)
                kept, fetched_again = _visit(playwright, profile, url)
            cold_ms.append(cold)
            kept_ms.append(kept)
            if turn == 0:
                wire, wire_again = fetched, fetched_again
    return {
        "cold": _median(cold_ms),
        "from_cache": _median(kept_ms),
        "wire_bytes_cold": _by_part(wire),
        "wire_bytes_from_cache": _by_part(wire_again),
        "files": wire,
    }


def _visit(playwright: Playwright, profile: str, url: str) -> tuple[float, dict[str, int]]:
    """When the device answered, ms after the navigation began; and bytes on the wire by path, headers with them."""
    with _browser(playwright, profile) as context:
        page = context.pages[0]
        fetched = _watch_network(context, page)
        page.goto(f"{url}/api/edge/files/{PAGE}")
        done = page.locator("html[data-first]")
        done.wait_for(state="attached", timeout=PATIENCE_MS)
        first = page.evaluate("JSON.parse(document.documentElement.dataset.first)")
    if first["by"] != "edge":
        raise RuntimeError(f"the first answer is the cloud's: {first['bundle_error_detail']}")
    return float(first["ms"]), fetched


@contextmanager
def _browser(playwright: Playwright, profile: str) -> Iterator[BrowserContext]:
    context = playwright.chromium.launch_persistent_context(
        profile, executable_path=find_chromium(), args=FLAGS, bypass_csp=True
    )
    try:
        yield context
    finally:
        context.close()


def _watch_network(context: BrowserContext, page: Page) -> dict[str, int]:
    """Bytes of each answer as they came over the wire, by path; fills while the page loads."""
    fetched: dict[str, int] = {}
    paths: dict[str, str] = {}
    session = context.new_cdp_session(page)

    def begin(event: dict[str, Any]) -> None:
        paths[event["requestId"]] = urlsplit(event["request"]["url"]).path

    def end(event: dict[str, Any]) -> None:
        path = paths.get(event["requestId"], "")
        if path.startswith("/api"):
            fetched[path] = fetched.get(path, 0) + int(event["encodedDataLength"])

    session.on("Network.requestWillBeSent", begin)
    session.on("Network.loadingFinished", end)
    session.send("Network.enable")
    return fetched


def _by_part(fetched: dict[str, int]) -> dict[str, int]:
    """What the bundle, the runtime and the client's own modules weigh."""
    parts = {"bundle": 0, "runtime": 0, "client": 0}
    for path, n_bytes in fetched.items():
        name = path.rpartition("/")[2]
        if name == "manifest" or name.endswith((".onnx", ".json")):
            parts["bundle"] += n_bytes
        elif name.startswith("ort"):
            parts["runtime"] += n_bytes
        elif name not in (PAGE, "start.js"):
            parts["client"] += n_bytes
    return parts


def _median(values_ms: Sequence[float]) -> dict[str, float]:
    """Median, and the 95 % interval of it over resampled profiles."""
    values = np.array(values_ms)
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(values, (N_RESAMPLES, len(values))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return {
        "n": len(values),
        "median_ms": round(float(np.median(values)), 1),
        "low_ms": round(float(low), 1),
        "high_ms": round(float(high), 1),
    }
