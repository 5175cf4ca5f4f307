"""The store of histories killed under load and started again: who is answered how, and what is lost.

The app keeps histories in Table Storage on a real Azurite, and is asked for recommendations by user id, and
told of events with ids of their own, open-loop and Poisson throughout:

    healthy       until Azurite is killed, as by a power cut
    down          until it accepts connections again
    catching up   until the outbox of the app is empty
    recovered     from then on

When the load is over, the outbox is empty and the app has ended, every event that it acknowledged must be in
Azurite, read from there by a store without cache and outbox.

Azurite acknowledges what it has not saved yet, which Azure does not. So events pause while it saves, and go on
for `UNSAVED_S` before it is killed, so that some are on their way in that moment. What it acknowledged in
that time, and takes with it, is Azurite's loss; it is counted apart.
"""

import asyncio
import json
import os
import sqlite3
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.closed_loop import closed_loop
from benchmarks.results import percentiles
from benchmarks.server import Server, serving
from benchmarks.traffic import post
from emulator.azurite import Azurite, running_azurite
from emulator.load.client import NO_ANSWER, Sent, send
from planner.arrivals import Phase, poisson
from recserve.state.table_storage import TableStore
from training.datasets import read_dataset
from training.sequences import read_sequences

SERVER_CORE, SENDER_CORE = 0, 1
AZURITE_CORE = 2 if (os.cpu_count() or 1) > 2 else SENDER_CORE
N_STORED = 20
"Newest items of each user that are stored before the load."
PAUSE_S = 9.0
"For which no events are sent, so that Azurite, which saves every five seconds, has saved all before."
GRACE_S = 1.0
"Of the pause, until the last event before it is answered."
UNSAVED_S = 0.5
"From the end of the pause until Azurite is killed."
EVENTS_A_BATCH = 500
N_BURN_IN_USERS = 10
BURN_IN_S = 3.0
DRAIN_LIMIT_S = 60.0
PHASES = ("healthy", "down", "catching up", "recovered")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageBench:
    models_dir: str = "models"
    "Models directory that is served."
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask."
    rate_per_s: float = 200.0
    share_of_events: float = 0.15
    "Of the requests; the others ask for recommendations."
    healthy_s: float = 25.0
    down_s: float = 20.0
    "From the kill until Azurite is started again; it needs a second or two."
    after_s: float = 30.0
    "From then on."
    seed: int = 0


class Sample(NamedTuple):
    """One event, as it was sent."""

    event_id: str
    user_id: str
    item_id: str


class Schedule(NamedTuple):
    arrivals_s: NDArray[np.float64]
    requests: list[bytes]
    events: dict[int, Sample]
    "By the number of the request that sends it."


class Course(NamedTuple):
    """When what happened, on the clock of `perf_counter`."""

    killed_s: float
    started_s: float
    "When Azurite was started again."
    accepting_s: float
    drained_s: float
    "When the outbox was empty."
    n_waiting: int
    "Events in the outbox when Azurite accepted again."


class _Recommendations(msgspec.Struct):
    degraded: list[str]
    basis: str


class _Refusal(msgspec.Struct):
    reason: str = "other"


class _Accepted(msgspec.Struct):
    is_deferred: bool


def run(bench: OutageBench) -> dict[str, Any]:
    """Store histories, load the app through an outage, and look for every acknowledged event."""
    rng = np.random.default_rng(bench.seed)
    histories = _read_histories(bench)
    schedule = draw_schedule(bench, histories, rng)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recserve-outage-")))
        (folder / "azurite").mkdir()
        os.sched_setaffinity(0, {AZURITE_CORE})  # what is started from here inherits it
        azurite = stack.enter_context(running_azurite(folder / "azurite"))
        os.sched_setaffinity(0, {SENDER_CORE})
        settings = {
            "RECSERVE_MODELS_DIR": str(Path(bench.models_dir).resolve()),
            "RECSERVE_STATE_TABLES_CONNECTION_STRING": azurite.connection_string,
            "RECSERVE_OUTBOX_PATH": str(folder / "outbox.db"),
            "RECSERVE_RELOAD_S": "0",
        }
        with serving(settings, core=SERVER_CORE, log=folder / "server.log") as server:
            _store(server, histories)
            _burn_in(server, list(histories)[:N_BURN_IN_USERS])
            sent, course = uvloop.run(_load(bench, server, azurite, folder / "outbox.db", schedule))
            n_left = _wait_until_drained(folder / "outbox.db", lambda: False)
        users = {event.user_id for event in schedule.events.values()}
        found = asyncio.run(_export(azurite.connection_string, users))
    return _figures(bench, schedule, sent, course, found) | {"n_left_in_outbox": n_left}


