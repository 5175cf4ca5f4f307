"""The console as people use it: a real Chromium, the real service, and telemetry in a real emulator."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from benchmarks.chromium import NoChromium, chromium, open_page, wait_until_complete
from benchmarks.telemetry_store import SyntheticTelemetry, write_store
from console.scope import write_moment
from tests.console.conftest import free_port, running
from tests.emulator.app_insights.emulator_process import EmulatorProcess

TELEMETRY = SyntheticTelemetry(n_requests=30_000, n_hours=4)
INCIDENT = 0.88
"Where in it three instances start slowly, as a share of its time."
N_VIEWS = 11
GRAVE = ("serious", "critical")
COLOURS = ("color-contrast", "link-in-text-block")
"What axe finds in colours."
expect.set_options(timeout=20_000)  # a machine that does other work too
MOST_STOPS, STOPS_AT_ONCE = 200, 20
"Of the Tab key in one view."


@dataclass(frozen=True, slots=True)
class Console:
    """A running console, and when its telemetry ends."""

    url: str
    until: datetime

    def link(self, view: str = "", **params: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return f"{self.url}/{view}?{query}"


@pytest.fixture(scope="module")
def console(service_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The console, served by Streamlit, over four hours of telemetry with incidents."""
    folder = tmp_path_factory.mktemp("console")
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    write_store(folder / "data", TELEMETRY, until)
    telemetry = EmulatorProcess(folder / "data")
    port = free_port()
    argv = [
        *(sys.executable, "-m", "streamlit", "run", "console/app.py", "--server.headless", "true"),
        *("--server.address", "127.0.0.1", "--server.port", str(port)),
    ]
    url = f"http://127.0.0.1:{port}"
    environ = os.environ | {
        "RECSERVE_API_URL": service_url,
        "RECSERVE_LOGS_URL": telemetry.url,
        "RECSERVE_SLO_MS": "25",
    }
    with running(argv, environ, folder / "log.txt", ready_url=f"{url}/_stcore/health"):
        yield Console(url, until)
    telemetry.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as browser:
            yield browser
    except NoChromium as err:
        pytest.skip(str(err))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = open_page(browser, width=1440, height=900)
    yield page
    page.context.close()


def test_person_tries_recommendations(page: Page, console: Console) -> None:
    complaints = _complaints(page)

    page.goto(console.link("try-it"))
    films = page.locator(".ranked .title")
    expect(films).to_have_count(8)
    expect(page.get_by_text("Personalised from the films you chose.")).to_be_visible()
    before = films.all_inner_texts()
    page.get_by_label("Films, oldest first").last.click()
    page.keyboard.type("Toy Story (1995)")
    page.get_by_role("option", name="Toy Story (1995)").click()
    expect(page).to_have_url(re.compile(r"items=260%2C1196%2C1210%2C1&k=8$"))
    expect(films).not_to_have_text(before)
    expect(films).to_have_count(8)

    assert complaints == []


def test_person_clicks_an_item_and_sees_the_next_list_change(page: Page, console: Console) -> None:
    page.goto(console.link("try-it", user="ana"))
    films = page.locator(".ranked .title")
    expect(films).to_have_count(8)
    liked = films.nth(2).inner_text()

    page.get_by_role("button", name=f"Liked {liked}").click()

    expect(page.locator(".changed")).to_contain_text(f"Liked {liked}:")
    expect(page.locator(".changed")).to_contain_text("gone:")
    expect(films).to_have_count(8)
    assert liked not in films.all_inner_texts()
    assert page.locator(".ranked .move-new").count() > 0


def test_walk_from_the_overview_to_a_cold_start_and_back(
    page: Page, browser: Browser, console: Console
) -> None:
    complaints = _complaints(page)
    begun = console.until - timedelta(hours=TELEMETRY.n_hours)
    incident = begun + timedelta(hours=TELEMETRY.n_hours * INCIDENT)
    around = {
        "from": write_moment(incident - timedelta(minutes=4)),
        "to": write_moment(incident + timedelta(minutes=4)),
    }
    links: list[tuple[str, str]] = []

    def share() -> None:
        wait_until_complete(page)
        links.append((page.url, _said(page)))

    page.goto(console.link(**around))
    wait_until_complete(page)
    assert "Cold starts cost" in page.inner_text("body")
    share()

    page.get_by_role("link", name="Open the worst minute").click()
    page.wait_for_url("**/latency?*")
    wait_until_complete(page)
    assert _minutes(page.url) == 1
    minute = page.url
    _drag(page, ".st-key-panel-latency-heatmap canvas", (0.06, 0.06), (0.97, 0.55))
    page.wait_for_url("**least_ms=*")
    selected = page.locator(".st-key-panel-region")
    expect(selected).to_contain_text("Selected:")
    cold = selected.locator("tr", has_text="cold")
    expect(cold.first).to_be_visible()
    share()

    cold.first.get_by_role("link").first.click()
    page.wait_for_url("**/trace?*")
    wait_until_complete(page)
    expect(page.locator(".rs-heading")).to_contain_text("waiting for a start")
    _assert_no_grave(page)
    share()

    page.get_by_role("link", name="All cold starts around it").click()
    page.wait_for_url("**/cold-starts?*")
    share()
    expect(page.locator(".rs-heading")).to_contain_text("requests waited")

    for url in (links[2][0], links[1][0], minute, links[0][0]):
        page.go_back()
        expect(page).to_have_url(url)
        wait_until_complete(page)
    assert _said(page) == links[0][1]
    assert complaints == []

    for url, said in links[1:3]:
        fresh = open_page(browser, width=1440, height=900)
        fresh.goto(url)
        wait_until_complete(fresh)
        assert _said(fresh) == said
        fresh.context.close()


