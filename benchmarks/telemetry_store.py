"""A day of synthetic telemetry in the Application Insights emulator's own files: what every console view needs.

What looks like chance is a hash of the row's number, the same in every run. Over the time that the store spans,
in shares of it, with a daily rise and fall of traffic all through:

    every twelfth    an instance joins for twenty minutes, and some requests wait for its start
    0.55             overload for twelve minutes: queues, brownout and shedding
    0.65             a deployment: other models, on other instances
    0.80             the store of user states is slow for fifteen minutes
    0.88             a burst meets three instances that start slowly
    0.97             an instance stands still for four seconds

Beside that devices report what they answered themselves: while the cloud is overloaded or slow they answer in its
place, and after the deployment they fetch the other bundle one after the other.

An ordinary request stands for four; what is shed, failed, impacted or slow stands for itself, and has spans of
its phases beside it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, tau
from pathlib import Path

import duckdb

from benchmarks.telemetry_platform import (
    OLD,
    YOUNG,
    Life,
    lives_of,
    metric_rows,
    platform_metrics,
    platform_traces,
)
from emulator.app_insights.layout import Layout
from emulator.app_insights.store import write_rows
from emulator.app_insights.tables import sql_columns

SLO_MS = 25.0
EDGE_ROWS_PER_HOUR, EDGE_COMPARISONS_PER_HOUR = 3000, 120
PHASES = ("startup", "admit", "state", "queue", "infer", "rank", "encode")
COLD_PHASES = (
    ("interpreter", 0.00, 0.10),
    ("import msgspec", 0.08, 0.03),
    ("settings", 0.11, 0.01),
    ("import numpy", 0.12, 0.16),
    ("model_read", 0.13, 0.09),
    ("import onnxruntime", 0.28, 0.14),
    ("import azure.functions", 0.30, 0.22),
    ("session student", 0.43, 0.21),
    ("first_inference student", 0.64, 0.04),
    ("import recserve", 0.52, 0.20),
    ("state", 0.68, 0.10),
    ("models", 0.78, 0.12),
    ("ready", 0.90, 0.10),
)
"Name, start and length, in shares of the time to readiness."


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticTelemetry:
    n_requests: int = 1_000_000
    "Request spans; an ordinary one stands for four requests."
    n_hours: int = 24


def write_store(data: Path, telemetry: SyntheticTelemetry, until: datetime) -> int:
    """Write an emulator's data folder, hour by hour, and give the number of rows.

    Args:
        until: when the telemetry ends.
    """
    layout, n_rows = Layout(data), 0
    begun = until - timedelta(hours=telemetry.n_hours)
    lives = lives_of(telemetry.n_hours * 3600.0)
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        _write_active(database, lives, telemetry.n_hours)
        first = 0
        for hour, n in enumerate(_requests_by_hour(telemetry)):
            start = begun + timedelta(hours=hour)
            database.execute(
                f"CREATE OR REPLACE TEMP TABLE requests AS {_requests(hour, n, first, telemetry)}"
            )
            first += n
            selects = {
                "AppRequests": [_host_spans()],
                "AppDependencies": [
                    *(_spans(), _phases(), _shadows()),
                    *(_edge_answers(hour, telemetry), _edge_comparisons(hour, telemetry)),
                    *_cold_starts(lives, hour),
                ],
                "AppMetrics": [*metric_rows(telemetry.n_hours), *platform_metrics(lives, hour)],
                "AppTraces": platform_traces(lives, hour),
            }
            for table, parts in selects.items():
                n_rows += _write_hour(database, layout, table, parts, begun=begun, start=start)
    return n_rows


def _requests_by_hour(telemetry: SyntheticTelemetry) -> list[int]:
    """How many come in each hour: twice as many at noon as at midnight."""
    weights = [1.5 - 0.5 * cos(tau * hour / telemetry.n_hours) for hour in range(telemetry.n_hours)]
    return [round(telemetry.n_requests * weight / sum(weights)) for weight in weights]


def _write_active(database: duckdb.DuckDBPyConnection, lives: list[Life], n_hours: int) -> None:
    """The instances that take requests in each minute, numbered."""
    rows = [
        (minute, place, life.instance, life.started_s, life.ready_s, len(active))
        for minute in range(n_hours * 60)
        if (active := [life for life in lives if life.takes_requests_at(minute * 60.0)])
        for place, life in enumerate(active)
    ]
    values = ", ".join(f"({m}, {k}, '{name}', {begun}, {ready}, {n})" for m, k, name, begun, ready, n in rows)
    database.execute(
        "CREATE TEMP TABLE active AS SELECT * FROM (VALUES "
        f"{values}) AS t(minute, place, instance, started_s, ready_s, n_active)"
    )


def _requests(hour: int, n: int, first: int, telemetry: SyntheticTelemetry) -> str:
    """SQL of an hour's requests, one row each, with all that their spans tell."""
    total_s = telemetry.n_hours * 3600.0

    def within(share: float, minutes: float) -> str:
        return f"(at_s >= {share * total_s} AND at_s < {share * total_s + 60 * minutes})"

    draws = ", ".join(
        f"(hash(i * 16 + {k}) % 1000003 + 1) / 1000005.0 AS {name}" for k, name in enumerate("uvwxyz")
    )

    def spread(name: str, sigma: float) -> str:
        """A lognormal factor, 1 in the median."""
        return f"exp({sigma} * sqrt(-2 * ln({name})) * cos(6.283185307 * y))"

    return f"""
        WITH drawn AS (
            SELECT i, {draws}, {hour * 3600.0} + (i - {first} + 0.5) * {3600.0 / n} AS at_s
            FROM range({first}, {first + n}) AS numbers(i)
        ), placed AS (
            SELECT drawn.*, instance, CAST(floor(at_s / 60) AS INTEGER) AS minute,
                {within(0.55, 12)} AS is_overload, {within(0.80, 15)} AS is_slow_store,
                at_s >= {0.65 * total_s} AS is_second,
                i % 12 = 5 AS is_events,
                CASE WHEN at_s < started_s + ready_s THEN (started_s + ready_s - at_s) * 1e3 ELSE 0 END AS startup_ms,
                CASE WHEN {within(0.97, 4 / 60)} AND place = 0
                    THEN ({0.97 * total_s + 4} - at_s) * 1e3 ELSE 0 END AS stall_ms,
                CAST(floor((1.5 - 0.5 * cos(6.283185307 * at_s / {total_s})) * 4 * (0.3 + u) / sqrt(n_active)
                    * CASE WHEN {within(0.55, 12)} THEN 9 ELSE 1 END) AS INTEGER) AS in_flight
            FROM drawn JOIN active
                ON active.minute = CAST(floor(at_s / 60) AS INTEGER) AND active.place = i % active.n_active
        ), ended AS (
            SELECT *, CASE
                    WHEN is_overload AND w < 0.12 AND NOT is_events THEN 'shed'
                    WHEN is_slow_store AND w < 0.02 THEN 'unavailable'
                    WHEN w < 0.0003 THEN 'failed' ELSE 'ok' END AS outcome,
                CASE WHEN is_overload AND x < 0.6 THEN 'counts'
                    WHEN x < 0.05 THEN 'popular' WHEN x < 0.15 THEN 'int8' ELSE 'student' END AS rung
            FROM placed
        ), timed AS (
            SELECT *,
                0.06 * {spread("u", 0.4)} AS admit_ms,
                0.8 * {spread("v", 0.5)} + CASE WHEN is_slow_store THEN 30 + 90 * z ELSE 0 END AS state_ms,
                CASE WHEN outcome <> 'ok' THEN NULL WHEN is_events THEN NULL
                    ELSE 1.1 * {spread("w", 0.5)} * (1 + power(in_flight / 12.0, 3)) + stall_ms END AS queue_ms,
                CASE WHEN outcome <> 'ok' THEN NULL WHEN is_events THEN NULL
                    ELSE {spread("x", 0.35)} * CASE rung WHEN 'student' THEN 1.7 WHEN 'int8' THEN 1.2
                        WHEN 'counts' THEN 0.4 ELSE 0.2 END END AS infer_ms,
                CASE WHEN outcome = 'ok' AND NOT is_events THEN 0.5 * {spread("u", 0.4)} END AS rank_ms,
                0.15 * {spread("z", 0.3)} AS encode_ms
            FROM ended
        ), summed AS (
            SELECT *, startup_ms + admit_ms + coalesce(state_ms, 0) + coalesce(queue_ms, 0)
                + coalesce(infer_ms, 0) + coalesce(rank_ms, 0) + encode_ms AS duration_ms
            FROM timed
        )
        SELECT *, CASE WHEN is_events THEN 'events' ELSE 'recommend' END AS name,
            CASE WHEN outcome <> 'ok' OR is_events THEN '' ELSE rung END AS variant,
            CASE WHEN outcome <> 'ok' OR is_events THEN '' WHEN rung = 'counts' THEN 'brownout'
                WHEN rung = 'popular' THEN 'no_history' WHEN rung = 'int8' THEN 'split' ELSE 'default' END AS reason,
            CASE WHEN outcome <> 'ok' OR is_events THEN '' WHEN is_second THEN '{YOUNG}' ELSE '{OLD}' END
                AS version,
            CASE WHEN outcome IN ('failed', 'unavailable') THEN 'failed' WHEN startup_ms > 0 THEN 'impacted'
                WHEN outcome = 'shed' THEN 'shed' WHEN duration_ms > {SLO_MS} THEN 'slow' ELSE 'rate' END AS kept
        FROM summed"""


