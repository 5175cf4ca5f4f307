"""The package that is deployed, sent what nobody should send: no 5xx, no hang, no growth, no dead process.

The package is unpacked where nothing else is and answers behind the stand-in host, each in a process of its own
(`deployment.hosting`). Half of the requests are Schemathesis' (`benchmarks.contract`, with all its checks), the other
half bytes over sockets. They come in rounds, each with some of both, so that memory at the end of a round can be
compared with that at the end of another. After each round a request without fault must be answered, although
`N_HELD` connections have sent half a head and hold still.

Who answered is told by the answer: the app, the host before it, or the HTTP server before that. The last two are the
stand-in's, not Azure's.
"""

import asyncio
import json
import random
import re
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contract import ContractBench, ask
from benchmarks.fuzz import contents, wire
from benchmarks.fuzz.cases import QUESTION, Case, Draw
from benchmarks.fuzz.client import LIMIT_S, Exchange, exchange
from benchmarks.fuzz.memory import Sample, growth, rss_mib, sample_memory
from benchmarks.server import Server
from deployment.hosting import Hosted, give_memory_back, hosting
from deployment.package import Package, build_package
from deployment.trial import make_environment, unpack

KINDS = (*wire.KINDS, *contents.KINDS)
N_AT_ONCE = 16
N_HELD = 20
"Connections that send half a head and hold still for a round."
N_EDGES, N_FOR_AN_EXAMPLE = 1600, 20
"About how many requests Schemathesis sends to the edges of all schemas, and for each of its examples."
SAMPLE_EVERY = 100
"Requests of bytes between samples of memory."
SHOWN = 400
"Characters of a request that a finding shows."
SETTINGS = {
    # A busy machine must not turn answers into refusals; memory of users is full early, so that growth is none of it.
    "RECSERVE_DEADLINE_MS": "60000",
    "RECSERVE_SLO_MS": "60000",
    "RECSERVE_BROWNOUT_AT": "1",
    "RECSERVE_CACHED_USERS": "100",
}
TRACEBACK = re.compile(r"^Traceback \(most recent call last\):$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzBench:
    n_requests: int = 10_000
    "About; Schemathesis' half is what it takes its examples to need."
    seed: int = 0
    n_rounds: int = 4
    with_schemathesis: bool = True
    "False: bytes alone."


@dataclass(slots=True)
class Tally:
    """Everything that bytes led to."""

    outcomes: Counter[str] = field(default_factory=Counter)
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    "Outcomes and statuses of each kind."
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    "Answers by who gave them."
    findings: list[str] = field(default_factory=list)

    def add(self, done: Exchange) -> None:
        of_kind = self.by_kind.setdefault(done.case.kind, Counter())
        self.outcomes[done.outcome] += 1
        of_kind[done.outcome] += 1
        for answer in done.answers:
            self.statuses.setdefault(answer.layer, Counter())[answer.status] += 1
            of_kind[str(answer.status)] += 1
        wrong = [f"{answer.status} by the {answer.layer}" for answer in done.answers if answer.status >= 500]
        if done.outcome in ("hung", "unreadable"):
            wrong.append(done.outcome)
        if wrong:
            self.findings.append(f"{done.case.kind}: {', '.join(wrong)}: {_shown(done.case)}")


def run(bench: FuzzBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Build the package, host it, send it all; returns counts, memory and what was found.

    Raises:
        DeploymentError: there is no package that starts.
    """
    with tempfile.TemporaryDirectory(prefix="recserve-fuzz-") as temporary:
        folder = Path(temporary)
        on_stage("building the package")
        package = build_package(folder / "recserve.zip", with_dependencies=True)
        python = make_environment(package, folder / "environment")
        return fuzz(package, python, folder, bench, on_stage=on_stage)


def fuzz(
    package: Package,
    python: Path,
    folder: Path,
    bench: FuzzBench,
    *,
    on_stage: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Send it all to a package in an environment that is there.

    Args:
        package: the zip.
        python: the environment's interpreter.
        folder: for the unpacked package, logs and state.
        bench: how much.
    """
    unpack(package, folder / "wwwroot")
    with hosting(python, folder / "wwwroot", folder / "hosted", SETTINGS) as hosted:
        fuzzer = Fuzzer(bench, hosted)
        for number in range(bench.n_rounds):
            with _held_connections(hosted.port):
                fuzzer.send_round(number)
                is_answered = _is_answered(hosted)
            fuzzer.n_controls += is_answered
            on_stage(
                f"round {number + 1}: {fuzzer.n_requests} requests, {rss_mib(hosted.worker_pid):.1f} MiB"
            )
        return fuzzer.figures()


class Fuzzer:
    """Rounds of requests to one hosted package."""

    def __init__(self, bench: FuzzBench, hosted: Hosted) -> None:
        self.n_controls = 0
        "Rounds after which a request without fault was answered."
        self._bench = bench
        self._hosted = hosted
        self._tally = Tally()
        self._contracts: list[dict[str, Any]] = []
        self._samples: list[Sample] = []
        self._n_bytes = 0

    @property
    def n_requests(self) -> int:
        """So far, of both halves."""
        n_asked: int = sum(each["n_cases"] for each in self._contracts)
        return self._n_bytes + n_asked

    def send_round(self, number: int) -> None:
        bench, n_bytes = self._bench, self._bench.n_requests // self._bench.n_rounds
        if bench.with_schemathesis:
            n_bytes //= 2
            n_random = bench.n_requests / 2 - N_EDGES
            asked = ContractBench(
                examples=max(1, round(n_random / bench.n_rounds / N_FOR_AN_EXAMPLE)),
                seed=bench.seed + number,
                with_edges=number == 0,
            )
            server = Server(self._hosted.port, self._hosted.worker_pid, self._hosted.host_log)
            self._contracts.append(ask(asked, server))
            self._sample()
        rng = random.Random(f"{bench.seed}/{number}")
        cases = [rng.choice(KINDS)(Draw(rng, self._hosted.key)) for _ in range(n_bytes)]
        for begin in range(0, n_bytes, SAMPLE_EVERY):
            for done in asyncio.run(_exchange_all(cases[begin : begin + SAMPLE_EVERY], self._hosted.port)):
                self._tally.add(done)
            self._n_bytes += len(cases[begin : begin + SAMPLE_EVERY])
            self._sample()

    def _sample(self) -> None:
        give_memory_back(self._hosted)
        # Asked afterwards, so that the signal was handled when memory is read.
        _is_answered(self._hosted)
        app_pid, host_pid = self._hosted.worker_pid, self._hosted.host.pid
        self._samples.append(sample_memory(self.n_requests, app_pid=app_pid, host_pid=host_pid))

    def figures(self) -> dict[str, Any]:
        contract_errors = sum(each["n_server_errors"] for each in self._contracts)
        byte_errors = {
            layer: sum(n for status, n in of.items() if status >= 500)
            for layer, of in self._tally.statuses.items()
        }
        return {
            "n_requests": self.n_requests,
            "n_server_errors": contract_errors + sum(byte_errors.values()),
            "n_hangs": self._tally.outcomes["hung"],
            "limit_s": LIMIT_S,
            "n_controls": self.n_controls,
            "is_alive": self._hosted.is_alive,
            "n_tracebacks": {
                "app": _n_tracebacks(self._hosted.worker_log),
                "host": _n_tracebacks(self._hosted.host_log),
            },
            "memory": growth(self._samples),
            "schemathesis": {
                "n_requests": sum(each["n_cases"] for each in self._contracts),
                "statuses": _sum([each["operations"] for each in self._contracts]),
                "let_pass": dict(sum((Counter(each["let_pass"]) for each in self._contracts), Counter())),
                "findings": [finding for each in self._contracts for finding in each["findings"]],
            },
            "bytes": {
                "n_requests": self._n_bytes,
                "outcomes": dict(self._tally.outcomes),
                "statuses": {layer: dict(sorted(of.items())) for layer, of in self._tally.statuses.items()},
                "server_errors": byte_errors,
                "kinds": {kind: dict(sorted(of.items())) for kind, of in sorted(self._tally.by_kind.items())},
                "findings": self._tally.findings,
            },
        }


async def _exchange_all(cases: Sequence[Case], port: int) -> list[Exchange]:
    places = asyncio.Semaphore(N_AT_ONCE)

    async def one(case: Case) -> Exchange:
        async with places:
            return await exchange(case, port=port)

    return await asyncio.gather(*map(one, cases))


@contextmanager
def _held_connections(port: int) -> Iterator[None]:
    """Connections that have begun a request and hold still."""
    with ExitStack() as stack:
        for _ in range(N_HELD):
            held = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            held.sendall(b"POST /api/recommend HTTP/1.1\r\nhost: loc")
        yield


def _is_answered(hosted: Hosted) -> bool:
    """Whether a request without fault gets its recommendations in time."""
    body = json.dumps(QUESTION).encode()
    request = (
        f"POST /api/recommend HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {hosted.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    done = asyncio.run(exchange(Case(kind="control", parts=[request.encode() + body]), port=hosted.port))
    return any(answer.status == 200 and len(json.loads(answer.body)["items"]) == 5 for answer in done.answers)


def _n_tracebacks(log: Path) -> int:
    return len(TRACEBACK.findall(log.read_text(errors="replace")))


def _sum(rounds: Sequence[dict[str, Any]]) -> dict[str, dict[int, int]]:
    """Statuses by operation, over rounds."""
    total: dict[str, Counter[int]] = {}
    for operations in rounds:
        for label, tally in operations.items():
            total.setdefault(label, Counter()).update(tally["statuses"])
    return {label: dict(sorted(of.items())) for label, of in total.items()}


def _shown(case: Case) -> str:
    sent = b"".join(case.parts)
    return repr(sent if len(sent) <= SHOWN else sent[:SHOWN] + b"...")


def format_table(figures: dict[str, Any]) -> str:
    """What was sent, how it ended, what grew."""
    memory, sent = figures["memory"], figures["bytes"]
    lines = [
        f"{figures['n_requests']:,} requests, {figures['schemathesis']['n_requests']:,} by Schemathesis and "
        f"{sent['n_requests']:,} as bytes",
        f"{figures['n_server_errors']} answers of 5xx, {figures['n_hangs']} without end in {figures['limit_s']:g} s, "
        f"{figures['n_controls']} controls answered, processes {'alive' if figures['is_alive'] else 'DEAD'}, "
        f"tracebacks: {figures['n_tracebacks']}",
        *(
            f"{name}: {of['at_first_mib']} MiB at first, then by quarter {', '.join(map(str, of['quarters_mib']))}; "
            f"{of['mib_per_1000_requests']:+} MiB for 1,000 requests, {'flat' if of['is_flat'] else 'GROWING'}"
            for name, of in memory.items()
            if isinstance(of, dict)
        ),
        f"bytes: {sent['outcomes']}",
        *(f"answered by the {layer}: {of}" for layer, of in sent["statuses"].items()),
        *(f"{kind:18} {of}" for kind, of in sent["kinds"].items()),
        *(f"{label:34} {of}" for label, of in figures["schemathesis"]["statuses"].items()),
        *(f"let pass {n} x {rule}" for rule, n in figures["schemathesis"]["let_pass"].items()),
        *sent["findings"],
        *figures["schemathesis"]["findings"],
    ]
    return "\n".join(lines)


def is_clean(figures: dict[str, Any]) -> bool:
    """Whether nothing was found but, maybe, growth, which is for people to judge."""
    found = [*figures["bytes"]["findings"], *figures["schemathesis"]["findings"]]
    return not found and figures["is_alive"] and not any(figures["n_tracebacks"].values())
