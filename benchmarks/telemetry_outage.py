"""The telemetry endpoint killed, or frozen, under load: what requests notice, what memory it takes, what arrives later.

The real app sends everything it does to the Application Insights emulator, each request a span of its own, while
arrivals come open-loop and Poisson. The same arrivals are sent three times:

    control    the endpoint runs throughout
    killed     as by a power cut: connections are refused; then it is started again on its data
    frozen     it holds its connections and answers nothing; then it goes on

    before     until the endpoint fails
    down       until it is back
    after      from then on; what the app has spooled to disk arrives

In the end every file of `console/queries` is answered from the telemetry of these runs.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.app_insights import AppInsights, running_app_insights
from benchmarks.closed_loop import closed_loop
from benchmarks.results import percentiles
from benchmarks.server import Server, serving
from benchmarks.traffic import real_traffic
from console.queries import load_query, query_names
from emulator.load.client import Sent, send
from planner.arrivals import Phase, poisson

SERVER_CORE, SENDER_CORE = 0, 1
SIDES = ("control", "killed", "frozen")
PHASES = ("before", "down", "after")
BURN_IN_S = 3.0
SAMPLE_EVERY_S = 0.5
ARRIVAL_LIMIT_S = 90.0
"From the end of the load until everything has arrived."
N_BOOTSTRAP = 2000

REQUESTS = """
AppDependencies
| where tostring(Properties["recserve.kind"]) == "request" and Name == "recommend"
| where TimeGenerated >= datetime({since}) and TimeGenerated < datetime({until})
| summarize n_weighed = sum(ItemCount), n_copies = count() by Id
| summarize n_spans = count(), n_weighed = sum(n_weighed), n_copies = sum(n_copies)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryOutageBench:
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask."
    rate_per_s: float = 200.0
    before_s: float = 20.0
    down_s: float = 60.0
    after_s: float = 70.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory and disk of the app at one moment."""

    at_s: float
    rss_mib: float
    spool_mib: float


def run(bench: TelemetryOutageBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Load each side, count what arrived, ask the console's questions."""
    rng = np.random.default_rng(bench.seed)
    traffic = real_traffic(bench.source, max_history=50, rng=rng)
    whole_s = bench.before_s + bench.down_s + bench.after_s
    arrivals_s = poisson([Phase(bench.rate_per_s, whole_s)], rng)
    sides: dict[str, dict[str, Any]] = {}
    latencies: dict[str, NDArray[np.float64]] = {}
    queries: dict[str, Any] = {}
    for side in SIDES:
        on_stage(side)
        with (
            tempfile.TemporaryDirectory(prefix="recserve-telemetry-outage-") as folder,
            running_app_insights(Path(folder) / "telemetry", core=SENDER_CORE) as app_insights,
        ):
            sent, footprints, arrived = _load(
                bench, side, Path(folder), app_insights, arrivals_s, traffic.requests
            )
            sides[side] = _figures(bench, sent, footprints) | {"arrived": arrived}
            latencies[side] = _answered_ms(sent, _phase_of(bench, sent) == 1)
            if side == "killed":
                queries = _answer_queries(app_insights)
    return {
        "sides": sides,
        "down_p99_over_control": {
            side: _p99_ratio(latencies[side], latencies["control"], rng) for side in SIDES[1:]
        },
        "queries": queries,
    }


def _load(
    bench: TelemetryOutageBench,
    side: str,
    folder: Path,
    app_insights: AppInsights,
    arrivals_s: NDArray[np.float64],
    requests: list[bytes],
) -> tuple[Sent, list[Footprint], dict[str, int]]:
    spool = folder / "spool"
    settings = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": app_insights.connection_string,
        "RECSERVE_TRACE_RATE": "1",
        "RECSERVE_STATE_PATH": str(folder / "state.db"),
        "RECSERVE_SPOOL_DIR": str(spool),
        "RECSERVE_RELOAD_S": "0",
    }
    footprints: list[Footprint] = []
    is_over = threading.Event()
    with serving(settings, core=SERVER_CORE, log=folder / "server.log") as server:
        uvloop.run(closed_loop(server.port, requests, n_callers=2, duration_s=BURN_IN_S))
        time.sleep(1)  # what the burn-in did is not counted: its spans began before the load
        threads = [
            threading.Thread(target=_watch, args=(server, spool, footprints, is_over)),
            threading.Thread(target=_fail, args=(bench, side, app_insights, is_over)),
        ]
        for thread in threads:
            thread.start()
        try:
            sent = uvloop.run(send("127.0.0.1", server.port, arrivals_s=arrivals_s, requests=requests))
            arrivals = _wait_for_arrivals(app_insights, sent, server, requests)
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
    return sent, footprints, arrivals


def _fail(
    bench: TelemetryOutageBench, side: str, app_insights: AppInsights, is_over: threading.Event
) -> None:
    """Take the endpoint away and bring it back; on a thread beside the load."""
    if side == "control" or is_over.wait(bench.before_s):
        return
    fail, mend = (
        (app_insights.kill, app_insights.start)
        if side == "killed"
        else (app_insights.freeze, app_insights.thaw)
    )
    fail()
    is_over.wait(bench.down_s)
    mend()


