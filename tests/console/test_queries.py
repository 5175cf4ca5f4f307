"""Each `.kql` file: through the emulator on data whose answer can be worked out by hand, and past Kusto's checker."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console.queries import FOLDER, load_query, query_names
from emulator.app_insights.tables import kusto_schema
from emulator.functions_host.telemetry import HELD_MS
from recserve.telemetry import names
from tests.emulator.app_insights.emulator_process import Emulator, EmulatorHost, envelope
from tests.kusto import Verdict, check_queries

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
"An hour has the intervals that the queries bin by, so rows never straddle two."
TEN_MINUTES = timedelta(minutes=10)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def span(
    kind: str,
    name: str,
    *,
    minutes: float = 0,
    duration_ms: float = 10,
    rate: float = 100,
    trace: str = "t",
    properties: Mapping[str, str] = {},
    **measurements: float,
) -> dict[str, Any]:
    """What the exporter makes of a span of Recserve's."""
    return envelope(
        "RemoteDependencyData",
        time=at(minutes),
        sample_rate=rate,
        tags={"ai.cloud.roleInstance": "instance-1", "ai.operation.id": trace},
        name=name,
        type="InProc",
        duration=f"0.00:00:{duration_ms / 1e3:06.3f}",
        properties={names.KIND: kind, **properties},
        measurements={names.DURATION_MS: duration_ms, **measurements},
    )


def request(outcome: str = "ok", *, properties: Mapping[str, str] = {}, **given: Any) -> dict[str, Any]:
    rung = {names.VARIANT: "blend", names.REASON: "default"} if outcome == "ok" else {}
    return span(
        names.KIND_REQUEST,
        names.RECOMMEND,
        properties={names.OUTCOME: outcome, names.PROCESS: "p1", **rung, **properties},
        **given,
    )


def metric(name: str, *, total: float, n: int, least: float, most: float) -> dict[str, Any]:
    return envelope(
        "MetricData",
        time=at(3),
        tags={"ai.cloud.roleInstance": "instance-1"},
        metrics=[{"name": name, "value": total, "count": n, "min": least, "max": most}],
    )


