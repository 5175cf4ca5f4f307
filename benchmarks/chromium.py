"""A headless Chromium, and what it means that a page of the console is complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    "--disable-background-networking",
)
NAMES = ("chromium", "google-chrome", "chromium-browser")
RENDER_TIMEOUT_S = 60.0
QUIET_MS = 200
"A page that is complete for so long stays so; this is not part of its time."
Theme = Literal["light", "dark"]


class NoChromium(RuntimeError):
    """There is no Chromium on this machine; the message says how to get one."""


class Incomplete(RuntimeError):
    """A page that is never completely drawn; the message says what it lacks."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own.

    Raises:
        NoChromium: none is installed.
    """
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def find_chromium() -> str:
    """Where the browser is.

    Raises:
        NoChromium: none is installed.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise NoChromium("no Chromium found; Debian and Ubuntu have it as `apt-get install chromium`")
    return path


def open_page(browser: Browser, *, width: int, height: int, theme: Theme = "light") -> Page:
    """A page in a context of its own: no cookies, nothing cached, no session."""
    return browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)


def wait_until_complete(page: Page) -> float:
    """Wait until the page is completely drawn, and give when it was, ms after its navigation began.

    Complete is: connected, no script runs, its heading is there, no bones, spinners or stale elements are, and
    every chart has painted something. The moment is the first from which all of that held for `QUIET_MS`, looked
    at in each frame.

    Raises:
        Incomplete: it was not within `RENDER_TIMEOUT_S`.
    """
    try:
        since = page.wait_for_function(
            f"quiet_ms => ({_COMPLETE_SINCE})(quiet_ms)", arg=QUIET_MS, timeout=RENDER_TIMEOUT_S * 1e3
        )
    except TimeoutError as err:
        lacks = page.evaluate(f"({_LACKS})()")
        raise Incomplete(
            f"{page.url} is not complete after {RENDER_TIMEOUT_S:g} s: {', '.join(lacks)}"
        ) from err
    return float(since.json_value())


_LACKS = """
() => {
  const app = document.querySelector('[data-testid="stApp"]');
  const all = selector => [...document.querySelectorAll(selector)];
  const has_ink = canvas => {
    if (!canvas.width || !canvas.height) return false;
    const small = document.createElement('canvas');
    small.width = small.height = 24;
    const context = small.getContext('2d', {willReadFrequently: true});
    context.drawImage(canvas, 0, 0, 24, 24);
    return context.getImageData(0, 0, 24, 24).data.some((value, at) => at % 4 === 3 && value > 0);
  };
  const is_wanted = {
    'a connection': app?.dataset.testConnectionState === 'CONNECTED',
    'the end of a script': app?.dataset.testScriptState === 'notRunning',
    'a heading': all('h1').length > 0,
    'what bones and spinners stand for':
      !all('[data-testid^="stSkeleton"], [data-testid="stAppSkeleton"], [data-testid="stSpinner"]').length,
    'fresh elements': !all('[data-stale="true"]').length,
    'a chart by Vega': all('[data-testid="stVegaLiteChart"]').every(each => each.querySelector('svg path, canvas')),
    'a chart by ECharts': all('.echarts-container').every(each => [...each.querySelectorAll('canvas')].some(has_ink)),
    'a component': all('[data-testid="stBidiComponentRegular"]').every(each => each.childElementCount > 0),
  };
  return Object.keys(is_wanted).filter(name => !is_wanted[name]);
}
"""
_COMPLETE_SINCE = f"""
quiet_ms => {{
  const now = performance.now();
  if (({_LACKS})().length) {{
    window.complete_since = undefined;
    return false;
  }}
  window.complete_since ??= now;
  return now - window.complete_since >= quiet_ms ? window.complete_since : false;
}}
"""
