"""The Python edge client against the service: the same answers, in which time, and what is lost by them.

parity          the client and the service, over HTTP, answer the same histories from the same files
ndcg            the held-out item of every test user in the lists of edge and cloud, paired
round_trips     a device behind a delaying proxy, against one that always asks the cloud: the same requests in turns;
                the device starts without a bundle, and of some shares of requests it must hand over
offline         answers without a network, and what becomes of the events recorded meanwhile

Device, service and proxy are processes; device and service have a core each.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.delaying_proxy import DelayingProxy, delaying_proxy
from benchmarks.edge.client import Answer, EdgeClient, EdgeSettings
from benchmarks.edge.histories import EdgeHistory, draw_histories, held_out_histories
from benchmarks.edge.judging import (
    Cloud,
    DeviceRequest,
    Listed,
    compare,
    compare_quality,
    draw_requests,
    edge_service,
    gains,
)
from benchmarks.results import percentiles
from benchmarks.server import Server
from emulator.load.truth import pin

SERVER_CORE, DEVICE_CORE = 0, 1
K = 10
N_BURN_IN = 100
BY_ITSELF = EdgeSettings(compare_every=0)
FILTERS: tuple[dict[str, Any], ...] = (
    {"allow": {"genres": ["Comedy", "Adventure"], "min_year": 1980}},
    {"deny": {"genres": ["Drama"]}},
    {"allow": {"max_year": 1970}, "deny": {"genres": ["Western"]}},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParityBench:
    n_histories: int = 5000
    n_filtered: int = 500
    "Of them, asked with filters too."
    round_trips_ms: tuple[float, ...] = (20.0, 100.0, 300.0)
    n_requests: int = 200
    "At each of the round trips and shares."
    for_cloud: tuple[float, ...] = (0.0, 0.1)
    "Shares of requests that edge cannot answer: half want diversity, half are of users that only the cloud knows."
    n_offline: int = 100
    edge_dir: str = "models/edge"
    seed: int = 0


def run(bench: EdgeParityBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """All parts, one after the other."""
    pin(DEVICE_CORE)
    users = held_out_histories()
    with tempfile.TemporaryDirectory(prefix="recserve-edge-") as name:
        folder = Path(name)
        on_stage("parity")
        with edge_service(folder, models=bench.edge_dir, edge_dir=bench.edge_dir, core=SERVER_CORE) as server:
            manifest = Cloud(server.port).get("/api/edge/manifest")
            parity, local_ms = _parity(bench, server, folder / "parity")
        with edge_service(folder, models="models", edge_dir=bench.edge_dir, core=SERVER_CORE) as server:
            on_stage("NDCG")
            ndcg = _ndcg(users, server, folder / "ndcg")
            with delaying_proxy(server.port) as proxy:
                round_trips = []
                for round_trip_ms, share in product(bench.round_trips_ms, bench.for_cloud):
                    on_stage(f"round trips of {round_trip_ms:g} ms, {share:.0%} for the cloud")
                    asked = draw_requests(
                        users,
                        bench.n_requests,
                        share_rules=share / 2,
                        share_unknown=share / 2,
                        seed=bench.seed,
                        k=K,
                    )
                    proxy.delay(round_trip_ms)
                    measured = _round_trips(asked, proxy, folder / f"device-{round_trip_ms:g}-{share:g}")
                    round_trips.append({"round_trip_ms": round_trip_ms, "for_cloud": share, **measured})
                proxy.delay(0)
                on_stage("offline")
                offline = _offline(users[: bench.n_offline], server, proxy, folder / "offline")
    return {
        "local": percentiles(local_ms),
        "wire_bytes": sum(manifest[name]["wire_bytes"] for name in ("model", "popular", "catalogue")),
        "ndcg_10": manifest["model"]["ndcg_10"],
        "bundle_version": manifest["version"],
        "parity": parity,
        "ndcg": ndcg,
        "round_trips": round_trips,
        "offline": offline,
    }


def _parity(bench: EdgeParityBench, server: Server, cache: Path) -> tuple[dict[str, Any], list[float]]:
    """Figures of parity, and latencies of local answers in ms."""
    histories = draw_histories(bench.n_histories, seed=bench.seed)
    plain: list[dict[str, Any]] = [{"history": history.item_ids, "k": K} for history in histories]
    filtered = [
        {**body, "rules": {"filters": FILTERS[place % len(FILTERS)]}}
        for place, body in enumerate(plain[: bench.n_filtered])
    ]
    with _device(f"http://127.0.0.1:{server.port}", cache) as client:
        for body in plain[:N_BURN_IN]:
            client.recommend(**body)
        local = [client.recommend(**body) for body in plain]
        with_filters = [client.recommend(**body) for body in filtered]
    if handed_over := {answer.reason for answer in (*local, *with_filters) if answer.by != "edge"}:
        raise RuntimeError(f"answers that were to be edge's came from the cloud: {sorted(handed_over)}")
    cloud = Cloud(server.port)
    theirs, theirs_filtered = ([cloud.recommend(body) for body in bodies] for bodies in (plain, filtered))
    return (
        {
            **compare(histories, list(map(_listed, local)), theirs),
            "with_filters": compare(
                histories[: bench.n_filtered], list(map(_listed, with_filters)), theirs_filtered
            ),
        },
        [answer.latency_ms for answer in local],
    )


def _device(url: str, cache: Path) -> EdgeClient:
    """A device that has the bundle, and does nothing by itself."""
    client = EdgeClient(url, cache_dir=cache, settings=BY_ITSELF, is_background=False)
    if not client.update():
        raise RuntimeError(f"the device has no bundle: {client.status().bundle_error_detail}")
    return client


def _listed(answer: Answer) -> Listed:
    return Listed([item.id for item in answer.items], [item.score or 0.0 for item in answer.items])


def _ndcg(users: Sequence[EdgeHistory], server: Server, cache: Path) -> dict[str, float]:
    """What a list by edge is worth against one by the cloud, for every test user."""
    cloud = Cloud(server.port)
    with _device(f"http://127.0.0.1:{server.port}", cache) as client:
        ours = [_listed(client.recommend(user.item_ids, k=K)) for user in users]
    theirs = [cloud.recommend({"history": user.item_ids, "k": K}) for user in users]
    return compare_quality(ours, theirs, [user.target for user in users if user.target is not None])


def _round_trips(asked: Sequence[DeviceRequest], proxy: DelayingProxy, cache: Path) -> dict[str, Any]:
    """The same requests by a device and by one that always asks the cloud, in turns."""
    cloud = Cloud(proxy.port)
    device, device_ms, theirs, cloud_ms = [], [], [], []
    with EdgeClient(proxy.url, cache_dir=cache, settings=BY_ITSELF) as client:
        for request in asked:
            started_s = perf_counter()
            device.append(client.recommend(**request.body))
            device_ms.append((perf_counter() - started_s) * 1e3)
            started_s = perf_counter()
            theirs.append(cloud.recommend(request.body))
            cloud_ms.append((perf_counter() - started_s) * 1e3)
    targets = [request.target for request in asked]
    return {
        "n": len(asked),
        "share_local": round(sum(answer.by == "edge" for answer in device) / len(asked), 4),
        "reasons": dict(Counter(f"{answer.by} {answer.reason}" for answer in device)),
        "device": percentiles(device_ms),
        "cloud_only": percentiles(cloud_ms),
        "ndcg_10_device": round(float(gains(list(map(_listed, device)), targets).mean()), 5),
        "ndcg_10_cloud_only": round(float(gains(theirs, targets).mean()), 5),
    }


def _offline(
    users: Sequence[EdgeHistory], server: Server, proxy: DelayingProxy, cache: Path
) -> dict[str, Any]:
    """Answers with the network cut, each after an event; then the network is back, and another process sends."""
    names = [f"kiosk-{place}" for place in range(len(users))]
    with _device(proxy.url, cache) as client:
        proxy.cut()
        answers = []
        for name, user in zip(names, users, strict=True):
            client.record(item_id=user.item_ids[-1], user_id=name)
            answers.append(client.recommend(user_id=name, k=K))
        was_sent_offline = client.flush()
        n_waiting = client.status().n_waiting
    proxy.join()
    with _device(proxy.url, cache) as client:
        is_sent = client.flush()
    cloud = Cloud(server.port)
    stored = [len(cloud.get(f"/api/users/{name}")["events"]) for name in names]
    return {
        "n": len(answers),
        "reasons": dict(Counter(f"{answer.by} {answer.reason}" for answer in answers)),
        "latencies_ms": percentiles([answer.latency_ms for answer in answers]),
        "was_sent_offline": was_sent_offline,
        "n_waiting": n_waiting,
        "is_sent": is_sent,
        "n_delivered_once": sum(n == 1 for n in stored),
    }


def format_table(figures: dict[str, Any]) -> str:
    """What a person wants to know first."""
    parity, ndcg, local, offline = (figures[name] for name in ("parity", "ndcg", "local", "offline"))
    lines = [
        f"identical top {K}: {parity['identical']:.2%} of {parity['n']:,}, with filters "
        f"{parity['with_filters']['identical']:.2%} of {parity['with_filters']['n']}",
        f"a local answer: p50 {local['p50_ms']:.2f} ms  p95 {local['p95_ms']:.2f} ms",
        f"NDCG@10: edge {ndcg['edge']:.4f}, cloud {ndcg['cloud']:.4f}, lost {ndcg['lost']:.4f} "
        f"({ndcg['lost_low']:.4f} to {ndcg['lost_high']:.4f}), {ndcg['lost_share']:.1%}",
    ]
    for each in figures["round_trips"]:
        device, cloud = each["device"], each["cloud_only"]
        lines.append(
            f"{each['round_trip_ms']:4.0f} ms, {each['for_cloud']:.0%} for the cloud: {each['share_local']:.1%} local; "
            f"p50 {device['p50_ms']:.1f} against {cloud['p50_ms']:.1f} ms, "
            f"p95 {device['p95_ms']:.1f} against {cloud['p95_ms']:.1f} ms"
        )
    lines.append(
        f"offline: {offline['n']} answers, {offline['n_delivered_once']} of {offline['n_waiting']} events "
        "delivered exactly once afterwards"
    )
    return "\n".join(lines)