def _watch(server: Server, spool: Path, footprints: list[Footprint], is_over: threading.Event) -> None:
    began_s = perf_counter()
    while not is_over.wait(SAMPLE_EVERY_S):
        spooled = 0
        for path in spool.rglob("*"):
            try:
                spooled += path.stat().st_size
            except FileNotFoundError:
                continue  # sent in this moment
        footprints.append(Footprint(perf_counter() - began_s, server.rss_mib(), spooled / 2**20))


def _wait_for_arrivals(
    app_insights: AppInsights, sent: Sent, server: Server, requests: list[bytes]
) -> dict[str, int]:
    """Wait until as many spans are stored as requests were answered, or nothing more comes."""
    n_answered = int((sent.status == 200).sum())
    give_up_s = time.monotonic() + ARRIVAL_LIMIT_S
    while (arrived := _count(app_insights, sent))["n_spans"] < n_answered and time.monotonic() < give_up_s:
        # Spooled telemetry goes out with the next batch: where nothing happens, it would wait for ever.
        uvloop.run(closed_loop(server.port, requests, n_callers=1, duration_s=0.1))
        time.sleep(2)
    return {"n_answered": n_answered, **arrived}


def _count(app_insights: AppInsights, sent: Sent) -> dict[str, int]:
    """Spans of the load's requests, counted once, by weight, and with their copies."""
    since = datetime.now(UTC) - timedelta(seconds=perf_counter() - sent.started_s)
    until = since + timedelta(seconds=float(sent.scheduled_s[-1]) + 0.05)
    text = REQUESTS.format(since=_kql(since), until=_kql(until))
    rows = app_insights.query(text, (since - timedelta(hours=1), until + timedelta(hours=1)))
    return {name: int(value or 0) for name, value in rows[0].items()}


def _kql(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _phase_of(bench: TelemetryOutageBench, sent: Sent) -> NDArray[np.int64]:
    return np.searchsorted([bench.before_s, bench.before_s + bench.down_s], sent.scheduled_s, side="right")


def _answered_ms(sent: Sent, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    latencies_ms: NDArray[np.float64] = sent.latency_s[chosen & (sent.status == 200)] * 1e3
    return latencies_ms


def _figures(bench: TelemetryOutageBench, sent: Sent, footprints: list[Footprint]) -> dict[str, Any]:
    phase_of = _phase_of(bench, sent)
    ends_s = np.cumsum([bench.before_s, bench.down_s, np.inf])
    figures: dict[str, Any] = {}
    for number, name in enumerate(PHASES):
        begins_s = ends_s[number - 1] if number else 0.0
        within = [print_ for print_ in footprints if begins_s <= print_.at_s < ends_s[number]]
        figures[name] = {
            "n": int((phase_of == number).sum()),
            "n_not_200": int(((phase_of == number) & (sent.status != 200)).sum()),
            "latencies_ms": percentiles(_answered_ms(sent, phase_of == number).tolist()),
            "rss_mib": round(max(print_.rss_mib for print_ in within), 1),
            "spool_mib": round(max(print_.spool_mib for print_ in within), 2),
        }
    return {"phases": figures, "sender_late_ms": percentiles((sent.late_s * 1e3).tolist())}


def _p99_ratio(
    ours: NDArray[np.float64], control: NDArray[np.float64], rng: np.random.Generator
) -> dict[str, float]:
    """Ratio of the 99th percentiles, with a bootstrapped 95 % interval."""
    drawn = [
        np.percentile(rng.choice(ours, len(ours)), 99) / np.percentile(rng.choice(control, len(control)), 99)
        for _ in range(N_BOOTSTRAP)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    ratio = np.percentile(ours, 99) / np.percentile(control, 99)
    return {"ratio": round(float(ratio), 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def _answer_queries(app_insights: AppInsights) -> dict[str, Any]:
    """Rows and time of each of the console's queries over what the app has sent."""
    until = datetime.now(UTC) + timedelta(minutes=5)
    answered: dict[str, Any] = {}
    for name in query_names():
        began_s = perf_counter()
        rows = app_insights.query(load_query(name).text(), (until - timedelta(hours=1), until))
        answered[name] = {"rows": len(rows), "ms": round((perf_counter() - began_s) * 1e3, 1)}
    return answered


def format_table(figures: dict[str, Any]) -> str:
    """A line for each side and phase, then what arrived."""
    lines = []
    for side, of_side in figures["sides"].items():
        for name, phase in of_side["phases"].items():
            latencies = phase["latencies_ms"]
            lines.append(
                f"{side:8} {name:7} p50 {latencies['p50_ms']:6.2f}  p99 {latencies['p99_ms']:7.2f} ms  not 200: "
                f"{phase['n_not_200']}  memory <= {phase['rss_mib']:.0f} MiB  spool <= {phase['spool_mib']:.1f} MiB"
            )
        arrived = of_side["arrived"]
        lines.append(
            f"{side:8} {arrived['n_answered']:,} requests answered, spans of {arrived['n_spans']:,} arrived, "
            f"{arrived['n_copies'] - arrived['n_spans']:,} of them twice"
        )
    for side, ratio in figures["down_p99_over_control"].items():
        lines.append(f"p99 while {side}, over control: {ratio['ratio']} ({ratio['low']} to {ratio['high']})")
    lines += [
        f"{name:22} {each['rows']:6,} rows  {each['ms']:7.1f} ms" for name, each in figures["queries"].items()
    ]
    return "\n".join(lines)
