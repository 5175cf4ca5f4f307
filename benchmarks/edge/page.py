"""A device with a browser: the JavaScript client in a page of the service, driven from Python."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Route

from benchmarks.edge.judging import Listed
from emulator.npm import install_pinned

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "edge" / "js"
EDGE_DIR = ROOT / "models" / "edge"
BLANK = "api/edge/blank"
"A page of the service's origin that the browser is given without asking the service."
AT_ONCE = 250
"Histories that a page is handed at a time."
_PAGE = (
    '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Recserve, a device</title>'
)


def lay_out_bundle(target: Path, *, source: Path = EDGE_DIR) -> Path:
    """A copy of the bundle with the client and its runtime beside it, as `make edge` leaves them.

    Args:
        target: a folder that does not exist.
        source: the bundle, with or without them.

    Raises:
        NpmMissing: the runtime cannot be installed; the message says what that needs.
    """
    modules = install_pinned(CLIENT, name="edge client")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("web"))
    command = ["node", str(CLIENT / "web.mjs"), str(target / "web"), str(modules)]
    subprocess.run(command, check=True, capture_output=True)
    return target


def open_device(browser: Browser, url: str, **options: Any) -> Page:
    """A page with nothing kept, in which the client's module is `edge`.

    Args:
        browser: a Chromium.
        url: origin of the service.
        options: of the page's context.
    """
    context = browser.new_context(service_workers="block", **options)
    return open_page_of_device(context, url)


def open_page_of_device(context: BrowserContext, url: str) -> Page:
    """The same in a context that may have kept something from an earlier page."""

    def fill(route: Route) -> None:
        route.fulfill(body=_PAGE, content_type="text/html")

    page = context.new_page()
    page.route(f"**/{BLANK}", fill)
    page.goto(f"{url}/{BLANK}")
    page.evaluate("async () => { window.edge = await import('./files/recserve-edge.js'); }")
    return page


def open_client(page: Page, *, ready: bool = True, **options: Any) -> dict[str, Any]:
    """Open `client` in a device's page, and give its status.

    Args:
        page: a device's page; where it has `ort`, the client takes that runtime.
        ready: wait for a bundle.
        options: `Options` in `edge/js/src/index.d.ts`.
    """
    status: dict[str, Any] = page.evaluate(
        """async ({options, ready}) => {
          window.client = await edge.EdgeClient.open({api: '/api', compareEvery: 0, ort: window.ort, ...options});
          if (ready) await client.ready();
          return client.status();
        }""",
        {"options": options, "ready": ready},
    )
    return status


def ask_device(page: Page, request: dict[str, Any]) -> dict[str, Any]:
    """What a page's client answers."""
    answer: dict[str, Any] = page.evaluate("request => client.recommend(request)", request)
    return answer


def answer_locally(page: Page, histories: Sequence[Sequence[int | str]], *, k: int = 10) -> list[Listed]:
    """What a page's bundle answers for each history, whatever the client would decide."""
    answered: list[Listed] = []
    for start in range(0, len(histories), AT_ONCE):
        lists = page.evaluate(
            """async ({histories, k}) => {
              const lists = [];
              for (const history of JSON.parse(histories)) {
                const {items} = await client.ask('edge', {history, k});
                lists.push([items.map(({id}) => id), items.map(({score}) => score)]);
              }
              return JSON.stringify(lists);
            }""",
            {"histories": json.dumps([list(each) for each in histories[start : start + AT_ONCE]]), "k": k},
        )
        answered += [Listed(*columns) for columns in json.loads(lists)]
    return answered


def answer_in_browser(
    browser: Browser, url: str, histories: Sequence[Sequence[int | str]], *, k: int = 10
) -> list[Listed]:
    """What the JavaScript client answers from its bundle, in a device of its own.

    Args:
        browser: a Chromium.
        url: origin of a service that hands out the bundle.
        histories: item ids, oldest first.
        k: items a list.

    Raises:
        RuntimeError: the bundle was not to be had; the message says why.
    """
    page = open_device(browser, url)
    try:
        status = open_client(page)
        if not status["bundle_version"]:
            raise RuntimeError(f"the browser has no bundle: {status['bundle_error_detail']}")
        return answer_locally(page, histories, k=k)
    finally:
        page.context.close()
