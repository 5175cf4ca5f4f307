"""The load generator's own truth: a server that stalls 200 ms every 2 s, and what p99 is said of it.

Whoever comes in a stall waits for its end. That happens to stall / period of those who come when they like, and
their waits are uniform, so that with a service time d the p99 of latency follows (`truth_ms`). It is held against

    this generator      open loop, Poisson
    wrk, measured       a closed loop as it is: the latencies that its connections saw
    wrk, printed        what it prints: before that, wrk 4 adds to each long latency those that requests in the usual
                        interval would have seen meanwhile (`stats_correct`)

wrk runs first, this generator then at the throughput that wrk came to.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import uvloop

from benchmarks.server import ROOT
from emulator.load.client import OpenLoop, Outcome, http_request
from emulator.load.latencies import Latencies
from emulator.load.truth import Meter, judge, pin
from planner.arrivals import Phase, poisson

SERVER_CORE, SENDER_CORE = 0, 1
UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
LUA = """\
local ffi = require("ffi")
ffi.cdef[[typedef struct { long s; long ns; } instant; int clock_gettime(int, instant *);]]
local instant, threads, sent_s = ffi.new("instant"), {}, 0
local function now_s() ffi.C.clock_gettime(1, instant); return tonumber(instant.s) + tonumber(instant.ns) / 1e9 end
function setup(thread) table.insert(threads, thread) end
function init(args) measured_s = {} end
function request() sent_s = now_s(); return wrk.format() end
function response() measured_s[#measured_s + 1] = now_s() - sent_s end
function done()
  for _, thread in ipairs(threads) do io.write("measured ", table.concat(thread:get("measured_s"), " "), "\\n") end
end
"""
"One connection a thread, so that a thread's answer is that to its last request. Prints latencies in seconds."


class WrkMissing(Exception):
    """There is no wrk here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StallBench:
    stall_s: float = 0.2
    period_s: float = 2.0
    service_s: float = 0.002
    n_connections: int = 2
    "Of wrk, a thread each."
    duration_s: float = 30.0
    rounds: int = 3
    seed: int = 0


def truth_ms(bench: StallBench, percentile: float = 99) -> float:
    """The latency that this share of arrivals, whenever they come, does not exceed.

    Of those who come in a stall, at s, the server reads the request at its end: latency stall - s + d. Of those who
    come within d before, it has read the request and answers after it: stall + u, u < d before. So latencies above l,
    d < l < stall, happen to (stall + 2 d - l) / period of all.
    """
    share = 1 - percentile / 100
    return (bench.stall_s + 2 * bench.service_s - share * bench.period_s) * 1e3


def run(bench: StallBench) -> dict[str, Any]:
    """Both generators in turns against the same server; figures of each round.

    Raises:
        WrkMissing: wrk is not installed.
    """
    if not shutil.which("wrk"):
        raise WrkMissing("wrk is not installed; Debian, Ubuntu: apt-get install wrk; macOS: brew install wrk")
    pin(SENDER_CORE)
    rng = np.random.default_rng(bench.seed)
    rounds = []
    for _ in range(bench.rounds):
        with _serving(bench) as port:
            wrk = _run_wrk(bench, port)
            rounds.append({"wrk": wrk, "ours": _run_ours(bench, port, wrk["per_s"], rng)})
    return {
        "valid": all(of_round["ours"]["valid"] for of_round in rounds),
        "truth": {"p99_ms": truth_ms(bench), "share_in_stall": bench.stall_s / bench.period_s},
        "p99_ms": {
            "ours": _median(rounds, "ours", "p99_ms"),
            "wrk_measured": _median(rounds, "wrk", "measured_p99_ms"),
            "wrk_printed": _median(rounds, "wrk", "printed_p99_ms"),
        },
        "rounds": rounds,
    }


@contextmanager
def _serving(bench: StallBench) -> Generator[int, None, None]:
    arguments = [str(bench.stall_s), str(bench.period_s), str(bench.service_s)]
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "benchmarks.stalling_server", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


def _run_wrk(bench: StallBench, port: int) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA)
        script.flush()
        n = str(bench.n_connections)
        command = ["wrk", "-t", n, "-c", n, "-d", f"{bench.duration_s:.0f}s", "--latency", "-s", script.name]
        said = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True
        ).stdout
    return read_wrk(said)


