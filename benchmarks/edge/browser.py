"""The JavaScript edge client in a headless Chromium: the same answers, how soon, how fast, and what they cost.

parity          the client and the service, over HTTP, answer the same histories from the same files
starts          from a navigation to the first local answer, with fresh profiles and with those that came before
local           answers of one client, one after the other
round_trips     a device behind a delaying proxy, against one that always asks the cloud: the same requests in turns,
                some of which the edge must hand over
ndcg            the held-out item of every test user in the lists of edge and cloud, paired; what is handed over to
                the cloud loses nothing, so this is the most that any round trip can lose
offline         answers with the network cut, and what becomes of the events recorded meanwhile

Browser, service and proxy are processes; the service has a core of its own. Chromium's clock ticks every 0.1 ms in a
page that is not isolated from other origins, so no latency here is finer than that.
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from benchmarks.chromium import chromium
from benchmarks.delaying_proxy import DelayingProxy, delaying_proxy
from benchmarks.edge.histories import draw_histories, held_out_histories
from benchmarks.edge.judging import (
    Cloud,
    DeviceRequest,
    compare,
    compare_quality,
    draw_requests,
    edge_service,
)
from benchmarks.edge.page import answer_locally, lay_out_bundle, open_client, open_device
from benchmarks.edge.start import add_start_page, measure_starts
from benchmarks.results import percentiles
from benchmarks.server import ROOT, Server

K = 10
N_BURN_IN = 100
PICTURE = ROOT / "docs" / "edge-demo.png"
PICKED = ("Star Wars: Episode IV", "Empire Strikes Back", "Alien (1979)")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeBrowserBench:
    n_histories: int = 5000
    n_profiles: int = 10
    n_local: int = 2000
    round_trips_ms: tuple[float, ...] = (20.0, 100.0, 300.0)
    n_requests: int = 200
    "At each of the round trips."
    share_rules: float = 0.05
    "Of requests that need diversity, which the edge cannot do."
    share_unknown: float = 0.05
    "Of requests for users that only the cloud knows."
    n_offline: int = 100
    edge_dir: str = "models/edge"
    seed: int = 0


def run(bench: EdgeBrowserBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """All parts, one after the other.

    Raises:
        NoChromium: there is no browser.
        NpmMissing: the runtime cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="recserve-edge-") as name:
        folder = Path(name)
        edge_dir = lay_out_bundle(folder / "edge", source=ROOT / bench.edge_dir)
        add_start_page(edge_dir)
        with (
            edge_service(folder, models=str(edge_dir), edge_dir=str(edge_dir)) as server,
            chromium() as browser,
        ):
            on_stage("parity")
            parity = _parity(bench, browser, server)
        with edge_service(folder, models="models", edge_dir=str(edge_dir)) as server:
            with chromium() as browser:
                asked = _ask(bench, browser, server, on_stage=on_stage)
            on_stage("first answers")  # by browsers of their own
            starts = measure_starts(_url(server), bench.n_profiles)
            manifest = Cloud(server.port).get("/api/edge/manifest")
    return {
        "local": asked.pop("local"),
        "wire_bytes": sum(manifest[name]["wire_bytes"] for name in ("model", "popular", "catalogue")),
        "ndcg_10": manifest["model"]["ndcg_10"],
        "bundle_version": manifest["version"],
        "parity": parity,
        "starts": starts,
        **asked,
    }


def _ask(
    bench: EdgeBrowserBench, browser: Browser, server: Server, *, on_stage: Callable[[str], None]
) -> dict[str, Any]:
    """All that is asked of devices beside the models that the cloud really answers with."""
    on_stage("local answers and NDCG")
    local, ndcg = _local(bench, browser, server)
    round_trips = []
    with delaying_proxy(server.port) as proxy:
        for round_trip_ms in bench.round_trips_ms:
            on_stage(f"round trips of {round_trip_ms:g} ms")
            round_trips.append(_round_trips(bench, browser, proxy, round_trip_ms))
        on_stage("offline")
        offline = _offline(bench, browser, server, proxy)
    on_stage("the demo's picture")
    _take_picture(browser, server)
    return {"local": local, "ndcg": ndcg, "round_trips": round_trips, "offline": offline}