def _host_spans() -> str:
    return """
        SELECT at_s, 'POST /api/' || name AS Name, duration_ms + 0.8 + 0.6 * z AS DurationMs,
            CASE outcome WHEN 'ok' THEN '200' WHEN 'shed' THEN '429' WHEN 'failed' THEN '500' ELSE '503' END
                AS ResultCode, outcome IN ('ok', 'shed') AS Success,
            CASE WHEN kept = 'rate' THEN 4 ELSE 1 END AS ItemCount, instance AS AppRoleInstance,
            md5(i::VARCHAR) AS OperationId, substr(md5('h' || i), 1, 16) AS Id, 700.0 AS _BilledSize,
            'POST /api/' || name AS OperationName,
            json_object('faas.name', 'recserve/' || name, 'faas.trigger', 'http', 'http.route', '/api/' || name,
                'faas.invocation_id', md5('v' || i)) AS Properties,
            CASE WHEN startup_ms > 0 AND i % 2 = 0 THEN json_object('held_ms', round(startup_ms / 4, 4))
                ELSE '{}'::JSON END AS Measurements
        FROM requests"""


def _spans() -> str:
    phases = ", ".join(f"'{phase}_ms', round({phase}_ms, 4)" for phase in PHASES)
    rest = (
        "'duration_ms', round(duration_ms, 4), 'in_flight', in_flight, 'limit', 64 - 24 * is_overload::INTEGER, "
        "'pressure', round(in_flight / 64.0, 4), 'deadline_ms', 1000, "
        "'batch_size', CASE WHEN variant <> '' THEN 1 + in_flight // 2 END, 'n_items', 10"
    )
    return f"""
        SELECT at_s, name AS Name, duration_ms AS DurationMs, 'InProc' AS DependencyType,
            outcome IN ('ok', 'shed') AS Success, '0' AS ResultCode,
            CASE WHEN kept = 'rate' THEN 4 ELSE 1 END AS ItemCount, instance AS AppRoleInstance,
            md5(i::VARCHAR) AS OperationId, substr(md5('r' || i), 1, 16) AS Id,
            substr(md5('h' || i), 1, 16) AS ParentId, 1100.0 AS _BilledSize,
            json_object('recserve.kind', 'request', 'recserve.function', name,
                'faas.name', 'recserve/' || name, 'faas.trigger', 'http',
                'faas.coldstart', CASE WHEN startup_ms > 0 THEN 'True' ELSE 'False' END,
                'recserve.outcome', outcome, 'recserve.kept', kept,
                'recserve.impacted', CASE WHEN startup_ms > 0 THEN 'True' ELSE 'False' END,
                'recserve.process', 'p-' || instance, 'recserve.variant', variant,
                'recserve.variant_reason', reason, 'recserve.model_version', version,
                'recserve.basis', CASE WHEN variant <> '' THEN 'history' ELSE '' END,
                'recserve.dispatch', CASE WHEN variant = '' THEN '' WHEN in_flight > 12 THEN 'full'
                    WHEN in_flight > 2 THEN 'knee' ELSE 'idle' END,
                'recserve.shed_reason', CASE WHEN outcome <> 'shed' THEN ''
                    WHEN x < 0.7 THEN 'concurrency' ELSE 'queueing_delay' END,
                'recserve.error', CASE outcome WHEN 'failed' THEN 'RuntimeError'
                    WHEN 'unavailable' THEN 'StateUnavailable' WHEN 'shed' THEN 'Overloaded' ELSE '' END,
                'recserve.user', substr(md5('u' || i % 20000), 1, 16),
                'faas.invocation_id', md5('v' || i)) AS Properties,
            CASE WHEN startup_ms > 0 THEN json_object({phases}, {rest}, 'wait_ms', round(startup_ms, 4))
                ELSE json_object({phases}, {rest}) END AS Measurements
        FROM requests"""


