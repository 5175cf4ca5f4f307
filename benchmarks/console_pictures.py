"""Pictures of every view of the console, light and dark, wide and narrow, from a live replay.

The replay is what `make run` starts, on ports of its own, with bursts on top of the visitors so that the plan scales
out, sheds and browns out, and with devices that answer by themselves; the views show the time that it has run.
"""

import io
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.chromium import Theme, chromium, open_page, wait_until_complete
from benchmarks.console import view_paths, wait_for_search
from benchmarks.edge.page import lay_out_bundle
from benchmarks.server import ROOT, free_port
from console.scope import write_moment

WIDTHS: tuple[int, ...] = (1440, 900)
THEMES: tuple[Theme, ...] = ("light", "dark")
HEIGHT = 900
MOST_HEIGHT = 3600
"Longer pages are cut."
MOST_BYTES = 200_000
START_LIMIT_S = 120.0
STOP_LIMIT_S = 30.0
SETTLED_MS = 600
"Transitions; nothing in the page tells their end."
BURSTS = (
    *("--shape", "bursty", "--rate", "40", "--burst", "12"),
    *("--calm-s", "75", "--burst-s", "12", "--quiet"),
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """A console with something to show."""

    url: str
    since: datetime


@contextmanager
def replay(minutes: float, *, say: Say = lambda _: None) -> Iterator[Running]:
    """Everything that `make run` starts, with bursts and devices, after it has run for some minutes.

    Raises:
        RuntimeError: it does not start.
    """
    port, console_port, app_insights_port = free_port(), free_port(), free_port()
    with (
        tempfile.TemporaryDirectory(prefix="recserve-replay-") as folder,
        (Path(folder) / "log").open("w") as log,
    ):
        bundle = lay_out_bundle(Path(folder) / "edge")
        environ = os.environ | {
            "RECSERVE_STATE_PATH": f"{folder}/state.db",
            "RECSERVE_SHADOW": "teacher",
            "RECSERVE_EDGE": "public",
            "RECSERVE_EDGE_DIR": str(bundle),
        }
        up = [
            *("emulator", "up", "--port", str(port), "--console-port", str(console_port)),
            *("--app-insights-port", str(app_insights_port)),
        ]
        loads = ["benchmarks", "load", "--url", f"http://127.0.0.1:{port}/api", *BURSTS]
        loads += ["--duration", str(60 * minutes + 600), "--out", f"{folder}/load.json"]
        devices = ["benchmarks.edge.devices", str(port), str(60 * minutes)]
        url = f"http://127.0.0.1:{console_port}"
        with _process(up, environ, log):
            say("starting")
            since = datetime.now(UTC)
            _wait_until_ready((f"http://127.0.0.1:{port}/api/health/ready", f"{url}/_stcore/health"))
            with _process(loads, environ, log), _process(devices, environ, log):
                say(f"replaying for {minutes:g} minutes")
                time.sleep(60 * minutes)
                yield Running(url, since)


def take(running: Running, folder: Path, *, say: Say = lambda _: None) -> list[Path]:
    """Pictures of all views, as `<view>-<theme>-<width>.png`.

    Raises:
        NoChromium: there is no browser.
        Incomplete: a view is never completely drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    span = {
        "from": write_moment(running.since),
        "to": write_moment(datetime.now(UTC) + timedelta(seconds=30)),
    }
    with chromium() as browser:
        page = open_page(browser, width=WIDTHS[0], height=HEIGHT)
        page.goto(running.url)
        wait_until_complete(page)
        paths = view_paths(page)
        trace = _slowest(page, f"{running.url}{paths['Latency']}?{urlencode(span)}")
        page.context.close()
        for name, path in paths.items():
            say(name)
            params = {"user": "ana"} if name == "Try it" else span
            if name == "Trace" and trace:
                params = span | {"trace": trace}
            for theme in THEMES:
                for width in WIDTHS:
                    picture = _take(
                        browser, f"{running.url}{path}?{urlencode(params)}", width=width, theme=theme
                    )
                    target = folder / f"{name.lower().replace(' ', '-')}-{theme}-{width}.png"
                    target.write_bytes(picture)
                    written.append(target)
    return written


def _take(browser: Browser, link: str, *, width: int, theme: Theme) -> bytes:
    page = open_page(browser, width=width, height=HEIGHT, theme=theme)
    page.goto(link)
    wait_until_complete(page)
    wait_for_search(page)
    if (liked := page.get_by_role("button", name=re.compile("^Liked "))).count() > 1:
        liked.nth(1).click()  # of Try it: what a click changes is what is to be seen
        page.locator(".changed").wait_for()
    height = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(HEIGHT, min(math.ceil(height), MOST_HEIGHT))})
    wait_until_complete(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(SETTLED_MS)
    picture = page.screenshot()
    page.context.close()
    return _small(picture)


def _small(picture: bytes) -> bytes:
    """The picture with all its colours, or else with as many as `MOST_BYTES` leave room for."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    small = _png(image)
    for n_colours in (256, 128, 64, 32):
        if len(small) < MOST_BYTES:
            break
        small = _png(_with_commonest(image, n_colours))
    return small


def _with_commonest(image: Image.Image, n_colours: int) -> Image.Image:
    """The picture in its commonest colours, each as it is: quantisers shift those of a page by a shade."""
    counted = sorted(image.getcolors(image.width * image.height) or [], reverse=True)[:n_colours]
    colours = [cast("tuple[int, int, int]", colour) for _, colour in counted]
    colours += colours[:1] * (256 - len(colours))
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in colours for part in colour])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _slowest(page: Page, link: str) -> str:
    """Operation id of the slowest request; empty where there is none."""
    page.goto(link)
    wait_until_complete(page)
    found = page.locator('a[href*="trace="]')
    if not found.count():
        return ""
    return str(found.first.get_attribute("href")).partition("trace=")[2].partition("&")[0]


@contextmanager
def _process(argv: list[str], environ: dict[str, str], log: io.TextIOWrapper) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", *argv], cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(urls: tuple[str, ...]) -> None:
    give_up_s = time.monotonic() + START_LIMIT_S
    for url in urls:
        while True:
            try:
                if httpx.get(url, timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if time.monotonic() > give_up_s:
                raise RuntimeError(f"nothing is ready at {url}")
            time.sleep(0.2)
