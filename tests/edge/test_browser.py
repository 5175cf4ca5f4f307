"""The JavaScript client in a real Chromium, against the real service."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, Route, expect

from benchmarks.chromium import NoChromium, chromium
from benchmarks.edge.page import answer_locally, ask_device, open_client, open_device
from tests.edge.conftest import EdgeService

HISTORY = [260, 1196, 1210]
WEEK_S = 604_800
expect.set_options(timeout=20_000)  # a machine that does other work too


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as browser:
            yield browser
    except NoChromium as err:
        pytest.skip(str(err))


@pytest.fixture(scope="module")
def device(browser: Browser, edge_service: EdgeService) -> Iterator[Page]:
    """A page that has loaded the runtime, which takes most of a start."""
    page = open_device(browser, edge_service.url)
    page.evaluate(
        """async () => {
          const {loadRuntime} = await import('./files/model.js');
          window.ort = await loadRuntime(new URL('./files/ort.wasm.min.mjs', location.href).href);
        }"""
    )
    yield page
    page.context.close()


@pytest.fixture
def page(device: Page) -> Iterator[Page]:
    """A device that has nothing but the runtime."""
    yield device
    device.unroute_all()
    device.context.set_offline(False)
    device.evaluate(
        """async () => {
          await window.client?.close();
          for (const name of await caches.keys()) await caches.delete(name);
          for (const {name} of await indexedDB.databases()) {
            await new Promise(resolve => indexedDB.deleteDatabase(name).onsuccess = resolve);
          }
        }"""
    )


def test_device_answers_what_the_service_answers_from_the_same_files(page: Page, repository: Path) -> None:
    vectors = json.loads((repository / "edge" / "vectors" / "recommendations.json").read_text())
    open_client(page)

    answers = page.evaluate(
        """async cases => {
          const answers = [];
          for (const {expected, ...request} of cases) answers.push((await client.ask('edge', request)).items);
          return answers;
        }""",
        vectors["cases"],
    )

    differing = [
        (case, answer)
        for case, answer in zip(vectors["cases"], answers, strict=True)
        if [item["id"] for item in answer] != case["expected"]
    ]
    assert len(differing) <= 0.005 * len(answers)
    assert all(_is_tie(case["expected"], answer) for case, answer in differing)


def _is_tie(expected: list[int | str], answer: list[dict[str, Any]]) -> bool:
    """Whether only items of one score have changed places: floats of another processor order them otherwise."""
    score_of = {item["id"]: item["score"] for item in answer}
    return len(expected) == len(answer) and all(
        score_of.get(wanted) == item["score"] for wanted, item in zip(expected, answer, strict=True)
    )


def test_default_answer_comes_from_the_device(page: Page) -> None:
    status = open_client(page)

    answer = ask_device(page, {"history": HISTORY})

    assert (answer["by"], answer["reason"], answer["degraded"]) == ("edge", "default", [])
    assert answer["version"] == status["bundle_version"]
    assert len(answer["items"]) == 10
    assert status["is_kept"]
    assert status["wire_bytes"] <= 1_000_000


def test_cloud_answers_until_the_bundle_is_there(page: Page) -> None:
    open_client(page, ready=False)

    answer = ask_device(page, {"history": HISTORY})

    assert (answer["by"], answer["reason"], answer["bundle_error"]) == ("cloud", "no_bundle", "not_loaded")


def test_page_of_another_origin_is_served_too(browser: Browser, edge_service: EdgeService) -> None:
    # A page that the service really sent: Chromium lets no other one reach an address of this machine.
    elsewhere = browser.new_page(bypass_csp=True, service_workers="block")
    elsewhere.goto(f"{edge_service.url.replace('127.0.0.1', 'localhost')}/api/edge/demo")
    elsewhere.evaluate("async () => { window.edge = await import('./files/recserve-edge.js'); }")

    status = open_client(elsewhere, api=f"{edge_service.url}/api", key="a function key")
    cloud = elsewhere.evaluate("client.ask('cloud', {history: [260]})")
    elsewhere.evaluate("client.record({user_id: 'neighbour', item_id: 260}).then(() => client.flush())")

    assert status["bundle_version"]
    assert len(cloud["items"]) == 10
    assert _stored(edge_service, "neighbour") == 1
    elsewhere.context.close()


def test_rules_beyond_filters_go_to_the_cloud_and_are_left_out_without_it(page: Page) -> None:
    open_client(page)
    request = {
        "history": HISTORY,
        "rules": {"diversity": 0.5},
        "filters": {"deny": {"genres": ["Action"]}},
    }

    with_cloud = ask_device(page, request)
    page.route("**/api/recommend", lambda route: route.abort("connectionreset"))
    without = ask_device(page, request)

    assert (with_cloud["by"], with_cloud["reason"]) == ("cloud", "rules")
    assert (without["by"], without["reason"], without["degraded"]) == ("edge", "offline", ["rules"])
    assert 1198 not in [item["id"] for item in without["items"]]  # Raiders of the Lost Ark, Action


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "cloud_busy"), (503, "cloud_error"), (401, "cloud_error")]
)
def test_device_answers_for_a_cloud_that_refuses(page: Page, status: int, reason: str) -> None:
    open_client(page)
    page.route("**/api/recommend", lambda route: route.fulfill(status=status, json={"detail": "no"}))

    answer = ask_device(page, {"user_id": "stranger"})

    assert (answer["by"], answer["reason"], answer["degraded"]) == ("edge", reason, ["history"])
    assert answer["basis"] == "empty_history"


def test_device_answers_for_a_cloud_that_is_too_slow(page: Page) -> None:
    open_client(page)
    page.route("**/api/recommend", lambda route: None)

    answer = ask_device(page, {"user_id": "stranger", "deadline_ms": 50})

    assert (answer["by"], answer["reason"]) == ("edge", "cloud_timeout")


def test_mistake_of_the_caller_is_theirs_to_mend(page: Page) -> None:
    open_client(page)

    said = page.evaluate(
        """async () => Promise.all([{k: 0}, {history: [1], filters: {allow: {genre: ['Crime']}}},
          {history: [1], rules: {pins: [{item_id: -5, position: 1}]}}].map(request =>
            client.recommend(request).then(() => 'answered', error => `${error.name}: ${error.message}`)))"""
    )

    assert said[0] == "InvalidRequest: k: 0 is not allowed; send an integer from 1 to 100"
    assert said[1].startswith("InvalidRequest: filters.allow.genre is not known; send genres")
    assert said[2].startswith("InvalidRequest: pinned item -5 is not in the catalogue")


def test_tampered_file_is_never_used(page: Page) -> None:
    def tamper(route: Route) -> None:
        body = bytearray(route.fetch().body())
        body[len(body) // 2] ^= 1
        route.fulfill(body=bytes(body))

    page.route("**/api/edge/files/edge-*.onnx", tamper)

    status = open_client(page)
    answer = ask_device(page, {"history": HISTORY})

    assert status["bundle_error"] == "tampered"
    assert "SHA-256" in status["bundle_error_detail"]
    assert (answer["by"], answer["reason"], answer["bundle_error"]) == ("cloud", "no_bundle", "tampered")
    assert page.evaluate("caches.keys()") == ["recserve-edge"]  # the index, in which nothing stands


def test_file_that_was_changed_in_the_cache_is_fetched_again(page: Page) -> None:
    open_client(page)
    before = answer_locally(page, [HISTORY])
    page.evaluate(
        """async () => {
          const name = (await caches.keys()).find(each => each !== 'recserve-edge');
          const cache = await caches.open(name);
          for (const key of await cache.keys()) await cache.put(key, new Response('nonsense'));
          await client.close();
        }"""
    )

    status = open_client(page)

    assert status["bundle_version"]
    assert answer_locally(page, [HISTORY]) == before


def test_interrupted_download_is_taken_up_again(page: Page) -> None:
    page.route("**/api/edge/files/catalogue-*.json", lambda route: route.abort("connectionreset"))
    status = open_client(page)
    interrupted = ask_device(page, {"history": HISTORY})

    page.unroute("**/api/edge/files/catalogue-*.json")
    page.evaluate("client.update()")
    answer = ask_device(page, {"history": HISTORY})

    assert status["bundle_error"] == "incomplete"
    assert (interrupted["by"], interrupted["bundle_error"]) == ("cloud", "incomplete")
    assert (answer["by"], answer["reason"]) == ("edge", "default")


def test_service_without_a_bundle_and_without_a_network_says_both(page: Page) -> None:
    page.route("**/api/edge/manifest", lambda route: route.fulfill(status=404, json={}))
    open_client(page)
    page.context.set_offline(True)

    said = page.evaluate(
        "client.recommend({history: [260]}).catch(error => `${error.name}: ${error.message}`)"
    )

    assert said.startswith("Unavailable: no answer; edge: no manifest")
    assert "cloud: there is no network" in said


def test_full_cache_leaves_the_bundle_in_memory(page: Page) -> None:
    page.evaluate(
        """() => {
          const full = new DOMException('full', 'QuotaExceededError');
          window.untouched = [Cache.prototype.put, IDBObjectStore.prototype.put];
          Cache.prototype.put = () => Promise.reject(full);
          IDBObjectStore.prototype.put = () => { throw full; };
        }"""
    )

    status = open_client(page)
    page.evaluate("client.record({user_id: 'full', item_id: 260})")
    answer = ask_device(page, {"user_id": "full"})
    after = page.evaluate("client.status()")
    page.evaluate("() => { [Cache.prototype.put, IDBObjectStore.prototype.put] = untouched; }")

    assert status["bundle_version"]
    assert not status["is_kept"]
    assert (answer["by"], answer["basis"]) == ("edge", "history")
    assert (after["n_waiting"], after["is_durable"]) == (1, False)


def test_browser_without_simd_asks_the_cloud(page: Page) -> None:
    page.evaluate("() => { window.validate = WebAssembly.validate; WebAssembly.validate = () => false; }")

    status = open_client(page)
    answer = ask_device(page, {"history": HISTORY})
    page.evaluate("() => { WebAssembly.validate = validate; }")

    assert status["bundle_error"] == "no_simd"
    assert (answer["by"], answer["bundle_error"]) == ("cloud", "no_simd")


def test_model_that_fails_hands_over_to_the_cloud(page: Page) -> None:
    page.evaluate(
        """() => {
          window.whole = ort;
          window.ort = {...whole, InferenceSession: {create: async (...given) => {
            const session = await whole.InferenceSession.create(...given);
            const run = session.run.bind(session);
            session.run = feeds => window.isBroken ? Promise.reject(new Error('out of memory')) : run(feeds);
            return session;
          }}};
        }"""
    )
    open_client(page)
    page.evaluate("() => { window.isBroken = true; }")

    answer = ask_device(page, {"history": HISTORY})
    page.evaluate("() => { window.ort = whole; window.isBroken = false; }")

    assert (answer["by"], answer["reason"], answer["bundle_error"]) == ("cloud", "no_bundle", "unreadable")


def test_answers_and_comparisons_are_reported_with_the_events(page: Page) -> None:
    version = open_client(page, compareEvery=2)["bundle_version"]
    with page.expect_response("**/api/recommend"):
        for _ in range(3):
            ask_device(page, {"history": HISTORY})
    page.evaluate("client.record({user_id: 'reporter', item_id: 260})")

    with page.expect_response("**/api/events") as arrived:
        page.evaluate("client.flush()")

    sent: dict[str, Any] = json.loads(arrived.value.request.post_data or "{}")
    assert arrived.value.status == 200
    assert [event["user_id"] for event in sent["events"]] == ["reporter"]
    assert (sent["edge"]["client"], sent["edge"]["bundle_version"]) == ("js", version)
    assert {(row["by"], row["reason"]) for row in sent["edge"]["answers"]} == {("edge", "default")}
    assert sum(row["n"] for row in sent["edge"]["answers"]) == 3
    assert sent["edge"]["comparisons"]["n"] == 1


def test_old_bundle_asks_the_cloud_and_answers_without_one(page: Page) -> None:
    page.evaluate("window.later_s = 0")
    _open_with_clock(page, "Date.now() / 1e3 + later_s", "performance.now() / 1e3 + later_s")
    page.evaluate(f"later_s = {WEEK_S + 60}")

    with_cloud = ask_device(page, {"history": HISTORY})
    page.context.set_offline(True)
    without = ask_device(page, {"history": HISTORY})

    assert (with_cloud["by"], with_cloud["reason"]) == ("cloud", "stale_bundle")
    assert (without["by"], without["reason"]) == ("edge", "offline")
    assert without["degraded"] == ["stale_bundle"]


def test_wrong_clock_counts_by_the_monotonic_one_and_after_a_restart_not_at_all(page: Page) -> None:
    wrong = ("Date.now() / 1e3 - 3e8", "performance.now() / 1e3")
    _open_with_clock(page, *wrong)
    first = ask_device(page, {"history": HISTORY})

    page.evaluate("client.close()")
    page.route("**/api/edge/manifest", lambda route: route.abort())
    _open_with_clock(page, *wrong)
    after_restart = ask_device(page, {"history": HISTORY})

    assert (first["by"], first["reason"]) == ("edge", "default")
    assert (after_restart["by"], after_restart["reason"]) == ("cloud", "clock")


def test_update_is_atomic(page: Page, edge_service: EdgeService) -> None:
    before = open_client(page)
    with _another_bundle(edge_service.edge_dir) as version:
        page.route("**/api/edge/files/catalogue-*.json", lambda route: route.abort("connectionreset"))
        page.wait_for_timeout(1_100)  # the service looks once a second
        page.evaluate("client.update()")
        interrupted = page.evaluate("client.status()")
        kept = ask_device(page, {"history": HISTORY})
        page.unroute("**/api/edge/files/catalogue-*.json")
        page.evaluate("client.update()")
        after = ask_device(page, {"history": HISTORY})

    assert interrupted["bundle_version"] == kept["version"] == before["bundle_version"]
    assert "did not come whole" in interrupted["update_error"]
    assert after["version"] == version
    assert [item["id"] for item in after["items"]] == [item["id"] for item in kept["items"]]
    assert after["items"][0]["title"] == "Another edition: " + kept["items"][0]["title"]
    assert sorted(page.evaluate("caches.keys()")) == ["recserve-edge", f"recserve-edge-{version}"]


def test_hundred_answers_offline_and_their_events_arrive_exactly_once(
    page: Page, edge_service: EdgeService
) -> None:
    open_client(page)
    page.context.set_offline(True)
    answered = page.evaluate(
        """async () => {
          const by = [];
          for (let turn = 0; turn < 100; turn++) {
            const {items, ...answer} = await client.recommend({user_id: 'traveller', history: turn ? [] : [260]});
            by.push(answer.by);
            await client.record({user_id: 'traveller', item_id: items[0].id});
          }
          await client.flush();
          return by;
        }"""
    )
    waiting = page.evaluate("client.status().n_waiting")

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page.route("**/api/events", lose_the_answer)
    page.context.set_offline(False)
    page.evaluate("client.flush()")
    still_waiting = page.evaluate("client.status().n_waiting")
    page.unroute("**/api/events")
    page.evaluate("client.flush()")

    assert answered == ["edge"] * 100
    assert waiting == still_waiting == 100
    assert page.evaluate("client.status().n_waiting") == 0
    assert _stored(edge_service, "traveller") == 100


def test_events_outlive_the_page_and_a_beacon_changes_nothing(page: Page, edge_service: EdgeService) -> None:
    open_client(page)
    page.route("**/api/events", lambda route: route.abort())
    page.evaluate(
        """async () => {
          for (const item_id of [260, 1196, 1210]) await client.record({user_id: 'leaver', item_id});
          await client.flush();
        }"""
    )
    page.unroute("**/api/events")
    with page.expect_request("**/api/events"):
        page.evaluate(
            """() => {
              Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});
              document.dispatchEvent(new Event('visibilitychange'));
              delete document.visibilityState;
            }"""
        )
    page.evaluate("client.close()")

    waiting = open_client(page)["n_waiting"]
    page.evaluate("client.flush()")

    assert waiting == 3
    assert page.evaluate("client.status().n_waiting") == 0
    assert page.evaluate("client.history('leaver')") == [260, 1196, 1210]
    assert _stored(edge_service, "leaver") == 3


def test_bad_event_is_dropped_alone(page: Page, edge_service: EdgeService) -> None:
    open_client(page)
    page.context.set_offline(True)
    page.evaluate(
        """async () => {
          window.dropped = [];
          client.addEventListener('dropped', ({detail}) => dropped.push(detail));
          for (const item_id of [260, {no: 'id'}, 1196, 1210]) await client.record({user_id: 'mixed', item_id});
        }"""
    )
    page.context.set_offline(False)

    page.evaluate("client.flush()")

    dropped = page.evaluate("dropped")
    assert [each["event"]["item_id"] for each in dropped] == [{"no": "id"}]
    assert "item_id" in dropped[0]["problem"]
    assert _stored(edge_service, "mixed") == 3


def test_demo_goes_on_without_a_network(browser: Browser, edge_service: EdgeService) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{edge_service.url}/api/edge/demo")
    expect(page.locator("#edge .ranked li")).to_have_count(10)
    expect(page.locator("#cloud .ranked li")).to_have_count(10)

    page.get_by_role("switch", name="Network off").click()
    expect(page.locator("#verdict")).to_contain_text("This device answers alone")
    page.get_by_label("Find a film").fill("star wars empire")
    page.get_by_role("button", name="Pick").first.click()
    expect(page.locator("#fact-waiting")).to_have_text("1")
    expect(page.locator("#edge .badge")).to_be_visible()
    page.get_by_role("switch", name="Network off").click()
    expect(page.locator("#fact-waiting")).to_have_text("0")
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("axe.run()")["violations"]

    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert complaints == []
    context.close()


def test_demo_is_loaded_again_without_a_network(browser: Browser, edge_service: EdgeService) -> None:
    context = browser.new_context(viewport={"width": 900, "height": 900})
    page = context.new_page()
    page.goto(f"{edge_service.url}/api/edge/demo")
    page.locator("body[data-shell=kept]").wait_for()

    context.set_offline(True)
    page.reload()
    expect(page.locator("#edge .ranked li")).to_have_count(10)

    expect(page.locator("#network")).to_have_text("Offline")
    expect(page.locator("#verdict")).to_contain_text("This device answers alone")
    context.close()


def _open_with_clock(page: Page, wall_s: str, monotonic_s: str) -> None:
    """Open `client` with clocks of the test's own, as JavaScript expressions."""
    page.evaluate(
        f"""async () => {{
          const clock = {{wall: () => {wall_s}, monotonic: () => {monotonic_s}}};
          window.client = await edge.EdgeClient.open({{api: '/api', compareEvery: 0, ort, clock}});
          await client.ready();
          await client.update();
        }}"""
    )


@contextmanager
def _another_bundle(edge_dir: Path) -> Iterator[str]:
    """The same bundle under another version, with other titles; gone in the end."""
    files = {name: (edge_dir / name).read_bytes() for name in ("manifest.json", "catalogue.json")}
    catalogue = json.loads(files["catalogue.json"])
    catalogue["titles"] = [f"Another edition: {title}" for title in catalogue["titles"]]
    content = json.dumps(catalogue).encode()
    manifest: dict[str, Any] = json.loads(files["manifest.json"])
    manifest["version"] = "2030-01-01-0123abcd"
    manifest["catalogue"] |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    try:
        _replace(edge_dir / "catalogue.json", content)
        _replace(edge_dir / "manifest.json", json.dumps(manifest).encode())
        yield manifest["version"]
    finally:
        for name, before in files.items():
            _replace(edge_dir / name, before)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_bytes(content)
    beside.replace(path)


def _stored(service: EdgeService, user_id: str) -> int:
    """How many events of a user the service keeps."""
    return len(httpx.get(f"{service.url}/api/users/{user_id}").json()["events"])