def _phases() -> str:
    """Below the requests that were kept for a reason, one span a phase, each where the one before it ended."""
    pairs = ", ".join(f"{{'phase': '{phase}', 'ms': {phase}_ms}}" for phase in PHASES)
    ends = "sum(step.ms) OVER (PARTITION BY i ORDER BY place ROWS UNBOUNDED PRECEDING)"
    return f"""
        SELECT at_s + (ended_ms - ms) / 1e3 AS at_s, phase AS Name, ms AS DurationMs, 'InProc' AS DependencyType,
            true AS Success, '0' AS ResultCode, 1 AS ItemCount, instance AS AppRoleInstance,
            md5(i::VARCHAR) AS OperationId, substr(md5(phase || i), 1, 16) AS Id,
            substr(md5('r' || i), 1, 16) AS ParentId, 450.0 AS _BilledSize,
            json_object('recserve.kind', 'phase', 'recserve.process', 'p-' || instance) AS Properties,
            '{{}}'::JSON AS Measurements
        FROM (
            SELECT i, at_s, instance, step.phase AS phase, step.ms AS ms, {ends} AS ended_ms FROM (
                SELECT i, at_s, instance, unnest([{pairs}]) AS step,
                    generate_subscripts([{", ".join(map(str, range(len(PHASES))))}], 1) AS place
                FROM requests WHERE kept <> 'rate'
            ) WHERE step.ms IS NOT NULL
        )"""