def _parity(bench: EdgeBrowserBench, browser: Browser, server: Server) -> dict[str, Any]:
    histories = draw_histories(bench.n_histories, seed=bench.seed)
    page = _open_device(browser, _url(server))
    ours = answer_locally(page, [history.item_ids for history in histories], k=K)
    page.context.close()
    cloud = Cloud(server.port)
    theirs = [cloud.recommend({"history": history.item_ids, "k": K}) for history in histories]
    return compare(histories, ours, theirs)


def _local(
    bench: EdgeBrowserBench, browser: Browser, server: Server
) -> tuple[dict[str, float], dict[str, float]]:
    """Latencies of local answers as the client measures them; and what its lists are worth."""
    users = held_out_histories()
    page = _open_device(browser, _url(server))
    histories = [users[place % len(users)].item_ids for place in range(N_BURN_IN + bench.n_local)]
    latencies_ms = page.evaluate(
        """async histories => {
          const latencies = [];
          for (const history of histories) latencies.push((await client.recommend({history})).latency_ms);
          return latencies;
        }""",
        histories,
    )
    ours = answer_locally(page, [user.item_ids for user in users], k=K)
    page.context.close()
    cloud = Cloud(server.port)
    theirs = [cloud.recommend({"history": user.item_ids, "k": K}) for user in users]
    targets = [user.target for user in users if user.target is not None]
    return percentiles(latencies_ms[N_BURN_IN:]), compare_quality(ours, theirs, targets)


def _round_trips(
    bench: EdgeBrowserBench, browser: Browser, proxy: DelayingProxy, round_trip_ms: float
) -> dict[str, Any]:
    """The same requests by a device and by one that always asks the cloud, in turns."""
    requests = draw_requests(
        held_out_histories(),
        bench.n_requests,
        share_rules=bench.share_rules,
        share_unknown=bench.share_unknown,
        seed=bench.seed,
        k=K,
    )
    proxy.delay(0)
    page = _open_device(browser, proxy.url)
    proxy.delay(round_trip_ms)
    device = _ask_in_turns(page, requests)
    page.context.close()
    proxy.delay(0)
    answers = [answer for answer, _ in device]
    always = [answer for _, answer in device]
    return {
        "round_trip_ms": round_trip_ms,
        "n": len(requests),
        "share_local": round(sum(answer["by"] == "edge" for answer in answers) / len(answers), 4),
        "reasons": dict(Counter(f"{answer['by']} {answer['reason']}" for answer in answers)),
        "device": percentiles([answer["latency_ms"] for answer in answers]),
        "cloud_only": percentiles([answer["latency_ms"] for answer in always]),
        "handed_over": percentiles([answer["latency_ms"] for answer in answers if answer["by"] == "cloud"]),
    }


