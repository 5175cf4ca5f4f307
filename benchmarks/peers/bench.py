"""The comparison: everybody answers alike, each gets the settings that suit it, then rounds in turns.

A peer's settings are chosen by measurement, and twice: those with the lowest median for one client are used
where one client is measured, those with the most answers a second everywhere else. Recserve has one
setting, and answers of one variant only (`contenders.CONTENDERS`). Each measurement starts its server anew,
checks that it recommends what Recserve recommends, and has the core to itself; the load generator has
another. What other programs took of both cores meanwhile is part of the result.
"""

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np
import uvloop

from benchmarks.closed_loop import closed_loop
from benchmarks.ingestion import KEY
from benchmarks.peers.comparison import rotated, summarise
from benchmarks.peers.contenders import CONTENDERS, OURS, UNLIMITED, Contender, Setting, answered_items, body
from benchmarks.peers.environments import make_environment
from benchmarks.peers.measuring import PROMISED, ask, highest_rate, one_client, try_rate
from benchmarks.peers.running import Running, busy_s, free_port, on_core, running
from benchmarks.results import RESULTS_DIR, percentiles
from benchmarks.server import ROOT
from benchmarks.traffic import post
from training.datasets import read_dataset
from training.sequences import read_sequences

SERVER_CORE, SENDER_CORE = 0, 1
MAX_HISTORY = 50
N_CHECKED = 50
"Answers that are compared with Recserve's at each start."
INGESTION = "from benchmarks.ingestion import Ingestion; Ingestion({port}).serve_forever()"

Ids = list[int | str]
Choice = dict[str, Setting]
"The settings `one_client` and `throughput` of a contender."


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersBench:
    models_dir: str = "models"
    source: str = "../shared/data/ml-latest-small"
    "Dataset whose test users ask."
    contenders: tuple[str, ...] = tuple(contender.name for contender in CONTENDERS)
    rounds: int = 3
    n_callers: int = 64
    "Connections of the closed loop."
    n_few_callers: int = 8
    "Connections of a second one, whose queue stays inside the SLO."
    burn_in_s: float = 0.4
    "Before each measurement, with the load of that measurement."
    one_client_s: float = 1.2
    throughput_s: float = 1.2
    trial_s: float = 1.0
    "How long each rate is tried."
    trials: int = 5
    "Halvings of the search for the highest rate."
    seed: int = 0


class Traffic(NamedTuple):
    """Requests, and what Recserve answers them."""

    requests: list[dict[str, Any]]
    expected: list[list[str]]

    def encoded(self, *, takes_lists: bool) -> list[bytes]:
        return [post("/api/recommend", body(request, takes_lists=takes_lists)) for request in self.requests]

    def is_right(self, number: int, answer: bytes) -> bool:
        return answered_items(json.loads(answer)) == self.expected[number]


class AnswersDiffer(RuntimeError):
    """A contender recommends other items: it would be another task that is compared."""


def real_histories(source: str, rng: np.random.Generator) -> list[Ids]:
    """Histories of a dataset's test users, before the held-out item, users shuffled."""
    sequences = read_sequences(read_dataset(source, cache_dir=Path(".local/datasets")))
    histories, _ = sequences.held_out("test")
    return [
        [sequences.item_ids[item - 1] for item in histories[user][-MAX_HISTORY:].tolist()]
        for user in rng.permutation(len(histories)).tolist()
    ]