@pytest.fixture(scope="module")
def emulator(emulators: EmulatorHost, tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """Holds two intervals of requests, a cold start with an impacted request, and metrics."""
    running = emulators.start(tmp_path_factory.mktemp("telemetry") / "data")
    phases = {
        "admit_ms": 1.0,
        "state_ms": 2.0,
        "queue_ms": 1.0,
        "infer_ms": 4.0,
        "rank_ms": 1.0,
        "encode_ms": 1.0,
    }
    brownout = {names.VARIANT: "counts", names.REASON: "brownout"}
    cold = {names.FAAS_COLDSTART: "True", names.IMPACTED: "True"}
    start = {names.PROCESS: "p1", names.CAUSE: "scale_out", names.DRIVER: "request"}
    answer = running.track(
        *(request(minutes=1, duration_ms=10, rate=10, **phases) for _ in range(9)),  # stand for 90
        request(minutes=2, duration_ms=200, properties=cold, wait_ms=180, **phases),
        *(request("shed", minutes=3, duration_ms=0.5) for _ in range(6)),
        *(request("failed", minutes=4, duration_ms=5) for _ in range(3)),
        *(request(minutes=11, duration_ms=20, properties=brownout) for _ in range(3)),
        request(minutes=12, duration_ms=40),
        span(names.KIND_REQUEST, "events", minutes=1, properties={names.OUTCOME: "ok"}),
        span(names.KIND_PHASE, "infer", minutes=1),
        span(
            names.KIND_COLD_START,
            names.COLD_START,
            minutes=1.5,
            duration_ms=900,
            trace="cold",
            properties=start,
            ready_ms=800,
            explained_ms=790,
            n_impacted=1,
        ),
        span(names.KIND_COLD_START_PHASE, "interpreter", minutes=1.5, duration_ms=100, trace="cold"),
        span(
            names.KIND_COLD_START_PHASE,
            "model_read",
            minutes=1.5 + 0.1 / 60,
            duration_ms=40,
            trace="cold",
        ),
        metric(names.IN_FLIGHT_NOW, total=120, n=60, least=0, most=9),
        metric(names.LIMIT_NOW, total=3840, n=60, least=32, most=80),
        metric(names.QUEUE_LENGTH, total=30, n=60, least=0, most=4),
        metric(names.SHED_SHARE, total=6, n=60, least=0, most=0.5),
        metric(names.CPU_USAGE, total=45, n=60, least=0.1, most=1.0),
        metric(names.CGROUP_CPU, total=48, n=60, least=0.1, most=1.0),
        metric(names.CORES, total=120, n=60, least=2, most=2),
        metric(names.THROTTLED, total=6, n=60, least=0, most=0.4),
        metric(names.PRESSURE_CPU, total=3, n=60, least=0, most=0.2),
        metric(names.PRESSURE_MEMORY, total=0, n=60, least=0, most=0),
        metric(names.PRESSURE_IO, total=1, n=60, least=0, most=0.1),
        metric(names.MEM_USAGE, total=60 * 2**28, n=60, least=2**28, most=2**28),
        metric(names.MEM_LIMIT, total=60 * 2**30, n=60, least=2**30, most=2**30),
        metric(names.LOOP_LAG, total=0.12, n=60, least=0.001, most=0.02),
        metric(names.PREEMPTIONS, total=600, n=60, least=1, most=40),
        metric(names.INFERENCE_THREADS, total=60, n=60, least=1, most=1),
    )
    assert answer.status_code == 200, answer.text
    return running


def answers(emulator: Emulator, name: str, **values: Any) -> list[dict[str, Any]]:
    table = emulator.ask(load_query(name).text(**values))
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_requests_and_their_shares(emulator: Emulator) -> None:
    first, second = answers(emulator, "requests", interval=TEN_MINUTES)

    assert first == {
        "interval_start": at(0),
        "n_requests": 100,
        "n_ok": 91,
        "n_good": 90,
        "n_over": 1,
        "n_shed": 6,
        "n_failed": 3,
        "n_cold": 1,
        "n_impacted": 1,
        "shed_share": 0.06,
        "failed_share": 0.03,
    }
    assert (second["interval_start"], second["n_requests"], second["n_shed"]) == (at(10), 4, 0)


def test_another_function_is_asked_by_its_name(emulator: Emulator) -> None:
    [only] = answers(emulator, "requests", interval=TEN_MINUTES, function_name="events")

    assert (only["n_requests"], only["n_ok"]) == (1, 1)


def test_latency_histogram_holds_every_answer_in_its_bucket(emulator: Emulator) -> None:
    rows = answers(emulator, "latency_histogram", interval=TEN_MINUTES)

    assert [(row["interval_start_unix_ms"], row["n_requests"]) for row in rows] == [
        (at(0).timestamp() * 1000, 90),
        (at(0).timestamp() * 1000, 1),
        (at(10).timestamp() * 1000, 3),
        (at(10).timestamp() * 1000, 1),
    ]
    for row, ms in zip(rows, (10, 200, 20, 40), strict=True):
        assert row["above_ms"] < ms <= row["up_to_ms"] <= row["above_ms"] * 1.0501


def test_percentiles_are_weighted_and_within_half_a_bucket(emulator: Emulator) -> None:
    first, second = answers(emulator, "latency_percentiles", interval=TEN_MINUTES)
    [whole] = answers(emulator, "latency_percentiles", interval=timedelta(hours=1))

    assert (first["n_requests"], second["n_requests"], whole["n_requests"]) == (91, 4, 95)
    close = {"rel": 0.025}
    # 90 of 91 took 10 ms: the one of 200 ms is beyond 98.9 %, without weights it would be beyond 90 %.
    assert [first[f"p{p}_ms"] for p in (50, 95, 99)] == [pytest.approx(ms, **close) for ms in (10, 10, 200)]
    assert [second[f"p{p}_ms"] for p in (50, 95, 99)] == [pytest.approx(ms, **close) for ms in (20, 40, 40)]
    assert [whole[f"p{p}_ms"] for p in (50, 95, 99)] == [pytest.approx(ms, **close) for ms in (10, 20, 200)]


def test_phases_share_the_time(emulator: Emulator) -> None:
    rows = [
        row for row in answers(emulator, "phases", interval=TEN_MINUTES) if row["interval_start"] == at(0)
    ]

    # 91 requests of 10 ms of phases, in a total of 90 x 10 + 200 ms.
    assert {row["phase"]: row["mean_ms"] for row in rows} == pytest.approx(
        {"admit": 1, "state": 2, "queue": 1, "infer": 4, "rank": 1, "encode": 1}
    )
    assert sum(row["share"] for row in rows) == pytest.approx(910 / 1100)


def test_cold_starts_with_cause_and_time(emulator: Emulator) -> None:
    assert answers(emulator, "cold_starts") == [
        {
            "started": at(1.5),
            "instance": "instance-1",
            "process": "p1",
            "cause": "scale_out",
            "driver": "request",
            "ready_ms": 800.0,
            "explained_ms": 790.0,
            "n_impacted": 1,
            "trace": "cold",
        }
    ]
    assert answers(emulator, "cold_starts", least_ready_ms=801.0) == []


def test_cold_start_phases_are_a_waterfall(emulator: Emulator) -> None:
    rows = answers(emulator, "cold_start_phases", process_id="p1")

    assert [(row["phase"], row["after_ms"], row["phase_ms"], row["cause"]) for row in rows] == [
        ("interpreter", 0.0, 100.0, "scale_out"),
        ("model_read", 100.0, 40.0, "scale_out"),
    ]
    assert answers(emulator, "cold_start_phases", process_id="p2") == []


def test_impacted_requests_and_their_wait(emulator: Emulator) -> None:
    assert answers(emulator, "impacted_requests") == [
        {
            "process": "p1",
            "instance": "instance-1",
            "started": at(1.5),
            "cause": "scale_out",
            "ready_ms": 800.0,
            "n_requests": 1,
            "mean_wait_ms": 180.0,
            "longest_wait_ms": 180.0,
            "first_request": at(2),
        }
    ]


def test_concurrency_against_its_limit(emulator: Emulator) -> None:
    assert answers(emulator, "concurrency", interval=TEN_MINUTES) == [
        {
            "interval_start": at(0),
            "instance": "instance-1",
            "in_flight": 2.0,
            "most_in_flight": 9.0,
            "limit": 64.0,
            "least_limit": 32.0,
            "queue_length": 0.5,
            "longest_queue": 4.0,
            "shed_share": 0.1,
        }
    ]


def test_variants_and_reasons_share_the_answers(emulator: Emulator) -> None:
    rows = answers(emulator, "variants", interval=TEN_MINUTES)

    assert [(row["variant"], row["reason"], row["n_requests"], row["share"]) for row in rows] == [
        ("blend", "default", 91, 1.0),
        ("blend", "default", 1, 0.25),
        ("counts", "brownout", 3, 0.75),
    ]
    assert rows[0]["mean_ms"] == pytest.approx(1100 / 91)


def test_contention_of_an_instance(emulator: Emulator) -> None:
    [row] = answers(emulator, "contention", interval=TEN_MINUTES)

    assert row == {"interval_start": at(0), "instance": "instance-1"} | {
        name: pytest.approx(value)
        for name, value in {
            "cpu": 0.75,
            "cgroup_cpu": 0.8,
            "cores": 2,
            "throttled": 0.1,
            "pressure_cpu": 0.05,
            "pressure_memory": 0,
            "pressure_io": 0.1,
            "most_memory_mib": 256,
            "memory_limit_mib": 1024,
            "mean_loop_lag_ms": 2,
            "longest_loop_lag_ms": 20,
            "preemptions": 10,
            "inference_threads": 1,
        }.items()
    }


def test_volume_by_table(emulator: Emulator) -> None:
    rows = answers(emulator, "volume")

    assert {row["table_name"]: (row["n_rows"], row["n_items"]) for row in rows} == {
        "AppDependencies": (28, 109),
        "AppMetrics": (16, 960),
    }
    assert all(row["n_bytes"] > 100 * row["n_rows"] for row in rows)


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    """Of Microsoft's checker, on each file as it is and as it is sent."""
    queries = {name: load_query(name) for name in query_names()}
    as_sent = {f"{name}, as sent": query.text() for name, query in queries.items()}
    wrong = {
        "wrong column": queries["requests"].source.replace("ItemCount", "ItemsCount"),
        "wrong type": "AppRequests | summarize sum(Name)",
    }
    as_written = {name: query.source for name, query in queries.items()}
    return check_queries(as_written | as_sent | wrong, kusto_schema())


@pytest.mark.parametrize("name", query_names())
def test_checker_finds_nothing(verdicts: dict[str, Verdict], name: str) -> None:
    assert verdicts[name]["errors"] == []
    assert verdicts[f"{name}, as sent"]["errors"] == []


@pytest.mark.parametrize("name", query_names())
def test_emulator_answers_the_columns_that_kusto_would(
    emulator: Emulator, verdicts: dict[str, Verdict], name: str
) -> None:
    sent, written = emulator.ask(load_query(name).text()), emulator.ask(load_query(name).source)

    assert dict(zip(sent.columns, sent.columns_types, strict=True)) == verdicts[name]["columns"]
    assert [list(row) for row in sent.rows] == [list(row) for row in written.rows]


def test_wrong_column_fails(verdicts: dict[str, Verdict]) -> None:
    message = "The name 'ItemsCount' does not refer to any known column, table, variable or function."
    assert message in [problem["message"] for problem in verdicts["wrong column"]["errors"]]
    assert len(verdicts["wrong type"]["errors"]) == 1


@pytest.mark.parametrize("name", query_names())
def test_file_says_its_question_and_names_what_telemetry_has(name: str) -> None:
    query = load_query(name)
    known = {value for value in vars(names).values() if isinstance(value, str)}

    assert query.question.endswith(("?", "."))
    assert query.question[0].isupper()
    used = re.findall(r'"((?:recserve|faas)\.[^"]+)"', query.source)
    assert set(used) - {"recserve."} <= known
    assert set(re.findall(r'Measurements\["(\w+)"\]', query.source)) <= known | {HELD_MS} | {
        names.phase_ms(phase) for phase in ("startup", "admit", "state", "queue", "infer", "rank", "encode")
    }


def test_every_file_is_asked_by_some_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*queries.py"))
    asked = set(re.findall(r'answers\(emulator, "(\w+)"', tests))

    assert asked == {path.stem for path in FOLDER.glob("*.kql")}


def test_parameters_take_values_and_refuse_unknown_ones() -> None:
    query = load_query("requests")

    text = query.text(interval=timedelta(seconds=90), function_name='a"b')

    assert "let interval = 90000000microseconds;\n" in text
    assert 'let function_name = "a\\"b";\n' in text
    assert "declare" not in text
    with pytest.raises(KeyError, match=r"requests\.kql has no parameters"):
        query.text(intervall=1)