def _ask_in_turns(page: Page, requests: list[DeviceRequest]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each request to the client as it decides, and to the cloud by another that has no bundle."""
    pairs = page.evaluate(
        """async bodies => {
          const pairs = [];
          for (const [turn, body] of bodies.entries()) {
            const ask = {
              device: () => client.recommend({...body, deadline_ms: 10_000}),
              cloud: () => client.ask('cloud', {...body, deadline_ms: 10_000}),
            };
            const answers = {};
            for (const side of turn % 2 ? ['cloud', 'device'] : ['device', 'cloud']) answers[side] = await ask[side]();
            pairs.push([answers.device, answers.cloud]);
          }
          return pairs;
        }""",
        [request.body for request in requests],
    )
    return [(device, cloud) for device, cloud in pairs]


def _offline(
    bench: EdgeBrowserBench, browser: Browser, server: Server, proxy: DelayingProxy
) -> dict[str, Any]:
    """Answers with the network cut, each followed by an event; then the network is back, loses an answer, and holds."""
    page = _open_device(browser, proxy.url)
    users = held_out_histories()[: bench.n_offline]
    proxy.cut()
    answers = page.evaluate(
        """async histories => {
          const answers = [];
          for (const [place, history] of histories.entries()) {
            const user_id = `traveller-${place}`;
            await client.record({user_id, item_id: history.at(-1), kind: 'view'});
            const rules = place % 2 ? undefined : {explain: true};
            answers.push(await client.recommend({user_id, rules}));
          }
          await client.flush();
          return answers;
        }""",
        [user.item_ids for user in users],
    )
    n_waiting = page.evaluate("client.status().n_waiting")
    proxy.delay(500)
    proxy.join()
    page.evaluate("() => { window.sending = client.flush(); }")
    page.wait_for_timeout(250)  # the service has the batch, and its answer is under way
    proxy.cut()
    page.evaluate("sending")
    n_waiting_still = page.evaluate("client.status().n_waiting")
    proxy.delay(0)
    proxy.join()
    page.evaluate("client.flush()")
    n_left = page.evaluate("client.status().n_waiting")
    page.context.close()
    cloud = Cloud(server.port)
    stored = [len(cloud.get(f"/api/users/traveller-{place}")["events"]) for place in range(len(users))]
    return {
        "n": len(answers),
        "reasons": dict(Counter(f"{answer['by']} {answer['reason']}" for answer in answers)),
        "latencies_ms": percentiles([answer["latency_ms"] for answer in answers]),
        "n_waiting": n_waiting,
        "n_waiting_after_lost_answer": n_waiting_still,
        "n_left": n_left,
        "n_delivered_once": sum(n == 1 for n in stored),
    }


def _take_picture(browser: Browser, server: Server) -> None:
    """The demo with three films picked, as a visitor of a distant cloud sees it."""
    context = browser.new_context(viewport={"width": 1440, "height": 960}, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{_url(server)}/api/edge/demo")
    page.locator("body[data-ready]").wait_for()
    page.get_by_label("Distance to the cloud").select_option("100")
    for place, title in enumerate(PICKED, start=1):
        page.get_by_label("Find a film").fill(title)
        page.locator("#found button").first.click()
        page.locator(f"#picked li:nth-child({place})").wait_for()
        page.wait_for_timeout(1_000)
    page.mouse.move(0, 0)
    page.screenshot(path=PICTURE)
    context.close()


def _open_device(browser: Browser, url: str) -> Page:
    """A device with a bundle.

    Raises:
        RuntimeError: it could not get one; the message says why.
    """
    page = open_device(browser, url)
    status = open_client(page)
    if not status["bundle_version"]:
        raise RuntimeError(f"the browser has no bundle: {status['bundle_error_detail']}")
    return page


def _url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def format_table(figures: dict[str, Any]) -> str:
    """What a person wants to know first."""
    parity, ndcg, local, offline = (figures[name] for name in ("parity", "ndcg", "local", "offline"))
    cold, kept, wire = (figures["starts"][name] for name in ("cold", "from_cache", "wire_bytes_cold"))
    lines = [
        f"identical top {K}: {parity['identical']:.2%} of {parity['n']:,}",
        f"on the wire: bundle {wire['bundle'] / 1e3:.0f} kB, runtime {wire['runtime'] / 1e3:.0f} kB, "
        f"client {wire['client'] / 1e3:.0f} kB",
        f"first answer: {cold['median_ms']:.0f} ms ({cold['low_ms']:.0f} to {cold['high_ms']:.0f}) cold, "
        f"{kept['median_ms']:.0f} ms ({kept['low_ms']:.0f} to {kept['high_ms']:.0f}) from cache",
        f"a local answer: p50 {local['p50_ms']:.1f} ms  p95 {local['p95_ms']:.1f} ms",
        f"NDCG@10: edge {ndcg['edge']:.4f}, cloud {ndcg['cloud']:.4f}, lost {ndcg['lost']:.4f} "
        f"({ndcg['lost_low']:.4f} to {ndcg['lost_high']:.4f}), {ndcg['lost_share']:.1%}",
    ]
    for each in figures["round_trips"]:
        device, cloud = each["device"], each["cloud_only"]
        lines.append(
            f"{each['round_trip_ms']:4.0f} ms: {each['share_local']:.1%} local; p50 {device['p50_ms']:.1f} against "
            f"{cloud['p50_ms']:.1f} ms, p95 {device['p95_ms']:.1f} against {cloud['p95_ms']:.1f} ms"
        )
    lines.append(
        f"offline: {offline['n']} answers, {offline['n_delivered_once']} of {offline['n_waiting']} events "
        "delivered exactly once afterwards"
    )
    return "\n".join(lines)
