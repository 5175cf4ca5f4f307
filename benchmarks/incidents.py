"""Incidents injected into an emulated plan, and whether the console's overview names the cause of each.

cold         a burst of requests meets a plan without pre-warmed instances, which starts some
contention   the only instance is stopped again and again, for a second at a time, as by a neighbour or a hypervisor
state        what the store of user histories says comes late; histories are in Azurite, behind a link that slows down

Each has a plan of its own, with telemetry on, and quiet before and after. When the plan has ended and telemetry has
arrived, the overview's own query is asked through Azure's client, and its own function ranks the causes.

A frozen instance is seen from within: requests that were being worked on are long, those that came meanwhile
wait when it wakes, and its loop stood still for as long. What waited in its sockets is in no telemetry.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.app_insights import AppInsights, running_app_insights
from benchmarks.observed import Observed, observe
from benchmarks.plan import Plan, running_plan
from benchmarks.slow_link import SlowLink, slow_link
from benchmarks.traffic import post, real_traffic
from console.analysis.slo import Promise, kept_of, with_held
from console.analysis.tail import Contributor, rank
from console.analysis.verdict import verdict
from console.queries import load_query
from console.settings import LOCAL_WORKSPACE, Source
from console.telemetry import Table, Telemetry
from emulator.azurite import Azurite, running_azurite
from planner.arrivals import Phase, poisson

EXPECTED = {"burst": "cold", "frozen": "contention", "slow store": "state"}
"What the overview must name, by incident."
PROMISE = Promise(0.99, 25.0)
N_USERS = 200
N_HISTORY = 5
ARRIVE_LIMIT_S = 30.0
"How long telemetry may take to be there once the plan has ended."

ARRIVED = 0.99
"Share of the answers that is counted by then."


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentsBench:
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask."
    quiet_s: float = 8.0
    "Before and after each incident."
    incident_s: float = 12.0
    quiet_per_s: float = 20.0
    burst_per_s: float = 200.0
    "Of the incident `burst`, the others stay at their rate."
    frozen_per_s: float = 150.0
    freeze_s: float = 1.0
    slow_by_s: float = 0.040
    "The store's answers: less than the app's patience, more than the SLO."
    seed: int = 0


def run(bench: IncidentsBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Inject every incident, and ask the overview about each."""
    rng = np.random.default_rng(bench.seed)
    requests = real_traffic(bench.source, max_history=50, rng=rng).requests
    found = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="recserve-incidents-")))
        insights = stack.enter_context(running_app_insights(folder / "telemetry"))
        for incident in EXPECTED:
            on_stage(f"incident: {incident}")
            began, observed = _inject(incident, bench, folder, insights, requests, rng)
            found[incident] = _judge(incident, insights, began, observed)
    return {"incidents": found, "named_right": sum(each["is_right"] for each in found.values())}


def _inject(
    incident: str,
    bench: IncidentsBench,
    folder: Path,
    insights: AppInsights,
    requests: Sequence[bytes],
    rng: np.random.Generator,
) -> tuple[datetime, Observed]:
    """When the load on it began, and what callers saw."""
    began = datetime.now(UTC)
    data = folder / incident.replace(" ", "-")
    match incident:
        case "burst":
            # The target is low, so that the burst calls for instances before it is more than one can carry.
            options = ["--always-ready", "1", "--pre-warmed", "0", "--max-burst", "3", "--target", "0.3"]
            with _plan(data, insights, options) as plan:
                began = datetime.now(UTC)
                rates = (bench.quiet_per_s, bench.burst_per_s, bench.quiet_per_s)
                observed = observe(plan.port, arrivals_s=_arrivals(bench, rates, rng), requests=requests)
        case "frozen":
            with _plan(data, insights, ONE) as plan:
                began = datetime.now(UTC)
                observed = observe(
                    plan.port,
                    arrivals_s=_arrivals(bench, (bench.frozen_per_s,) * 3, rng),
                    requests=requests,
                    beside=lambda: _freeze(plan, bench),
                )
        case _:
            with _plan_on_slow_store(data, insights) as (plan, link):
                asked = _with_histories(plan)
                began = datetime.now(UTC)
                observed = observe(
                    plan.port,
                    arrivals_s=_arrivals(bench, (bench.quiet_per_s,) * 3, rng),
                    requests=asked,
                    beside=lambda: _slow_down(link, bench),
                )
    return began, observed


ONE = ("--always-ready", "1", "--pre-warmed", "0", "--max-burst", "1")


def _arrivals(
    bench: IncidentsBench, rates_per_s: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float64]:
    lengths_s = (bench.quiet_s, bench.incident_s, bench.quiet_s)
    return poisson([Phase(rate, length) for rate, length in zip(rates_per_s, lengths_s, strict=True)], rng)


@contextmanager
def _plan(data: Path, insights: AppInsights, options: Sequence[str], **settings: str) -> Iterator[Plan]:
    """A plan that sends its telemetry; all of it has been sent when the block ends."""
    known = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": insights.connection_string,
        "RECSERVE_STATE_PATH": str(data.with_suffix(".db")),
        "RECSERVE_OUTBOX_PATH": str(data.with_suffix(".outbox.db")),
        "RECSERVE_RELOAD_S": "0",
    }
    sent_to = ("--app-insights", insights.connection_string, "--idle-s", "600")
    with running_plan(data, known | settings, options=[*options, *sent_to]) as plan:
        yield plan


