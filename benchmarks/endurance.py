"""Half an hour of real arrivals on the emulated plan, with a fault every minute: what leaks, and what is lost.

The plan, its instances and the Application Insights emulator run for the whole time; the load generator replays
recorded arrivals with sessions that tell the service of what they watched. Every minute something happens: an
instance is killed, frozen or slowed, all are restarted or deployed anew, or the state store is cut off.

In the end every event that the service acknowledged must be in the store, and what the plan holds of this
machine (processes, files, memory) must not have grown with time.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.app_insights import AppInsights, running_app_insights
from benchmarks.plan import Plan, running_plan
from benchmarks.server import ROOT
from emulator.premium_plan.errors import PlanError

FAULTS = ("kill {oldest}", "freeze {oldest} 5", "slow {oldest} 0.3", "restart all", "cut state 10", "deploy")
SAMPLE_EVERY_S = 5.0
SETTLED_S = 120.0
"Before this, caches fill; growth counts from here on."
DRAIN_S = 10.0
"In which the outbox empties, once the load is over."
LOAD_FIGURES = ("n_sent", "answered", "by_status", "by_kind", "n_impacted", "errors")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnduranceBench:
    trace: str = "../shared/traces/azure-llm-conv.csv"
    "Arrivals that are replayed."
    minutes: float = 30.0
    rate_per_s: float = 20.0
    fault_every_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the plan holds of this machine at one moment."""

    at_s: float
    n_processes: int
    "Of the plan: itself and all below it."
    n_files: int
    "Open in the plan's own process."
    n_threads: int
    plan_mib: float
    instances_mib: float
    "Of the largest instance."
    app_insights_mib: float


def run(bench: EnduranceBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run plan, telemetry and load; do the faults; look for what leaked and what was lost."""
    with tempfile.TemporaryDirectory(prefix="recserve-endurance-") as folder:
        state = Path(folder) / "state.db"
        settings = {
            "RECSERVE_STATE_PATH": str(state),
            "RECSERVE_OUTBOX_PATH": str(Path(folder) / "outbox.db"),
        }
        with running_app_insights(Path(folder) / "telemetry") as app_insights:
            options = [
                *("--always-ready", "1", "--pre-warmed", "1", "--max-burst", "3", "--idle-s", "45"),
                *("--app-insights", app_insights.connection_string),
            ]
            with running_plan(Path(folder) / "plan", settings, options=options) as plan:
                load = _start_load(bench, plan, Path(folder))
                try:
                    holdings, done = _watch(bench, plan, app_insights, load, on_stage)
                finally:
                    if load.poll() is None:
                        load.send_signal(signal.SIGINT)
                    load.wait(60)
                time.sleep(DRAIN_S)
                pids = _below(plan.pid)
            n_left = sum(Path(f"/proc/{pid}").exists() for pid in pids)
        result = json.loads((Path(folder) / "load.json").read_text())
        acknowledged = {
            json.loads(line)["event_id"]
            for line in (Path(folder) / "load.events.jsonl").read_text().splitlines()
        }
        stored = _stored_events(state)
    return {
        "load": {name: _without_buckets(result["figures"][name]) for name in LOAD_FIGURES},
        "load_is_valid": result["valid"],
        "load_reasons": result["reasons"],
        "faults": done,
        "holdings": _growth(holdings),
        "n_processes_left": n_left,
        "events": {"n_acknowledged": len(acknowledged), "n_lost": len(acknowledged - stored)},
    }


def _without_buckets(figure: Any) -> Any:
    """A figure without the histograms that could be merged with others."""
    if not isinstance(figure, dict):
        return figure
    return {name: _without_buckets(value) for name, value in figure.items() if name != "hdr"}


def _start_load(bench: EnduranceBench, plan: Plan, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks", "load", "--url", f"{plan.url}/api", "--trace", bench.trace),
            *("--rate", str(bench.rate_per_s), "--duration", str(bench.minutes * 60)),
            *("--seed", str(bench.seed), "--out", str(folder / "load.json")),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _watch(
    bench: EnduranceBench,
    plan: Plan,
    app_insights: AppInsights,
    load: "subprocess.Popen[bytes]",
    on_stage: Callable[[str], None],
) -> tuple[list[Holding], list[dict[str, Any]]]:
    """Do the faults and sample, until the load is over."""
    began_s = time.monotonic()
    next_fault_s = bench.fault_every_s
    holdings: list[Holding] = []
    done: list[dict[str, Any]] = []
    while load.poll() is None:
        at_s = time.monotonic() - began_s
        if at_s >= next_fault_s and at_s < bench.minutes * 60 - 30:
            done.append({"at_s": round(at_s, 1)} | _do(plan, FAULTS[len(done) % len(FAULTS)]))
            on_stage(f"{at_s / 60:4.1f} min  {done[-1]['command']}: {done[-1]['outcome']}")
            next_fault_s += bench.fault_every_s
        holdings.append(_hold(plan, app_insights, at_s))
        time.sleep(SAMPLE_EVERY_S)
    return holdings, done


def _do(plan: Plan, template: str) -> dict[str, str]:
    active = [each["instance"] for each in plan.status()["instances"] if each["state"] == "active"]
    line = template.format(oldest=active[0] if active else "none")
    try:
        return {"command": line, "outcome": plan.command(line)}
    except PlanError as err:
        return {"command": line, "outcome": f"cannot be done: {err}"}


def _hold(plan: Plan, app_insights: AppInsights, at_s: float) -> Holding:
    below = _below(plan.pid)
    return Holding(
        at_s=at_s,
        n_processes=len(below) + 1,
        n_files=sum(1 for _ in Path(f"/proc/{plan.pid}/fd").iterdir()),
        n_threads=sum(1 for _ in Path(f"/proc/{plan.pid}/task").iterdir()),
        plan_mib=_rss_mib(plan.pid),
        instances_mib=max((_rss_mib(pid) for pid in below), default=0.0),
        app_insights_mib=_rss_mib(app_insights.pid),
    )


def _below(pid: int) -> list[int]:
    """All descendants of a process."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, children) for each in (child, *_below(child))]


def _rss_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, IndexError):
        return 0.0