class Comparison:
    """Starts contenders and measures them.

    Args:
        bench: sizes and durations.
        histories: who asks.
        folder: for logs and state.
        connection_string: where Recserve sends its telemetry.
        say: told what goes on.
    """

    def __init__(
        self,
        bench: PeersBench,
        histories: Sequence[Ids],
        *,
        folder: Path,
        connection_string: str,
        say: Callable[[str], None],
    ) -> None:
        self._bench = bench
        self._folder = folder
        self._connection_string = connection_string
        self._say = say
        self._rng = np.random.default_rng(bench.seed)
        self._traffic = Traffic(
            [{"user_id": f"user {i}", "history": ids, "k": 10} for i, ids in enumerate(histories)], []
        )
        self.contenders = {c.name: c for c in CONTENDERS if c.name in bench.contenders}
        with (
            self._running(CONTENDERS[0], Setting()) as (server, requests),
            socket.create_connection(("127.0.0.1", server.port)) as connection,
        ):
            for request in requests:
                _, answer = ask(connection, request)
                self._traffic.expected.append(answered_items(json.loads(answer)))

    def choose(self) -> tuple[dict[str, Choice], dict[str, Any]]:
        """Try every setting of every peer.

        Returns:
            The choice for each contender, and what was measured.
        """
        choices: dict[str, Choice] = {}
        tried: dict[str, Any] = {}
        for name, contender in self.contenders.items():
            if len(contender.settings) == 1:
                choices[name] = dict.fromkeys(("one_client", "throughput"), contender.settings[0])
                continue
            found = {}
            for setting in contender.settings:
                self._say(f"trying {name}: {setting}")
                with self._running(contender, setting) as (server, requests):
                    found[setting] = {
                        "p50_ms": self._one_client(server, requests)["p50_ms"],
                        "answers_per_s": self._throughput(server, requests)["answers_per_s"],
                    }
            choices[name] = {
                "one_client": min(found, key=lambda setting: found[setting]["p50_ms"]),
                "throughput": max(found, key=lambda setting: found[setting]["answers_per_s"]),
            }
            tried[name] = [
                {"name": str(setting), "setting": setting._asdict(), **of_setting}
                for setting, of_setting in found.items()
            ]
        return choices, tried

    def round(self, number: int, choices: Mapping[str, Choice]) -> dict[str, dict[str, Any]]:
        """Measure everybody once."""
        figures = {}
        for name in rotated(list(self.contenders), number):
            contender, choice = self.contenders[name], choices[name]
            self._say(f"round {number + 1}: {name}")
            busy_before_s, used_before_s = busy_s((SERVER_CORE, SENDER_CORE)), process_time()
            started_s = perf_counter()
            with self._running(contender, choice["throughput"]) as (server, requests):
                measured: dict[str, Any] = {"first_answer_s": round(server.first_answer_s, 3)}
                measured["same_setting_ms"] = self._one_client(server, requests)
                measured |= self._throughput(server, requests)
                few = self._throughput(server, requests, n_callers=self._bench.n_few_callers)
                measured["few_callers"] = few
                most_per_s = max(measured["answers_per_s"], few["answers_per_s"])
                measured |= self._highest_rate(server, requests, most_per_s)
                others_s = busy_s((SERVER_CORE, SENDER_CORE)) - busy_before_s - server.cpu_s()
                others_s -= process_time() - used_before_s
                measured["others_busy"] = round(others_s / (perf_counter() - started_s), 3)
            if choice["one_client"] == choice["throughput"]:
                measured["one_client_ms"] = measured["same_setting_ms"]
            else:
                with self._running(contender, choice["one_client"]) as (server, requests):
                    measured["one_client_ms"] = self._one_client(server, requests)
            figures[name] = measured
            self._say(
                f"  {measured['one_client_ms']['p50_ms']} ms, {measured['answers_per_s']}/s, "
                f"{measured['rate_per_s']}/s inside the SLO, others busy {measured['others_busy']}"
            )
        return figures

    @contextmanager
    def _running(self, contender: Contender, setting: Setting) -> Iterator[tuple[Running, list[bytes]]]:
        """A contender that answers as Recserve does, and the requests in its shape."""
        port = free_port()
        state = Path(tempfile.mkdtemp(dir=self._folder))
        models_dir = Path(self._bench.models_dir).resolve()
        launch = contender.launch(setting, models_dir=models_dir, port=port, folder=state)
        launch.environment["APPLICATIONINSIGHTS_CONNECTION_STRING"] = self._connection_string
        requests = self._traffic.encoded(takes_lists=launch.takes_lists)
        log = state / "log"
        with running(launch, port=port, request=requests[0], core=SERVER_CORE, log=log) as server:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                for number, expected in enumerate(self._traffic.expected[:N_CHECKED]):
                    status, answer = ask(connection, requests[number])
                    if status != 200 or answered_items(json.loads(answer)) != expected:
                        raise AnswersDiffer(
                            f"{contender.name} ({setting}) answers {status} {answer[:300]!r} where recserve "
                            f"recommends {expected}; its log is {log}"
                        )
            yield server, requests

    def _one_client(self, server: Running, requests: Sequence[bytes]) -> dict[str, Any]:
        latencies_ms, n_failed = one_client(
            server.port, requests, duration_s=self._bench.one_client_s, burn_in_s=self._bench.burn_in_s
        )
        return percentiles(latencies_ms) | {"n_failed": n_failed}

    def _throughput(
        self, server: Running, requests: Sequence[bytes], *, n_callers: int = 0
    ) -> dict[str, Any]:
        bench = self._bench
        started_s, sender_cpu_s, server_cpu_s = perf_counter(), process_time(), server.cpu_s()
        found = uvloop.run(
            closed_loop(
                server.port,
                requests,
                n_callers=n_callers or bench.n_callers,
                duration_s=bench.throughput_s,
                burn_in_s=bench.burn_in_s,
            )
        )
        took_s = perf_counter() - started_s
        return {
            "answers_per_s": round(found.per_s, 1),
            "refused_per_s": round(found.n_failed / bench.throughput_s, 1),
            "server_busy": round((server.cpu_s() - server_cpu_s) / took_s, 3),
            "sender_busy": round((process_time() - sender_cpu_s) / took_s, 3),
        }

    def _highest_rate(self, server: Running, requests: Sequence[bytes], most_per_s: float) -> dict[str, Any]:
        tried = []

        def attempt(rate_per_s: float) -> bool:
            trial = try_rate(
                server.port,
                requests,
                is_right=self._traffic.is_right,
                rate_per_s=rate_per_s,
                duration_s=self._bench.trial_s,
                burn_in_s=self._bench.burn_in_s,
                rng=self._rng,
            )
            tried.append(trial._asdict())
            return trial.within_slo >= PROMISED

        # What a closed loop cannot get, an open one cannot either, but for the noise of both.
        rate_per_s = highest_rate(attempt, most_per_s=1.15 * most_per_s, steps=self._bench.trials)
        return {"rate_per_s": round(rate_per_s, 1), "trials": tried}