def _read_histories(bench: OutageBench) -> dict[str, list[str]]:
    """Item ids of each test user, the oldest first."""
    sequences = read_sequences(read_dataset(bench.source, cache_dir=Path(".local/datasets")))
    histories, _ = sequences.held_out("test")
    return {
        f"user-{number}": [str(sequences.item_ids[item - 1]) for item in history[-N_STORED:].tolist()]
        for number, history in enumerate(histories)
    }


def draw_schedule(
    bench: OutageBench, histories: Mapping[str, Sequence[str]], rng: np.random.Generator
) -> Schedule:
    """Arrivals, and what each asks or tells; no events in the pause before the kill."""
    arrivals_s = poisson([Phase(bench.rate_per_s, bench.healthy_s + bench.down_s + bench.after_s)], rng)
    pause_ends_s = bench.healthy_s - UNSAVED_S
    is_paused = (arrivals_s >= pause_ends_s - PAUSE_S) & (arrivals_s < pause_ends_s)
    is_event = (rng.random(len(arrivals_s)) < bench.share_of_events) & ~is_paused
    user_ids = list(histories)
    item_ids = sorted({item_id for history in histories.values() for item_id in history})
    requests, events = [], {}
    for number, user in enumerate(rng.integers(0, len(user_ids), len(arrivals_s)).tolist()):
        if is_event[number]:
            item_id = item_ids[int(rng.integers(len(item_ids)))]
            events[number] = Sample(f"event-{number}", user_ids[user], item_id)
            requests.append(post("/api/events", {"events": [_event(events[number])]}))
        else:
            requests.append(post("/api/recommend", {"user_id": user_ids[user], "k": 10}))
    return Schedule(arrivals_s, requests, events)


def _event(event: Sample) -> dict[str, str]:
    return event._asdict() | {"kind": "click"}


def _store(server: Server, histories: Mapping[str, Sequence[str]]) -> None:
    """Have the app take the users' histories, a few users a request."""
    samples = [
        Sample(f"stored-{place}", user_id, item_id)
        for user_id, history in histories.items()
        for place, item_id in enumerate(history)
    ]
    for start in range(0, len(samples), EVENTS_A_BATCH):
        if _post_events(server, samples[start : start + EVENTS_A_BATCH]).is_deferred:
            raise RuntimeError("Azurite is too slow for the histories: the app deferred some of them")


