"""The console as people use it: a real Chromium, the real service.

With `RECSERVE_SCREENSHOTS` set to a directory, relative to the repository root, the screenshots go there.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.console.conftest import REPOSITORY, free_port, running

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    "--disable-background-networking",
)
WIDE, TALL = (1440, 900), (900, 1200)


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    directory = os.environ.get("RECSERVE_SCREENSHOTS")
    return REPOSITORY / directory if directory else tmp_path


@pytest.fixture(scope="module")
def console_url(service_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The console, served by Streamlit."""
    port = free_port()
    argv = [
        *(sys.executable, "-m", "streamlit", "run", "console/app.py", "--server.headless", "true"),
        *("--server.address", "127.0.0.1", "--server.port", str(port)),
    ]
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("console") / "log.txt"
    environ = os.environ | {"RECSERVE_API_URL": service_url}
    with running(argv, environ, log, ready_url=f"{url}/_stcore/health"):
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if path is None:
        pytest.skip("no Chromium found; Debian and Ubuntu have it as `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def test_person_tries_recommendations(browser: Browser, console_url: str, screenshots: Path) -> None:
    page = browser.new_page(viewport={"width": WIDE[0], "height": WIDE[1]})
    complaints = _complaints(page)

    page.goto(console_url)
    films = page.locator("table.ranking .title")
    expect(films).to_have_count(8)
    expect(page.get_by_text("Personalised from the films you chose.")).to_be_visible()
    page.get_by_text("Call it yourself").wait_for()
    page.reload()  # the first question of a process is cold: not what a picture should show
    expect(films).to_have_count(8)
    _take(page, screenshots / "try-it-1440.png", size=WIDE)
    _take(page, screenshots / "try-it-900.png", size=TALL)

    before = films.all_inner_texts()
    page.get_by_label("Films, oldest first").last.click()
    page.keyboard.type("Toy Story (1995)")
    page.get_by_role("option", name="Toy Story (1995)").click()
    expect(page).to_have_url(f"{console_url}/?items=260%2C1196%2C1210%2C1&k=8")
    expect(films).not_to_have_text(before)
    expect(films).to_have_count(8)
    assert complaints == []
    page.close()


def _complaints(page: Page) -> list[str]:
    """What goes wrong in the page from here on; fills while the test runs."""
    complaints: list[str] = []

    def keep(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", keep)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def _take(page: Page, path: Path, *, size: tuple[int, int]) -> None:
    """A picture of the page at a size, once its chart is drawn and Streamlit is at rest."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    expect(page.locator('[data-test-script-state="notRunning"]')).to_be_attached()
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # transitions; nothing in the page tells their end
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