def run(
    bench: PeersBench,
    *,
    histories: Sequence[Ids] | None = None,
    earlier: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda _: None,
    keep: Callable[[dict[str, Any]], object] = lambda _: None,
) -> dict[str, Any]:
    """Choose settings and measure.

    Args:
        bench: sizes and durations.
        histories: who asks; None takes the test users of `bench.source`.
        earlier: the figures of an earlier run, whose settings are taken and to whose rounds these are added.
        say: told what goes on.
        keep: given the figures after the choice and after each round.

    Raises:
        NoEnvironment: a peer cannot be installed.
        AnswersDiffer: a peer does not recommend what Recserve recommends.
    """
    for name in bench.contenders:
        if name not in (OURS, UNLIMITED):
            make_environment(name)
    if histories is None:
        histories = real_histories(bench.source, np.random.default_rng(bench.seed))
    with (
        tempfile.TemporaryDirectory(prefix="recserve-peers-", ignore_cleanup_errors=True) as folder,
        on_core(SENDER_CORE),
        _ingesting() as connection_string,
    ):
        comparison = Comparison(
            bench, histories, folder=Path(folder), connection_string=connection_string, say=say
        )
        if earlier is None:
            choices, tried = comparison.choose()
            rounds = []
        else:
            choices, tried = _read_choices(earlier), earlier["tried"]
            rounds = list(earlier["rounds"])
        figures = _figures(choices, tried, rounds)
        for _ in range(bench.rounds):
            keep(figures)
            rounds.append(comparison.round(len(rounds), choices))
            figures = _figures(choices, tried, rounds)
    keep(figures)
    return figures


def _figures(
    choices: Mapping[str, Choice], tried: Mapping[str, Any], rounds: Sequence[dict[str, dict[str, Any]]]
) -> dict[str, Any]:
    return {
        "chosen": {
            name: {purpose: setting._asdict() for purpose, setting in choice.items()}
            for name, choice in choices.items()
        },
        "tried": tried,
        "rounds": list(rounds),
        **summarise(rounds),
    }


def last_figures() -> dict[str, Any]:
    """The figures of the last result file.

    Raises:
        FileNotFoundError: there is none.
    """
    figures: dict[str, Any] = json.loads((RESULTS_DIR / "peers.json").read_text())["figures"]
    return figures


def _read_choices(figures: Mapping[str, Any]) -> dict[str, Choice]:
    return {
        name: {purpose: Setting(**setting) for purpose, setting in choice.items()}
        for name, choice in figures["chosen"].items()
    }


@contextmanager
def _ingesting() -> Iterator[str]:
    """A process that takes Recserve's telemetry in, as Azure would; its connection string."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", INGESTION.format(port=port)], cwd=ROOT)
    try:
        yield f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()