def _shadows() -> str:
    return """
        SELECT at_s + 0.05 AS at_s, 'shadow' AS Name, 1.4 + z AS DurationMs, 'InProc' AS DependencyType,
            true AS Success, '0' AS ResultCode, 4 AS ItemCount, instance AS AppRoleInstance,
            md5('s' || i) AS OperationId, substr(md5('s' || i), 1, 16) AS Id, 700.0 AS _BilledSize,
            json_object('recserve.kind', 'shadow', 'recserve.function', 'shadow', 'recserve.variant', 'teacher',
                'recserve.outcome', 'ok', 'recserve.process', 'p-' || instance, 'recserve.kept', 'rate') AS Properties,
            json_object('duration_ms', round(1.4 + z, 4), 'infer_ms', round(1.4 + z, 4),
                'shadow_overlap', round((4 + 6 * u * v)) / 10) AS Measurements
        FROM requests WHERE variant = 'student' AND i % 50 = 7"""


def _edge_answers(hour: int, telemetry: SyntheticTelemetry) -> str:
    """What devices report, as the service sums it up: one row stands for `n` answers."""
    total_s = telemetry.n_hours * 3600.0
    cloud_ms = "CASE reason WHEN 'cloud_is_near' THEN 9 ELSE 74 END"
    return f"""
        WITH drawn AS (
            {_edge_draws(hour, EDGE_ROWS_PER_HOUR, telemetry)}
        ), decided AS (
            SELECT *, CASE
                    WHEN at_s >= {0.55 * total_s} AND at_s < {0.55 * total_s + 720} AND u < 0.3 THEN 'cloud_busy'
                    WHEN at_s >= {0.80 * total_s} AND at_s < {0.80 * total_s + 900} AND u < 0.2 THEN 'cloud_timeout'
                    WHEN u < 0.13 THEN 'no_local_history' WHEN u < 0.19 THEN 'rules' WHEN u < 0.24 THEN 'cloud_is_near'
                    WHEN u < 0.27 THEN 'no_bundle' WHEN u < 0.275 THEN 'stale_bundle' WHEN u < 0.277 THEN 'clock'
                    WHEN u < 0.29 THEN 'offline' ELSE 'default' END AS reason
            FROM drawn
        ), timed AS (
            SELECT *, CASE WHEN reason IN ('default', 'offline', 'cloud_busy', 'cloud_timeout') THEN 'edge'
                    ELSE 'cloud' END AS answered_by,
                exp(0.55 * sqrt(-2 * ln(v)) * cos(6.283185307 * y)) AS spread
            FROM decided
        )
        SELECT {_EDGE_COLUMNS}, 'edge_answers' AS Name, md5('e' || i) AS OperationId,
            substr(md5('e' || i), 1, 16) AS Id,
            json_object('recserve.kind', 'edge', 'recserve.edge.by', answered_by, 'recserve.edge.reason', reason,
                'recserve.edge.client', client,
                'recserve.edge.bundle', CASE reason WHEN 'no_bundle' THEN '' ELSE bundle END) AS Properties,
            json_object('n', 1 + CAST(floor(z * 30) AS INTEGER), 'latency_ms', power(1.2, ceil(ln(spread * CASE
                    WHEN reason = 'cloud_timeout' THEN 2000 WHEN reason = 'cloud_busy' THEN 60
                    WHEN answered_by = 'edge' THEN CASE client WHEN 'js' THEN 1.5 ELSE 0.5 END
                    ELSE {cloud_ms} END) / ln(1.2)) - 0.5)) AS Measurements
        FROM timed"""