def read_wrk(said: str) -> dict[str, float]:
    """The figures in what wrk prints with `--latency`, and what the script has it add."""
    found = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s)$", said, re.MULTILINE)
    per_s = re.search(r"^Requests/sec:\s+([\d.]+)$", said, re.MULTILINE)
    measured = [
        float(text) for line in re.findall(r"^measured (.*)$", said, re.MULTILINE) for text in line.split()
    ]
    if not found or not per_s or not measured:
        raise RuntimeError(f"cannot read what wrk says:\n{said[-1000:]}")
    p50_s, p99_s = np.percentile(measured, [50, 99])
    return {
        "per_s": float(per_s[1]),
        "n_measured": len(measured),
        "measured_p50_ms": round(float(p50_s) * 1e3, 3),
        "measured_p99_ms": round(float(p99_s) * 1e3, 3),
        "printed_p99_ms": round(float(found[1]) * UNITS_MS[found[2]], 3),
    }


def _run_ours(bench: StallBench, port: int, rate_per_s: float, rng: np.random.Generator) -> dict[str, Any]:
    arrivals_s = poisson([Phase(rate_per_s, bench.duration_s)], rng)
    asking = _Asking()
    loop = OpenLoop("127.0.0.1", port, arrivals_s=arrivals_s, workload=asking)
    meter = uvloop.run(_metered(loop))
    used = meter.describe()
    late_s = np.array(loop.late_s)
    reasons = judge(
        late_s,
        core_used=used["core_used"],
        waited_for_core=used["waited_for_core"],
        n_out_of_sockets=loop.n_out_of_sockets,
    )
    figures = asking.latencies.describe()
    return {
        "per_s": round(len(arrivals_s) / bench.duration_s, 2),
        "n": figures["n"],
        "n_failed": asking.n_failed,
        **{name: figures[name] for name in ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms")},
        "lag_p99_ms": round(float(np.percentile(late_s, 99)) * 1e3, 4),
        "core_used": used["core_used"],
        "valid": not reasons,
        "reasons": reasons,
    }


async def _metered(loop: OpenLoop) -> Meter:
    meter = Meter()
    await loop.run()
    return meter


class _Asking:
    """The same request always."""

    def __init__(self) -> None:
        self._request = http_request("GET", "/", host="127.0.0.1")
        self.latencies = Latencies()
        self.n_failed = 0

    def compose(self, number: int) -> bytes:
        return self._request

    def receive(self, outcome: Outcome) -> None:
        if outcome.status == 200:
            self.latencies.record(outcome.latency_s)
        else:
            self.n_failed += 1


def _median(rounds: list[dict[str, Any]], side: str, name: str) -> float:
    return round(float(np.median([of_round[side][name] for of_round in rounds])), 3)


def format_table(figures: dict[str, Any]) -> str:
    """The p99 of each, against the truth."""
    truth_p99_ms = figures["truth"]["p99_ms"]
    lines = [f"truth          p99 {truth_p99_ms:6.1f} ms"]
    lines += [
        f"{name:14} p99 {p99_ms:6.1f} ms, {p99_ms / truth_p99_ms:.0%}"
        for name, p99_ms in figures["p99_ms"].items()
    ]
    for of_round in figures["rounds"]:
        ours, wrk = of_round["ours"], of_round["wrk"]
        lines.append(
            f"  {ours['per_s']:.0f}/s (wrk {wrk['per_s']:.0f}/s): ours {ours['p99_ms']:.1f}, wrk measured "
            f"{wrk['measured_p99_ms']:.1f}, printed {wrk['printed_p99_ms']:.1f} ms; "
            f"our lag p99 {ours['lag_p99_ms']:.3f} ms, {ours['core_used']:.0%} of a core"
        )
        lines += [f"    INVALID: {reason}" for reason in ours["reasons"]]
    return "\n".join(lines)