def _post_events(server: Server, events: Sequence[Sample]) -> _Accepted:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/events",
        data=json.dumps({"events": [_event(event) for event in events]}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return msgspec.json.decode(response.read(), type=_Accepted)


def _burn_in(server: Server, user_ids: Sequence[str]) -> None:
    """Warm code and connections, with so few users that the cache knows hardly any of the others."""
    requests = [post("/api/recommend", {"user_id": user_id, "k": 10}) for user_id in user_ids]
    uvloop.run(closed_loop(server.port, requests, n_callers=2, duration_s=BURN_IN_S))


async def _load(
    bench: OutageBench, server: Server, azurite: Azurite, outbox: Path, schedule: Schedule
) -> tuple[Sent, Course]:
    is_over = threading.Event()
    outage = asyncio.create_task(asyncio.to_thread(_cause_outage, bench, server, azurite, outbox, is_over))
    try:
        sent = await send(
            "127.0.0.1", server.port, arrivals_s=schedule.arrivals_s, requests=schedule.requests
        )
        return sent, await outage
    finally:
        is_over.set()


def _cause_outage(
    bench: OutageBench, server: Server, azurite: Azurite, outbox: Path, is_over: threading.Event
) -> Course:
    """Save, kill, start again, and wait for the outbox; on a thread beside the load."""
    starts_s = perf_counter()

    def wait_until(at_s: float) -> None:
        if is_over.wait(max(0.0, starts_s + at_s - perf_counter())):
            raise RuntimeError("the load ended before the outage")

    wait_until(bench.healthy_s - UNSAVED_S - PAUSE_S + GRACE_S)
    # Azurite saves only what has changed since it last did.
    _post_events(server, [Sample("settled", "nobody", "1")])
    azurite.settle()
    if perf_counter() > starts_s + bench.healthy_s - UNSAVED_S:
        raise RuntimeError("Azurite took longer to save than events paused; the machine is too busy")
    wait_until(bench.healthy_s)
    azurite.kill()
    killed_s = perf_counter()
    wait_until(bench.healthy_s + bench.down_s)
    os.sched_setaffinity(0, {AZURITE_CORE})
    started_s = perf_counter()
    azurite.start()
    accepting_s = perf_counter()
    os.sched_setaffinity(0, {SENDER_CORE})
    n_waiting = _count_waiting(outbox)
    _wait_until_drained(outbox, is_over.is_set)
    return Course(killed_s, started_s, accepting_s, perf_counter(), n_waiting)


def _wait_until_drained(outbox: Path, is_given_up: Callable[[], bool]) -> int:
    """Wait until no event is in the outbox; returns how many are, after `DRAIN_LIMIT_S`."""
    give_up_s = time.monotonic() + DRAIN_LIMIT_S
    while (n_waiting := _count_waiting(outbox)) and time.monotonic() < give_up_s and not is_given_up():
        time.sleep(0.05)
    return n_waiting


def _count_waiting(outbox: Path) -> int:
    with closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as connection:
        (n_waiting,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return int(n_waiting)


async def _export(connection_string: str, user_ids: set[str]) -> set[Sample]:
    """Every event of these users that Azurite holds."""
    store = TableStore(connection_string=connection_string)
    try:
        return {
            Sample(event.event_id, event.user_id, event.item_id)
            for user_id in sorted(user_ids)
            for event in await store.export(user_id)
        }
    finally:
        await store.close()


def _figures(
    bench: OutageBench, schedule: Schedule, sent: Sent, course: Course, found: set[Sample]
) -> dict[str, Any]:
    scheduled_s = sent.started_s + sent.scheduled_s
    phase_of = np.searchsorted([course.killed_s, course.accepting_s, course.drained_s], scheduled_s)
    is_event = np.zeros(len(scheduled_s), bool)
    is_event[list(schedule.events)] = True
    unsaved_s = (course.killed_s - UNSAVED_S - (PAUSE_S - GRACE_S), course.killed_s)
    return {
        "phases": {
            name: _phase(sent, np.flatnonzero((phase_of == number) & ~is_event))
            | {"events": _events(sent, np.flatnonzero((phase_of == number) & is_event))}
            for number, name in enumerate(PHASES)
        },
        "acknowledged": count_kept(schedule, sent, found, unsaved_s=unsaved_s),
        "n_5xx": int((sent.status >= 500).sum()),
        "n_without_answer": int((sent.status == NO_ANSWER).sum()),
        "down_s": round(course.accepting_s - course.killed_s, 2),
        "n_in_outbox_at_restart": course.n_waiting,
        "drained_after_s": {
            "azurite_started": round(course.drained_s - course.started_s, 2),
            "azurite_accepted": round(course.drained_s - course.accepting_s, 2),
        },
        "sender_late_ms": percentiles((sent.late_s * 1e3).tolist()),
    }


def count_kept(
    schedule: Schedule, sent: Sent, found: set[Sample], *, unsaved_s: tuple[float, float]
) -> dict[str, int]:
    """What became of the events that the app acknowledged.

    Args:
        schedule: what was sent.
        sent: what became of it.
        found: what Azurite holds in the end.
        unsaved_s: the span, on the clock of `perf_counter`, in which Azurite acknowledged what it had no
            time to save: events that the app passed on to it then, and that are missing, are not the app's loss.
    """
    counts = Counter(
        dict.fromkeys(("n", "n_deferred", "n_lost", "n_unsaved_by_azurite", "n_azurite_lost"), 0)
    )
    for number, event in schedule.events.items():
        if sent.status[number] != 200:
            continue
        is_deferred = msgspec.json.decode(sent.answers[number], type=_Accepted).is_deferred
        ended_s = sent.started_s + float(sent.scheduled_s[number] + sent.latency_s[number])
        is_unsaved = not is_deferred and unsaved_s[0] <= ended_s <= unsaved_s[1]
        counts["n"] += 1
        counts["n_deferred"] += is_deferred
        counts["n_unsaved_by_azurite"] += is_unsaved
        if event not in found:
            counts["n_azurite_lost" if is_unsaved else "n_lost"] += 1
    return dict(counts)


def _phase(sent: Sent, chosen: NDArray[np.int64]) -> dict[str, Any]:
    """Counts and latencies of recommendations."""
    answers = [
        msgspec.json.decode(sent.answers[number], type=_Recommendations)
        for number in chosen.tolist()
        if sent.status[number] == 200
    ]
    n_degraded = sum(bool(answer.degraded) for answer in answers)
    return {
        "n": len(chosen),
        "statuses": _statuses(sent, chosen),
        "n_refused": _refusals(sent, chosen),
        "share_degraded": round(n_degraded / len(answers), 4) if answers else None,
        "degraded": dict(Counter(word for answer in answers for word in answer.degraded)),
        "basis": dict(Counter(answer.basis for answer in answers)),
        "latencies_ms": _latencies(sent, chosen),
    }


def _events(sent: Sent, chosen: NDArray[np.int64]) -> dict[str, Any]:
    deferred = Counter(
        msgspec.json.decode(sent.answers[number], type=_Accepted).is_deferred
        for number in chosen.tolist()
        if sent.status[number] == 200
    )
    return {
        "n": len(chosen),
        "statuses": _statuses(sent, chosen),
        "n_refused": _refusals(sent, chosen),
        "n_stored": deferred[False],
        "n_deferred": deferred[True],
        "latencies_ms": _latencies(sent, chosen),
    }


def _statuses(sent: Sent, chosen: NDArray[np.int64]) -> dict[str, int]:
    counts = Counter(
        "no answer" if status == NO_ANSWER else str(status) for status in sent.status[chosen].tolist()
    )
    return dict(sorted(counts.items()))


def _refusals(sent: Sent, chosen: NDArray[np.int64]) -> dict[str, int]:
    """Answers with status 429 by reason."""
    refused = chosen[sent.status[chosen] == 429].tolist()
    return dict(Counter(msgspec.json.decode(sent.answers[i], type=_Refusal).reason for i in refused))


def _latencies(sent: Sent, chosen: NDArray[np.int64]) -> dict[str, float] | None:
    latencies_ms = sent.latency_s[chosen[sent.status[chosen] == 200]] * 1e3
    return percentiles(latencies_ms.tolist()) if len(latencies_ms) else None


def format_table(figures: dict[str, Any]) -> str:
    """A line for each phase, and what was kept."""
    lines = []
    for name, phase in figures["phases"].items():
        events = phase["events"]
        lines.append(
            f"{name:12} {_show(phase)}  degraded {phase['share_degraded'] or 0:.1%} {phase['degraded']}\n"
            f"{'events':>12} {_show(events)}  stored {events['n_stored']}, deferred {events['n_deferred']}"
        )
    kept, drained_s = figures["acknowledged"], figures["drained_after_s"]
    lines += [
        f"5xx {figures['n_5xx']} (target: 0), without an answer {figures['n_without_answer']}; "
        f"sender late p99 {figures['sender_late_ms']['p99_ms']:.2f} ms",
        f"{kept['n']} events acknowledged, {kept['n_deferred']} of them deferred, lost {kept['n_lost']} (target: 0); "
        f"Azurite acknowledged {kept['n_unsaved_by_azurite']} without saving and lost {kept['n_azurite_lost']}",
        f"down {figures['down_s']} s; {figures['n_in_outbox_at_restart']} events in the outbox, gone "
        f"{drained_s['azurite_accepted']} s after Azurite accepted, {drained_s['azurite_started']} s after its start; "
        f"left {figures['n_left_in_outbox']}",
    ]
    return "\n".join(lines)


def _show(of_kind: dict[str, Any]) -> str:
    latencies = of_kind["latencies_ms"]
    times = f"p50 {latencies['p50_ms']:.2f}  p99 {latencies['p99_ms']:.2f} ms" if latencies else "no answers"
    refused = f" refused {of_kind['n_refused']}" if of_kind["n_refused"] else ""
    return f"{of_kind['statuses']}{refused}  {times}"
