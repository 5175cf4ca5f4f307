"""The load generator: users of a running service, who come when a schedule says and not when it suits the service.

    poisson    independent users at one rate
    bursty     two states with exponential holding times, calm and burst (MMPP-2)
    diurnal    a day's curve between trough and peak
    replay     the arrivals of a trace (`planner/traces.py` has the schemas)

`--rate` is the mean rate of every shape. Latency counts from the scheduled instant. The run is invalid, says so
and ends with status 3 when the sender itself was late or short of its core (`emulator/load/truth.py`).
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.load_picture import draw
from benchmarks.results import describe_result
from benchmarks.traffic import model_transitions, recorded_audience
from emulator.load.audience import Audience, DrawnAudience
from emulator.load.generator import LoadRun, generate
from emulator.load.sessions import MAX_HISTORY, Sessions
from emulator.load.target import LoadError, find_target
from emulator.load.truth import pin
from planner.arrivals import Phase, around_mean, bursty, diurnal, poisson, replay
from planner.traces import Trace, TraceError, read_trace
from recserve.errors import InvalidModels
from training.errors import TrainingError

SHAPES = ("poisson", "bursty", "diurnal", "replay")
DURATION_S, RATE_PER_S = 60.0, 20.0
"Where none is given; a replay lasts as long as its trace and has its rate."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    url: str = "http://127.0.0.1:7071/api"
    shape: str = "poisson"
    rate_per_s: float | None = None
    duration_s: float | None = None
    burst_over_calm: float = 10.0
    calm_s: float = 20.0
    "Mean holding time of the calm state, of the bursty shape."
    burst_s: float = 5.0
    peak_over_trough: float = 4.0
    period_s: float | None = None
    "Of the diurnal shape; None: the whole run is one day."
    trace: Path | None = None
    speed: float = 1.0
    event_share: float = 1.0
    "Share of watched items that the service is told of."
    n_users: int = 100
    "How many are about at a time."
    models: Path = Path("models")
    "Where transitions come from."
    source: str | None = None
    "Dataset whose test users come instead, each with the item really taken next."
    timeout_s: float = 30.0
    core: int | None = None
    seed: int = 0
    out: Path = Path(".local/load/load.json")
    key: str | None = None
    "Function key."


def run(settings: LoadSettings, *, on_second: Callable[[str], None]) -> tuple[LoadRun, list[Path]]:
    """Run the load; write figures, acknowledged events and a picture.

    Returns:
        The run, and the files.

    Raises:
        LoadError: it cannot be run; the message is one line.
    """
    try:
        return _run(settings, on_second)
    except (TraceError, InvalidModels, TrainingError) as err:
        raise LoadError(str(err)) from err


def _run(settings: LoadSettings, on_second: Callable[[str], None]) -> tuple[LoadRun, list[Path]]:
    schedule_rng, event_rng = np.random.default_rng(settings.seed).spawn(2)
    arrivals_s = schedule(settings, schedule_rng)
    if not len(arrivals_s):
        raise LoadError("the schedule has no arrivals; choose a longer --duration or a higher --rate")
    target = find_target(settings.url)
    audience = _audience(settings)
    files = [settings.out, settings.out.with_suffix(".events.jsonl"), settings.out.with_suffix(".svg")]
    core = pin(settings.core)
    tag = f"load-{int(time() * 1000):x}"
    with ExitStack() as stack:
        try:
            settings.out.parent.mkdir(parents=True, exist_ok=True)
            acknowledged = stack.enter_context(files[1].open("w", buffering=1))
        except OSError as err:
            raise LoadError(f"--out {settings.out}: {err.strerror}; name a file that can be written") from err
        sessions = Sessions(
            target,
            audience,
            tag=tag,
            n_users=settings.n_users,
            event_share=settings.event_share,
            rng=event_rng,
            acknowledged=acknowledged,
            key=settings.key,
        )
        done = uvloop.run(
            generate(
                target,
                arrivals_s=arrivals_s,
                sessions=sessions,
                timeout_s=settings.timeout_s,
                on_second=on_second,
            )
        )
    described = asdict(settings) | {"key": bool(settings.key), "core": core, "tag": tag}
    verdict = {"valid": done.is_valid, "reasons": done.reasons, "interrupted": done.is_interrupted}
    result = verdict | describe_result("load", settings=described, figures=done.figures)
    settings.out.write_text(json.dumps(result, indent=1, default=str) + "\n")
    draw(result, files[2])
    return done, files


def schedule(settings: LoadSettings, rng: np.random.Generator) -> NDArray[np.float64]:
    """When requests leave, seconds from the start, ascending, (n_requests,).

    Raises:
        LoadError: a setting makes no sense; the message names its option.
        TraceError: the trace cannot be read.
    """
    _check(settings)
    rate_per_s = RATE_PER_S if settings.rate_per_s is None else settings.rate_per_s
    duration_s = DURATION_S if settings.duration_s is None else settings.duration_s
    if settings.shape == "bursty":
        calm, burst = around_mean(
            rate_per_s,
            burst_over_calm=settings.burst_over_calm,
            calm_s=settings.calm_s,
            burst_s=settings.burst_s,
        )
        return bursty(calm, burst, duration_s=duration_s, rng=rng)
    if settings.shape == "diurnal":
        return diurnal(
            rate_per_s,
            peak_over_trough=settings.peak_over_trough,
            period_s=settings.period_s or duration_s,
            duration_s=duration_s,
            rng=rng,
        )
    if settings.shape == "replay":
        trace: Trace = read_trace(settings.trace or Path())
        try:
            return replay(
                trace.arrivals_s,
                speed=settings.speed,
                rate_per_s=settings.rate_per_s,
                duration_s=settings.duration_s,
                rng=rng,
            )
        except ValueError as err:
            raise LoadError(f"--trace {settings.trace}: {err}") from err
    return poisson([Phase(rate_per_s, duration_s)], rng)


def _check(settings: LoadSettings) -> None:
    if settings.shape not in SHAPES:
        raise LoadError(f"unknown shape {settings.shape!r}; known are {', '.join(SHAPES)}")
    if (settings.shape == "replay") != (settings.trace is not None):
        raise LoadError("--shape replay and --trace go together; name a trace to replay, or another shape")
    for option, value, least in (
        ("--rate", settings.rate_per_s, 0.0),
        ("--burst", settings.burst_over_calm, 1.0),
        ("--peak", settings.peak_over_trough, 1.0),
        ("--events", settings.event_share, 0.0),
        ("--users", settings.n_users, 1),
    ):
        if value is not None and not least <= value < np.inf:
            raise LoadError(f"{option} {value:g} is not allowed; send a number from {least:g}")
    if settings.event_share > 1:
        raise LoadError(f"--events {settings.event_share:g} is not allowed; send a share from 0 to 1")
    for option, value in (
        ("--duration", settings.duration_s),
        ("--calm-s", settings.calm_s),
        ("--burst-s", settings.burst_s),
        ("--period", settings.period_s),
        ("--speed", settings.speed),
        ("--timeout", settings.timeout_s),
    ):
        if value is not None and not 0 < value < np.inf:
            raise LoadError(f"{option} {value:g} is not allowed; send a number above 0")
    if settings.seed < 0:
        raise LoadError(f"--seed {settings.seed} is not allowed; send a whole number from 0")


def _audience(settings: LoadSettings) -> Audience:
    if settings.source:
        rng = np.random.default_rng(settings.seed)
        return recorded_audience(settings.source, max_history=MAX_HISTORY, rng=rng)
    return DrawnAudience(model_transitions(settings.models), seed=settings.seed)


def format_summary(done: LoadRun) -> str:
    """What a person wants to know first."""
    figures = done.figures
    sender, sessions, answered = figures["sender"], figures["sessions"], figures["answered"]
    statuses = ", ".join(f"{status} {of['n']}" for status, of in figures["by_status"].items())
    lines = [
        f"{figures['n_sent']} requests sent, {figures['sent_per_s']} a second; {statuses or 'no outcome'}"
    ]
    if answered["n"]:
        tail = "  ".join(
            f"{p.replace('_', '.')} {answered[f'{p}_ms']:.1f}"
            for p in ("p50", "p95", "p99", "p99_9", "p99_99")
        )
        lines.append(
            f"latency of answers from the scheduled instant, ms: {tail}  max {answered['max_ms']:.1f}"
        )
    lines.append(f"cold {sessions['n_cold']}, impacted {figures['n_impacted']}")
    lines += [
        f"  {name}: {of['n']} answers, p99 {of['p99_ms']:.1f} ms"
        for name, of in figures["by_instance"].items()
    ]
    lines += [
        f"quality, {variant}: hit rate@10 {of['hit_rate_10']:.3f}, NDCG@10 {of['ndcg_10']:.3f} over {of['n']} lists"
        for variant, of in sessions["quality"].items()
    ]
    lines.append(f"events acknowledged: {sessions['events']['n_acknowledged']}")
    lines += [f"no answer, {error}: {n}" for error, n in figures["errors"].items()]
    if sessions["n_unknown_items"]:
        lines.append(
            f"{sessions['n_unknown_items']} items are unknown to the service; are --models those it serves?"
        )
    if figures["n_sent"]:
        lines.append(
            f"sender: lag p50 {sender['lag_p50_ms']:.3f} ms, p99 {sender['lag_p99_ms']:.3f} ms; "
            f"{sender['core_used']:.0%} of its core, {sender['core_used_busiest_5_s']:.0%} in its busiest five seconds"
        )
    lines += [f"INVALID: {reason}" for reason in done.reasons]
    return "\n".join(lines)
