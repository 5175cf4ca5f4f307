"""Telemetry as it leaves a real process, received by a real server."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.ingestion import Ingestion
from recserve.settings import read_settings
from recserve.telemetry.export import QUEUE_SIZE, Telemetry
from recserve.telemetry.timeline import Timeline
from tests.recserve.telemetry.serving import POPULAR, RECOMMEND, serve, start, statuses

CANARY = "canary-user-4711"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"


def test_request_arrives_with_its_phases_numbers_and_place_in_the_trace(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    traced = RECOMMEND[1] | {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}

    served = serve(
        repository,
        tmp_path,
        POPULAR,
        ("recommend", traced),
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        WEBSITE_INSTANCE_ID="instance-7",
        WEBSITE_SITE_NAME="shop",
        RECSERVE_SLO_MS="60000",
    )

    span = next(span for span in ingestion.spans("request") if span["name"] == "recommend")
    properties, measurements, tags = span["properties"], span["measurements"], span["tags"]
    assert statuses(served) == [200, 200]
    assert (tags["ai.operation.id"], tags["ai.operation.parentId"]) == (TRACE_ID, PARENT_ID)
    assert (tags["ai.cloud.roleInstance"], tags["ai.cloud.role"]) == ("instance-7", "shop")
    assert span["type"] == "InProc"
    assert properties["faas.name"] == "shop/recommend"
    assert properties["faas.coldstart"] == "False"
    assert properties["faas.invocation_id"] == "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    assert properties["recserve.status_code"] == "200"
    assert (properties["recserve.outcome"], properties["recserve.kept"]) == ("ok", "rate")
    assert (properties["recserve.variant"], properties["recserve.variant_reason"]) == ("student", "default")
    of_phases = {f"{phase}_ms" for phase in ("startup", "admit", "state", "queue", "infer", "rank", "encode")}
    assert of_phases <= measurements.keys()
    assert sum(measurements[phase] for phase in of_phases) == pytest.approx(
        measurements["duration_ms"], rel=0.01
    )
    assert measurements["batch_size"] == 1
    assert {"in_flight", "limit", "pressure", "deadline_ms"} <= measurements.keys()


def test_cold_start_arrives_as_a_trace_that_explains_itself(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    serve(repository, tmp_path, APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string)

    [root] = ingestion.spans("cold_start")
    phases = {span["name"] for span in ingestion.spans("cold_start_phase")}
    of_root = {s["tags"]["ai.operation.id"] for s in ingestion.spans("cold_start_phase")}
    assert {
        "interpreter",
        "import azure.functions",
        "import numpy",
        "import onnxruntime",
        "settings",
    } <= phases
    assert {"model_read", "session student", "first_inference student", "state", "telemetry"} <= phases
    assert of_root == {root["tags"]["ai.operation.id"]}
    assert root["properties"]["recserve.cause"] == "first"
    assert root["properties"]["recserve.driver"] == "request"
    assert root["measurements"]["n_impacted"] == 1
    assert root["measurements"]["explained_ms"] >= 0.95 * root["measurements"]["duration_ms"]


def test_request_that_waited_for_the_start_says_how_long(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    serve(
        repository,
        tmp_path,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        RECSERVE_TRACE_RATE="0",
    )

    [impacted] = [span for span in ingestion.spans("request") if span["name"] == "popular"]
    assert impacted["properties"]["recserve.impacted"] == "True"
    assert impacted["properties"]["recserve.kept"] == "impacted"
    assert impacted["measurements"]["wait_ms"] > 1
    assert {span["name"] for span in ingestion.spans("phase")} >= {"startup", "admit", "infer", "encode"}
    [root] = ingestion.spans("cold_start")
    assert impacted["properties"]["recserve.process"] == root["properties"]["recserve.process"]


def test_what_is_sampled_stands_for_the_rest(repository: Path, tmp_path: Path, ingestion: Ingestion) -> None:
    serve(
        repository,
        tmp_path,
        *[RECOMMEND] * 400,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        RECSERVE_TRACE_RATE="0.25",
        RECSERVE_SLO_MS="60000",
    )

    kept = [span for span in ingestion.spans("request") if span["properties"]["recserve.kept"] == "rate"]
    item_count = sum(100 / span["sampleRate"] for span in kept)
    counted = sum(point["count"] for point in ingestion.metrics()["faas.invoke_duration"])
    assert 60 < len(kept) < 140
    assert {span["sampleRate"] for span in kept} == {25.0}
    assert 240 < item_count < 560
    assert counted == 400


def test_metrics_count_every_request_and_sample_the_process(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    serve(
        repository,
        tmp_path,
        POPULAR,
        RECOMMEND,
        ("recommend", {"method": "POST", "json_body": {"histry": [1]}}),
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        RECSERVE_TRACE_RATE="0",
        STAY_S="4",
    )

    metrics = ingestion.metrics()
    outcomes = {
        (point["properties"]["faas.name"], point["properties"]["recserve.outcome"])
        for point in metrics["faas.invoke_duration"]
    }
    assert {
        ("recserve/popular", "ok"),
        ("recserve/recommend", "ok"),
        ("recserve/recommend", "bad_request"),
    } <= outcomes
    assert sum(point["count"] for point in metrics["faas.invoke_duration"]) == 3
    assert sum(point["value"] for point in metrics["faas.coldstarts"]) == 1
    assert sum(point["value"] for point in metrics["faas.init_duration"]) > 0.05
    sampled = {
        "faas.mem_usage",
        "faas.cpu_usage",
        "recserve.in_flight",
        "recserve.limit",
        "recserve.loop.lag",
    }
    assert sampled <= metrics.keys()


def test_user_ids_leave_the_process_as_keyed_hashes_alone(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    served = serve(
        repository,
        tmp_path,
        ("recommend", {"method": "POST", "json_body": {"user_id": CANARY}}),
        ("recommend_user", {"route": {"user_id": CANARY}}),
        ("events", {"method": "POST", "json_body": {"events": [{"user_id": CANARY, "item_id": "260"}]}}),
        ("export_user", {"route": {"user_id": CANARY}}),
        ("erase_user", {"method": "DELETE", "route": {"user_id": CANARY}}),
        ("recommend", {"method": "POST", "json_body": {"user_id": CANARY, "wrong": CANARY}}),
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        RECSERVE_SLO_MS="0.001",
    )

    everything = b"".join(body for _, body in ingestion.posted)
    users = {span["properties"].get("recserve.user") for span in ingestion.spans("request")} - {None}
    assert b"recserve.user" in everything
    assert len(users) == 1
    assert CANARY.encode() not in everything
    assert CANARY not in served.stdout + served.stderr


def test_start_that_failed_is_told(repository: Path, tmp_path: Path, ingestion: Ingestion) -> None:
    served = serve(
        repository,
        tmp_path,
        RECOMMEND,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
        RECSERVE_MODELS_DIR=str(tmp_path / "nowhere"),
    )

    [root] = ingestion.spans("cold_start")
    [request] = ingestion.spans("request")
    assert statuses(served) == [503]
    assert (root["properties"]["recserve.outcome"], root["success"]) == ("failed", False)
    assert (request["properties"]["recserve.outcome"], request["success"]) == ("not_ready", False)
    assert request["properties"]["recserve.error"] == "StartupFailed"


def test_dead_endpoint_does_not_stop_an_answer(repository: Path, tmp_path: Path) -> None:
    served = serve(repository, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")

    assert statuses(served) == [200, 200]


def test_what_a_dead_endpoint_missed_arrives_from_disk(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    ingestion.status = 503
    settings = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        "RECSERVE_SPOOL_DIR": str(tmp_path / "spool"),
    }
    serve(repository, tmp_path, RECOMMEND, **settings)
    spooled = sorted((tmp_path / "spool").iterdir())
    for path in spooled:  # as if the time for a second try had come
        path.rename(path.with_name(path.name.partition("@")[0]))
    ingestion.status = 200

    serve(repository, tmp_path, POPULAR, **settings)

    assert spooled
    assert {"recommend", "popular"} <= {span["name"] for span in ingestion.spans("request")}


def test_endpoint_that_hangs_holds_nobody_up(repository: Path, tmp_path: Path, ingestion: Ingestion) -> None:
    ingestion.delay_s = 60
    started_s = time.monotonic()

    served = serve(
        repository,
        tmp_path,
        *[RECOMMEND] * 50,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
    )

    assert statuses(served) == [200] * 50
    assert time.monotonic() - started_s < 30  # the end waits, within bounds


def test_without_an_endpoint_nothing_is_kept() -> None:
    telemetry = Telemetry(read_settings({}))

    telemetry.attach()
    telemetry.record(Timeline("recommend"))

    assert telemetry.n_queued == 0


def test_full_queue_drops_and_counts_instead_of_growing() -> None:
    telemetry = Telemetry(read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}))

    for _ in range(QUEUE_SIZE + 3):
        telemetry.record(Timeline("recommend"))

    assert (telemetry.n_queued, telemetry.n_dropped) == (QUEUE_SIZE, 3)


def test_thread_that_cannot_begin_costs_telemetry_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    telemetry = Telemetry(read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}))
    telemetry.record(Timeline("recommend"))
    monkeypatch.setattr(threading.Thread, "start", refuse)

    telemetry.attach()
    telemetry.record(Timeline("recommend"))
    telemetry.close()

    assert telemetry.n_queued == 0
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry could not be attached: can't start new thread; recommendations go on without it, "
        "1 timelines are lost"
    ]


CLOSE_FIRST = """
import os, sys, threading
from recserve.settings import read_settings
from recserve.telemetry.export import Telemetry
telemetry = Telemetry(read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1]}))
threading.Timer(0.2, telemetry.attach).start()
telemetry.close()
os._exit(0)
"""


def test_close_waits_for_a_start_that_is_under_way(repository: Path, ingestion: Ingestion) -> None:
    subprocess.run(
        [sys.executable, "-c", CLOSE_FIRST, ingestion.address], cwd=repository, timeout=30, check=True
    )

    assert ingestion.posted


def test_loop_that_is_closed_is_not_asked(repository: Path, tmp_path: Path, ingestion: Ingestion) -> None:
    served = serve(
        repository,
        tmp_path,
        POPULAR,
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
    )

    assert "Traceback" not in served.stderr
    assert ingestion.spans("request")


def test_cold_start_is_counted_long_before_the_minute_of_metrics(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    settings = {"APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string, "STAY_S": "50"}
    with start(repository, tmp_path, POPULAR, **settings) as process:
        try:
            arrives(lambda: bool(ingestion.spans("cold_start")) and "faas.coldstarts" in ingestion.metrics())
        finally:
            process.kill()  # what has not arrived never will

    assert sum(point["value"] for point in ingestion.metrics()["faas.coldstarts"]) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing stops a process there")
def test_process_that_stood_still_says_for_how_long(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    settings = {"APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string, "STAY_S": "6"}
    with start(repository, tmp_path, POPULAR, **settings) as process:
        try:
            arrives(lambda: bool(ingestion.spans("cold_start")))
            process.send_signal(signal.SIGSTOP)
            time.sleep(2)
            process.send_signal(signal.SIGCONT)
            process.communicate(timeout=60)
        finally:
            process.kill()

    longest_s = max(point["max"] for point in ingestion.metrics()["recserve.loop.lag"])
    assert 1 < longest_s < 10


def arrives(has_arrived: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + 30
    while not has_arrived():
        assert time.monotonic() < give_up_s, "nothing arrived"
        time.sleep(0.05)