def _edge_comparisons(hour: int, telemetry: SyntheticTelemetry) -> str:
    return f"""
        WITH drawn AS (
            {_edge_draws(hour, EDGE_COMPARISONS_PER_HOUR, telemetry)}
        ), counted AS (
            SELECT *, 1 + CAST(floor(5 * v) AS INTEGER) AS n FROM drawn
        )
        SELECT {_EDGE_COLUMNS}, 'edge_comparison' AS Name, md5('o' || i) AS OperationId,
            substr(md5('o' || i), 1, 16) AS Id,
            json_object('recserve.kind', 'edge', 'recserve.edge.client', client, 'recserve.edge.bundle', bundle)
                AS Properties,
            json_object('n', n, 'overlap', round(0.78 + 0.2 * u * w + 0.02 * z, 3),
                'n_identical', CAST(floor(n * (0.25 + 0.3 * u)) AS INTEGER)) AS Measurements
        FROM counted"""


_EDGE_COLUMNS = (
    "at_s, 0.0 AS DurationMs, 'InProc' AS DependencyType, true AS Success, '0' AS ResultCode, 1 AS ItemCount, "
    "instance AS AppRoleInstance, 600.0 AS _BilledSize"
)


def _edge_draws(hour: int, n: int, telemetry: SyntheticTelemetry) -> str:
    """SQL of an hour's rows of reports, with chance, client and bundle."""
    total_s = telemetry.n_hours * 3600.0
    draws = ", ".join(
        f"(hash(i * 16 + {k + 8}) % 1000003 + 1) / 1000005.0 AS {name}" for k, name in enumerate("uvwxyz")
    )
    return f"""
            SELECT reported.*, instance, CASE WHEN x < 0.8 THEN 'js' ELSE 'python' END AS client,
                CASE WHEN at_s > {0.65 * total_s} + w * {0.25 * total_s} THEN '{YOUNG}' ELSE '{OLD}' END AS bundle
            FROM (
                SELECT i, {draws}, {hour * 3600.0} + (i - {hour * n}) * {3600.0 / n} AS at_s
                FROM range({hour * n}, {(hour + 1) * n}) AS numbers(i)
            ) AS reported
            JOIN active ON active.minute = CAST(floor(at_s / 60) AS INTEGER) AND active.place = 0"""