@contextmanager
def _plan_on_slow_store(data: Path, insights: AppInsights) -> Iterator[tuple[Plan, SlowLink]]:
    folder = data.with_suffix(".azurite")
    folder.mkdir()
    with running_azurite(folder) as azurite, slow_link(azurite.table_port) as link:
        # Every answer is to ask the store: the app remembers no history.
        settings = {
            "RECSERVE_STATE_TABLES_CONNECTION_STRING": _through(link, azurite),
            "RECSERVE_CACHED_USERS": "0",
            "RECSERVE_STATE_TIMEOUT_MS": "200",
        }
        with _plan(data, insights, ONE, **settings) as plan:
            yield plan, link


def _through(link: SlowLink, azurite: Azurite) -> str:
    return azurite.connection_string.replace(f":{azurite.table_port}/", f":{link.port}/")


def _with_histories(plan: Plan) -> list[bytes]:
    """Requests by users whose histories the store has."""
    catalogue = httpx.get(f"{plan.url}/api/items", params={"limit": N_HISTORY}, timeout=30).json()["items"]
    users = [f"user-{number}" for number in range(N_USERS)]
    events = [
        {"event_id": f"{user}-{item['id']}", "user_id": user, "item_id": item["id"], "kind": "click"}
        for user in users
        for item in catalogue
    ]
    httpx.post(f"{plan.url}/api/events", json={"events": events[:500]}, timeout=30).raise_for_status()
    httpx.post(f"{plan.url}/api/events", json={"events": events[500:]}, timeout=30).raise_for_status()
    return [post("/api/recommend", {"user_id": user, "k": 10}) for user in users]


def _freeze(plan: Plan, bench: IncidentsBench) -> None:
    time.sleep(bench.quiet_s)
    [instance] = [each["instance"] for each in plan.status()["instances"]]
    until_s = time.monotonic() + bench.incident_s
    while time.monotonic() < until_s:
        plan.command(f"freeze {instance} {bench.freeze_s}")
        time.sleep(3 * bench.freeze_s)


def _slow_down(link: SlowLink, bench: IncidentsBench) -> None:
    time.sleep(bench.quiet_s)
    link.delay_s = bench.slow_by_s
    time.sleep(bench.incident_s)
    link.delay_s = 0.0


def _judge(incident: str, insights: AppInsights, began: datetime, observed: Observed) -> dict[str, Any]:
    """What the overview says of the time of an incident."""
    telemetry = Telemetry(Source("incidents", LOCAL_WORKSPACE, f"{insights.url}/v1"))
    until = datetime.now(UTC) + timedelta(seconds=1)
    n_answered = int((observed.status == 200).sum())

    def ask(name: str, **values: Any) -> Table:
        return telemetry.read(load_query(name).text(**values), began, until).table

    _wait_until_arrived(lambda: ask("measured"), n_answered)
    requests = ask("requests", slo_ms=PROMISE.within_ms, interval=timedelta(minutes=1))
    kept = kept_of(with_held(requests, ask("held", slo_ms=PROMISE.within_ms, interval=timedelta(minutes=1))))
    contributors = rank(ask("tail_causes", slo_ms=PROMISE.within_ms))
    named = contributors[0].name if contributors else ""
    return {
        "expected": EXPECTED[incident],
        "named": named,
        "is_right": named == EXPECTED[incident],
        "says": verdict(kept, PROMISE, contributors, hour=kept),
        "contributors": [_described(each) for each in contributors],
        "kept_share": round(kept.share, 4),
        "n_requests_in_telemetry": round(kept.n_requests),
        "callers": _seen(observed),
    }


def _wait_until_arrived(read: Callable[[], Table], n_answered: int) -> None:
    """Wait for what processes count, unsampled: it leaves with the last of their spans, when they end.

    Args:
        read: the answer to `measured`.

    Raises:
        RuntimeError: telemetry does not come.
    """
    give_up_s = time.monotonic() + ARRIVE_LIMIT_S
    while _n_counted(read()) < ARRIVED * n_answered:
        if time.monotonic() > give_up_s:
            raise RuntimeError(
                f"telemetry of {n_answered} answers did not arrive within {ARRIVE_LIMIT_S:g} s"
            )
        time.sleep(0.5)


def _n_counted(measured: Table) -> float:
    if not measured.n_rows:
        return 0.0
    is_answer = (measured["function_name"] == "recommend") & (measured["outcome"] == "ok")
    return float(np.nansum(measured["n_requests"][is_answer]))


def _described(contributor: Contributor) -> dict[str, Any]:
    return {
        "cause": contributor.name,
        "share": round(contributor.share, 4),
        "over_ms": round(contributor.over_ms, 1),
        "n_requests": round(contributor.n_requests),
    }


def _seen(observed: Observed) -> dict[str, Any]:
    answered = observed.status == 200
    return {
        "n": len(observed.status),
        "statuses": dict(sorted(Counter(map(str, observed.status.tolist())).items())),
        "n_held": int((observed.held_ms > 0).sum()),
        "p50_ms": round(float(np.percentile(observed.latency_s[answered], 50)) * 1e3, 1),
        "p99_ms": round(float(np.percentile(observed.latency_s[answered], 99)) * 1e3, 1),
        "within_slo": round(float((answered & (observed.latency_s * 1e3 <= PROMISE.within_ms)).mean()), 4),
    }


def format_table(figures: dict[str, Any]) -> str:
    """A line for each incident."""
    lines = []
    for incident, found in figures["incidents"].items():
        mark = "right" if found["is_right"] else f"WRONG, expected {found['expected']}"
        shares = "  ".join(f"{each['cause']} {each['share']:.0%}" for each in found["contributors"])
        lines.append(f"{incident:11} {found['named'] or 'nothing'} ({mark})   {shares}")
        lines.append(f"{'':11} {found['says']}")
    return "\n".join(lines)
