"""Each console query over millions of synthetic spans in the Application Insights emulator.

The spans are written straight into a store, in the emulator's own files and columns; the queries are asked of
the real process over HTTP, in turns, so that a noisy machine is noisy for all.
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
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import httpx

from benchmarks.results import percentiles
from console.queries import load_query, query_names
from emulator.app_insights.layout import Layout
from emulator.app_insights.store import write_rows
from emulator.app_insights.tables import WORKSPACE_ID, sql_columns

METRICS = (
    "faas.cpu_usage",
    "faas.mem_usage",
    "recserve.cores",
    "recserve.loop.lag",
    "recserve.in_flight",
    "recserve.limit",
    "recserve.queue_length",
    "recserve.preemptions",
)
N_INSTANCES = 4
N_BURN_IN = 1
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KqlBench:
    n_spans: int = 5_000_000
    n_hours: int = 24
    n_rounds: int = 5
    "How often each query is asked."


def run(bench: KqlBench, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Write the spans, ask every query, and give its times.

    Args:
        on_stage: told what begins.
    """
    with tempfile.TemporaryDirectory(prefix="recserve-kql-") as directory:
        data = Path(directory)
        on_stage(f"writing {bench.n_spans:,} spans of {bench.n_hours} hours")
        until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        n_rows = write_store(data, bench, until)
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
        f"{name:22} p50 {of_query['p50_ms'] / 1e3:6.2f} s   {of_query['rows_answered']:6,} rows"
        for name, of_query in figures["queries"].items()
    ]
    return "\n".join(lines)


def write_store(data: Path, bench: KqlBench, until: datetime) -> int:
    """Write an emulator's data folder, hour by hour, and give the number of rows.

    One span in five is a phase of a request; one request in a thousand was shed. Latency is lognormal,
    10 ms in the median; a span stands for ten.
    """
    layout, n_rows = Layout(data), 0
    n_of_hour = bench.n_spans // bench.n_hours
    with duckdb.connect() as database:
        for hour in range(bench.n_hours):
            start = until - timedelta(hours=bench.n_hours - hour)
            for table, select in (
                ("AppDependencies", _spans(start, n_of_hour, first=hour * n_of_hour)),
                ("AppMetrics", _metrics(start)),
            ):
                path = layout.partition(table, start) / f"{hour + 1:08d}.parquet"
                database.execute(f"CREATE OR REPLACE TABLE rows AS {_completed(table, select)}")
                write_rows(database, table, "SELECT * FROM rows", path)
                counted = database.execute("SELECT count(*) FROM rows").fetchone()
                assert counted is not None
                n_rows += counted[0]
    return n_rows


def _spans(start: datetime, n: int, *, first: int) -> str:
    """SQL of an hour's spans. What looks like chance is a hash of the number, the same in every run."""
    return f"""
        WITH drawn AS (
            SELECT i, hash(i) % 1000003 / 1000003.0 AS u, hash(i + 77) % 1000003 / 1000003.0 AS v
            FROM range({first}, {first + n}) AS numbers(i)
        ), timed AS (
            SELECT *, 10 * exp(0.6 * sqrt(-2 * ln(u + 1e-9)) * cos(6.283185 * v)) AS ms,
                CASE WHEN i % 50021 = 0 THEN 'cold_start' WHEN i % 5 = 0 THEN 'phase' ELSE 'request' END AS kind,
                CASE WHEN i % 1000 = 1 THEN 'shed' ELSE 'ok' END AS outcome
            FROM drawn
        )
        SELECT
            TIMESTAMP '{start.replace(tzinfo=None)}' + to_microseconds((i - {first}) * {3_600_000_000 // n})
                AS TimeGenerated,
            CASE kind WHEN 'request' THEN 'recommend' WHEN 'phase' THEN 'infer' ELSE kind END AS Name,
            ms AS DurationMs, 'InProc' AS DependencyType, true AS Success, '0' AS ResultCode,
            CASE WHEN kind = 'request' THEN 10 ELSE 1 END AS ItemCount,
            'app' AS AppRoleName, 'instance-' || (i % {N_INSTANCES}) AS AppRoleInstance,
            md5(i::VARCHAR) AS OperationId, substr(md5((i + 1)::VARCHAR), 1, 16) AS Id,
            600.0 AS _BilledSize,
            ('{{"recserve.kind":"' || kind || '","recserve.outcome":"' || outcome
                || '","recserve.process":"p' || (i % 97) || '","recserve.variant":"'
                || CASE WHEN v < 0.9 THEN 'blend","recserve.variant_reason":"default'
                        ELSE 'counts","recserve.variant_reason":"brownout' END
                || CASE WHEN i % 10007 = 2 THEN '","recserve.impacted":"True","faas.coldstart":"True' ELSE '' END
                || '","recserve.basis":"history"}}')::JSON AS Properties,
            CASE kind WHEN 'phase' THEN '{{}}' ELSE
                format('{{{{"duration_ms":{{:.3f}},"admit_ms":{{:.3f}},"state_ms":{{:.3f}},"queue_ms":{{:.3f}},'
                    || '"infer_ms":{{:.3f}},"rank_ms":{{:.3f}},"encode_ms":{{:.3f}},"wait_ms":{{:.1f}},'
                    || '"ready_ms":800.0,"batch_size":8,"in_flight":12,"limit":64}}}}',
                    ms, 0.02 * ms, 0.1 * ms, 0.2 * ms, 0.5 * ms, 0.15 * ms, 0.03 * ms, 100 * u) END::JSON
                AS Measurements
        FROM timed"""


def _metrics(start: datetime) -> str:
    """SQL of an hour's metrics: each minute's samples of every instance."""
    names = ", ".join(f"'{name}'" for name in METRICS)
    return f"""
        SELECT TIMESTAMP '{start.replace(tzinfo=None)}' + to_minutes(minute) AS TimeGenerated,
            name AS Name, 30.0 AS Sum, 0.1 AS Min, 2.5 AS Max, 60 AS ItemCount, 300.0 AS _BilledSize,
            'app' AS AppRoleName, 'instance-' || instance AS AppRoleInstance, '{{}}'::JSON AS Properties
        FROM range(60) AS minutes(minute), range({N_INSTANCES}) AS instances(instance),
            unnest([{names}]) AS names(name)"""


def _completed(table: str, select: str) -> str:
    """SQL with all of a table's columns, in their order; those that the select lacks are empty."""
    columns = sql_columns(table)
    empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items() if name != "Type")
    return (
        f"SELECT {', '.join(columns)} FROM (SELECT {empty}, '{table}' AS Type WHERE false "
        f"UNION ALL BY NAME (SELECT *, '{table}' AS Type FROM ({select})))"
    )


def _ask(client: httpx.Client, name: str, until: datetime, bench: KqlBench) -> tuple[float, int]:
    """Time of one answer, ms, and its rows."""
    timespan = f"{(until - timedelta(hours=bench.n_hours)).isoformat()}/{until.isoformat()}"
    body = {"query": load_query(name).text(), "timespan": timespan}
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