def _growth(holdings: list[Holding]) -> dict[str, Any]:
    """Of each quantity: the median of the first and of the last quarter after things settled, and the most."""
    settled = [each for each in holdings if each.at_s >= min(SETTLED_S, holdings[-1].at_s / 4)]
    quarter = max(1, len(settled) // 4)
    told: dict[str, Any] = {}
    for name in ("n_processes", "n_files", "n_threads", "plan_mib", "instances_mib", "app_insights_mib"):
        values = [getattr(each, name) for each in settled]
        told[name] = {
            "first_quarter": round(float(np.median(values[:quarter])), 1),
            "last_quarter": round(float(np.median(values[-quarter:])), 1),
            "most": round(float(max(values)), 1),
        }
    return told


def _stored_events(state: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        return {event_id for (event_id,) in connection.execute("SELECT event_id FROM events")}


def format_table(figures: dict[str, Any]) -> str:
    """What happened, what grew, what was lost."""
    load, events = figures["load"], figures["events"]
    statuses = ", ".join(f"{status} {of['n']:,}" for status, of in load["by_status"].items())
    lines = [
        f"{load['n_sent']:,} requests: {statuses}; p99 {load['answered']['p99_ms']} ms; impacted {load['n_impacted']}",
        f"{len(figures['faults'])} faults; events acknowledged {events['n_acknowledged']:,}, lost {events['n_lost']}; "
        f"processes left {figures['n_processes_left']}",
    ]
    lines += [
        f"{name:18} first quarter {each['first_quarter']}  last quarter {each['last_quarter']}  most {each['most']}"
        for name, each in figures["holdings"].items()
    ]
    return "\n".join(lines)
