"""What devices told, as it leaves a real process."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.ingestion import Ingestion
from tests.recserve.telemetry.serving import serve, statuses

EVENT = {"event_id": "e-1", "user_id": "mia-the-user", "item_id": 10, "kind": "view"}


def report(**fields: object) -> dict[str, Any]:
    return {
        "report_id": "a",
        "client": "js",
        "client_version": "0.1.0",
        "bundle_version": "2026-11-22-1a2b3c4d",
        "answers": [],
    } | fields


def test_reports_arrive_as_rows_that_add_up_and_name_nobody(
    repository: Path, tmp_path: Path, ingestion: Ingestion
) -> None:
    answers = [
        {"by": "edge", "reason": "default", "bucket": 7, "n": 12},
        {"by": "cloud", "reason": "no_bundle", "bucket": 20, "n": 2},
    ]
    compared = {"n": 4, "overlap_sum": 3.6, "n_identical": 3}
    sent = [
        report(report_id="a", answers=answers, comparisons=compared),
        report(report_id="a", answers=answers, comparisons=compared),
        report(report_id="b", answers=answers[:1]),
        report(report_id="c", client="python", bundle_version="", answers=answers[1:]),
    ]

    served = serve(
        repository,
        tmp_path,
        *(("events", {"method": "POST", "json_body": {"events": [EVENT], "edge": one}}) for one in sent),
        APPLICATIONINSIGHTS_CONNECTION_STRING=ingestion.connection_string,
    )

    rows = ingestion.spans("edge")
    assert statuses(served) == [200] * 4
    assert {
        (
            row["name"],
            row["properties"]["recserve.edge.by"],
            row["properties"]["recserve.edge.reason"],
            row["properties"]["recserve.edge.client"],
            row["properties"].get("recserve.edge.bundle", ""),
            row["measurements"]["n"],
        )
        for row in rows
        if row["name"] == "edge_answers"
    } == {
        ("edge_answers", "edge", "default", "js", "2026-11-22-1a2b3c4d", 24),
        ("edge_answers", "cloud", "no_bundle", "js", "2026-11-22-1a2b3c4d", 2),
        ("edge_answers", "cloud", "no_bundle", "python", "", 2),
    }
    [comparison] = [row for row in rows if row["name"] == "edge_comparison"]
    assert comparison["measurements"] == {"n": 4, "overlap": 0.9, "n_identical": 3}
    latencies = {row["measurements"]["latency_ms"] for row in rows if row["name"] == "edge_answers"}
    assert sorted(latencies) == pytest.approx([1.2**6.5, 1.2**19.5], rel=1e-3)
    assert all(row["type"] == "InProc" and row.get("sampleRate") in (None, 100) for row in rows)
    assert b"mia-the-user" not in b"".join(body for _, body in ingestion.posted)