def _cold_starts(lives: list[Life], hour: int) -> list[str]:
    """The traces of the processes that start in this hour."""
    selects = []
    for life in lives:
        if not hour * 3600 <= life.started_s < (hour + 1) * 3600:
            continue
        ready_ms, process = life.ready_s * 1e3, f"p-{life.instance}"
        trace = f"md5('cold {life.instance}')"
        common = (
            "'InProc' AS DependencyType, true AS Success, '0' AS ResultCode, 1 AS ItemCount, "
            f"'{life.instance}' AS AppRoleInstance, {trace} AS OperationId, 900.0 AS _BilledSize"
        )
        selects.append(f"""
            SELECT {life.started_s}::DOUBLE AS at_s, 'cold_start' AS Name, {ready_ms} AS DurationMs, {common},
                substr(md5('c{life.instance}'), 1, 16) AS Id,
                json_object('recserve.kind', 'cold_start', 'faas.coldstart', 'True', 'recserve.outcome', 'ok',
                    'recserve.cause', '{life.cause}', 'recserve.driver', '{life.driver}',
                    'recserve.process', '{process}', 'recserve.model_version', '{life.version}') AS Properties,
                json_object('duration_ms', {ready_ms}, 'ready_ms', {ready_ms}, 'explained_ms', {0.98 * ready_ms},
                    'placeholder_ms', 0.0, 'n_impacted', (SELECT count(*) FROM requests
                        WHERE instance = '{life.instance}' AND startup_ms > 0)) AS Measurements""")
        for phase, after, length in COLD_PHASES:
            selects.append(f"""
                SELECT {life.started_s + after * life.ready_s}::DOUBLE AS at_s, '{phase}' AS Name,
                    {length * ready_ms} AS DurationMs, {common}, substr(md5('{phase}{life.instance}'), 1, 16) AS Id,
                    substr(md5('c{life.instance}'), 1, 16) AS ParentId,
                    json_object('recserve.kind', 'cold_start_phase', 'recserve.process', '{process}')
                        AS Properties, '{{}}'::JSON AS Measurements""")
    return selects


def _write_hour(
    database: duckdb.DuckDBPyConnection,
    layout: Layout,
    table: str,
    parts: list[str],
    *,
    begun: datetime,
    start: datetime,
) -> int:
    """Write what the parts select to the table's files of an hour, and give the number of rows.

    Args:
        parts: SQL, with the seconds since `begun` as `at_s` in the place of TimeGenerated.
    """
    if not parts:
        return 0
    columns = sql_columns(table)
    empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
    moment = f"TIMESTAMP '{begun.replace(tzinfo=None)}' + to_microseconds(CAST(at_s * 1e6 AS BIGINT))"
    selected = " UNION ALL BY NAME ".join(
        f"SELECT * EXCLUDE (at_s), {moment} AS TimeGenerated, '{table}' AS Type, 'recserve' AS AppRoleName "
        f"FROM ({part})"
        for part in parts
    )
    database.execute(
        f"CREATE OR REPLACE TEMP TABLE rows AS SELECT {', '.join(columns)} "
        f"FROM (SELECT {empty} WHERE false UNION ALL BY NAME {selected})"
    )
    hours = database.execute("SELECT DISTINCT date_trunc('hour', TimeGenerated) FROM rows").fetchall()
    for [hour] in hours:
        number = int((start - begun).total_seconds()) // 3600 + 1
        path = layout.partition(table, hour) / f"{number:08d}.parquet"
        write_rows(
            database, table, f"SELECT * FROM rows WHERE date_trunc('hour', TimeGenerated) = '{hour}'", path
        )
    counted = database.execute("SELECT count(*) FROM rows").fetchone()
    assert counted is not None
    return int(counted[0])
