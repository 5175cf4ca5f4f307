"""Each console query over a day of synthetic telemetry in the Application Insights emulator.

The telemetry is written straight into a store, in the emulator's own files and columns (`telemetry_store`); the
queries are asked of the real process over HTTP, in turns, so that a noisy machine is noisy for all.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from benchmarks.results import percentiles
from benchmarks.telemetry_store import SyntheticTelemetry, write_store
from console.queries import load_query, query_names
from emulator.app_insights.tables import WORKSPACE_ID

N_BURN_IN = 1
TIMEOUT_S = 300.0
OF_ONE = {"trace": {"operation_id": md5(b"7").hexdigest()}}
"Parameters of what is asked of one thing only."


@dataclass(frozen=True, slots=True, kw_only=True)
class KqlBench:
    n_requests: int = 1_000_000
    n_hours: int = 24
    n_rounds: int = 5
    "How often each query is asked."


def run(bench: KqlBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Write the telemetry, ask every query, and give its times.

    Args:
        on_stage: told what begins.
    """
    with tempfile.TemporaryDirectory(prefix="recserve-kql-") as directory:
        data = Path(directory)
        on_stage(f"writing {bench.n_requests:,} requests of {bench.n_hours} hours")
        until = datetime.now(UTC).replace(second=0, microsecond=0)
        telemetry = SyntheticTelemetry(n_requests=bench.n_requests, n_hours=bench.n_hours)
        n_rows = write_store(data, telemetry, until)
        size = sum(path.stat().st_size for path in data.rglob("*.parquet"))
        on_stage("asking")
        with _emulator(data) as client:
            times_ms: dict[str, list[float]] = {name: [] for name in query_names()}
            n_answered: dict[str, int] = {}
            for turn in range(N_BURN_IN + bench.n_rounds):
                for name in times_ms:
                    elapsed_ms, n_answered[name] = _ask(client, name, until, bench)
                    if turn >= N_BURN_IN:
                        times_ms[name].append(elapsed_ms)
    return {
        "is_synthetic": True,
        "rows": n_rows,
        "bytes": size,
        "bytes_per_row": round(size / n_rows, 1),
        "queries": {
            name: {"rows_answered": n_answered[name]} | percentiles(times) for name, times in times_ms.items()
        },
    }


def format_table(figures: dict[str, Any]) -> str:
    """Lines for the terminal."""
    lines = [f"{figures['rows']:,} rows, {figures['bytes_per_row']} bytes each"]
    lines += [
        f"{name:26} p50 {of_query['p50_ms'] / 1e3:6.2f} s   {of_query['rows_answered']:6,} rows"
        for name, of_query in figures["queries"].items()
    ]
    return "\n".join(lines)


def _ask(client: httpx.Client, name: str, until: datetime, bench: KqlBench) -> tuple[float, int]:
    """Time of one answer, ms, and its rows."""
    timespan = f"{(until - timedelta(hours=bench.n_hours)).isoformat()}/{until.isoformat()}"
    body = {"query": load_query(name).text(**OF_ONE.get(name, {})), "timespan": timespan}
    started_s = perf_counter()
    answer = client.post(f"/v1/workspaces/{WORKSPACE_ID}/query", json=body)
    elapsed_ms = (perf_counter() - started_s) * 1e3
    if answer.status_code != 200:
        raise RuntimeError(f"{name}.kql is answered with {answer.status_code}: {answer.text[:500]}")
    return elapsed_ms, len(answer.json()["tables"][0]["rows"])


@contextmanager
def _emulator(data: Path) -> Iterator[httpx.Client]:
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "app-insights", "--port", "0", "--data", str(data)],
        cwd=Path(__file__).parent.parent,
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        addresses = (re.search(r"IngestionEndpoint=(\S+)/", line) for line in process.stdout)
        url = next(address[1] for address in addresses if address)
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            yield client
    finally:
        process.terminate()
        process.wait()