def test_every_view_is_accessible_in_both_themes_and_by_keyboard(page: Page, console: Console) -> None:
    page.goto(console.link(range="6h"))
    wait_until_complete(page)
    page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    theme = "light"
    views = page.get_by_test_id("stTopNavLink").all_inner_texts()
    assert len(views) == N_VIEWS
    for view in views:
        _visit(page, view)
        for is_other in (False, True):
            if is_other:
                theme = "dark" if theme == "light" else "light"
                _switch_theme(page, theme)
            # The other theme has other colours, and is the same page in all else.
            rules = COLOURS if is_other else ()
            found += [f"{view}, {theme}: {violation}" for violation in _grave(page, *rules)]
        found += [f"{view}: {missed} cannot be reached by Tab" for missed in _unreached(page)]

    assert not found, "\n".join(found)


def _visit(page: Page, title: str) -> None:
    """Another view by the navigation, completely drawn."""
    link = page.get_by_test_id("stTopNavLink").filter(has_text=re.compile(rf"^{title}$"))
    before = page.locator("h1").first.inner_text()
    if link.get_attribute("aria-current") != "page":
        link.click()
        expect(
            page.locator("h1", has_not_text=before).or_(page.get_by_test_id("stException")).first
        ).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    wait_until_complete(page)


def _switch_theme(page: Page, theme: str) -> None:
    background = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    before = page.evaluate(background)
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.wait_for_function(f"before => {background} !== before", arg=before)
    wait_until_complete(page)


def _grave(page: Page, *rules: str) -> list[str]:
    """What axe finds serious or critical, by all rules or these, each with its first element, once nothing fades in."""
    page.wait_for_function(
        "() => !document.getAnimations().some(each => each instanceof CSSTransition && each.playState === 'running')"
    )
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    result: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:160]}: {each['nodes'][0]['failureSummary']}"
        for each in result["violations"]
        if each["impact"] in GRAVE
    ]


def _assert_no_grave(page: Page) -> None:
    page.evaluate(AXE_SCRIPT)
    assert _grave(page) == []


def _unreached(page: Page) -> list[str]:
    """What the Tab key should stop at and does not: links of the navigation, the bar, each panel."""
    page.evaluate(_NOTE_FOCUS)
    missed: list[str] = page.evaluate("missed_by_focus()")
    assert missed
    for _ in range(MOST_STOPS // STOPS_AT_ONCE):
        for _ in range(STOPS_AT_ONCE):
            page.keyboard.press("Tab")
        if not (missed := page.evaluate("missed_by_focus()")):
            break
    return missed


_NOTE_FOCUS = """() => {
  const places = '[data-testid="stTopNavLink"], [class*="st-key-panel-"], .st-key-bar';
  const reached = new Set();
  const name_of = place => place.dataset.testid === 'stTopNavLink'
    ? 'navigation: ' + place.innerText.trim()
    : [...place.classList].find(name => name.startsWith('st-key-'));
  window.focus_notes?.abort();
  window.focus_notes = new AbortController();
  document.addEventListener('focusin', event => {
    for (let at = event.target.closest(places); at; at = at.parentElement?.closest(places)) reached.add(name_of(at));
  }, {signal: window.focus_notes.signal});
  const can_act = place => place.matches('a') || place.querySelector('a, button, input, [tabindex="0"]');
  window.missed_by_focus = () =>
    [...document.querySelectorAll(places)].filter(can_act).map(name_of).filter(name => !reached.has(name));
  document.querySelector('[data-testid="stSkipToContent"]').focus();
}"""


def _drag(page: Page, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over an element from one place to another, in shares of its width and height."""
    element = page.locator(selector).first
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box is not None
    for at, (x, y) in enumerate((start, end)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=1 + 5 * at)
        if at == 0:
            page.mouse.down()
    page.mouse.up()


def _minutes(url: str) -> float:
    """Length of the range of a link."""
    since, until = (
        datetime.fromisoformat(re.findall(rf"{name}=([^&]+)", url)[0].replace("%3A", ":"))
        for name in ("from", "to")
    )
    return (until - since) / timedelta(minutes=1)


def _said(page: Page) -> str:
    """What a view says of its data: heading, titles of its panels, figures of its tiles."""
    return "\n".join(page.locator(".rs-heading, .rs-panel-head h2, .rs-tile .rs-value").all_inner_texts())


def _complaints(page: Page) -> list[str]:
    """What goes wrong in the page from here on; fills while the test runs.

    Streamlit finds out where its server is by trying the page's own path first, and Chromium reports each miss.
    """
    complaints: list[str] = []

    def keep(message: ConsoleMessage) -> None:
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            complaints.append(message.text)

    page.on("console", keep)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints
