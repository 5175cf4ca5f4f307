"""The queries about devices, on reports whose answers can be worked out by hand."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from recserve.telemetry import names
from tests.console.test_queries import START, answers, at, span
from tests.emulator.app_insights.emulator_process import EmulatorProcess

HOUR = timedelta(hours=1)
GROWTH = 1.2


def reported(
    by: str, reason: str, bucket: int, n: int, *, client: str = "js", bundle: str = "v1", minutes: float = 1
) -> dict[str, Any]:
    """What the service makes of a row of reports."""
    properties = {
        names.EDGE_BY: by,
        names.EDGE_REASON: reason,
        names.EDGE_CLIENT: client,
        names.EDGE_BUNDLE: bundle,
    }
    measured = {names.N: n, names.LATENCY_MS: GROWTH ** (bucket - 0.5)}
    return span(names.KIND_EDGE, names.EDGE_ANSWERS, minutes=minutes, properties=properties, **measured)


def compared(n: int, overlap: float, n_identical: int, *, bundle: str = "v1") -> dict[str, Any]:
    properties = {names.EDGE_CLIENT: "js", names.EDGE_BUNDLE: bundle}
    measured = {names.N: n, names.EDGE_OVERLAP: overlap, names.N_IDENTICAL: n_identical}
    return span(names.KIND_EDGE, names.EDGE_COMPARISON, minutes=2, properties=properties, **measured)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """Holds what two kinds of client reported, the first at the ends of what buckets there may be."""
    running = EmulatorProcess(tmp_path_factory.mktemp("telemetry") / "data")
    answer = running.track(
        reported("edge", "default", 3, 10),
        reported("edge", "default", 3, 2, minutes=4),
        reported("edge", "default", -20, 1, client="python"),
        reported("cloud", "no_bundle", 60, 4, bundle=""),
        reported("edge", "offline", 3, 5, minutes=61),
        compared(4, 0.9, 2),
        compared(1, 0.4, 0),
    )
    assert answer.status_code == 200, answer.text
    yield running
    running.kill()


def test_answers_of_devices_by_reason_and_the_reports_own_buckets(emulator: EmulatorProcess) -> None:
    rows = answers(emulator, "edge_answers", interval=HOUR)

    found = [(row["answered_by"], row["reason"], row["bucket"], row["n_answers"]) for row in rows]
    assert found == [
        ("cloud", "no_bundle", 60, 4),
        ("edge", "default", -20, 1),
        ("edge", "default", 3, 12),
        ("edge", "offline", 3, 5),
    ]
    assert [row["interval_start_unix_ms"] for row in rows] == [START.timestamp() * 1e3] * 3 + [
        at(60).timestamp() * 1e3
    ]


def test_bundles_by_client_with_first_and_last_report(emulator: EmulatorProcess) -> None:
    rows = answers(emulator, "edge_bundles")

    found = {(row["bundle"], row["client"], row["answered_by"]): row for row in rows}
    assert list(found) == [("v1", "js", "edge"), ("v1", "python", "edge"), ("", "js", "cloud")]
    of_browsers = found["v1", "js", "edge"]
    assert (of_browsers["n_answers"], of_browsers["first_seen"], of_browsers["last_seen"]) == (
        17,
        at(1),
        at(61),
    )


def test_agreement_weighs_comparisons(emulator: EmulatorProcess) -> None:
    [row] = answers(emulator, "edge_agreement", interval=HOUR)

    assert (row["bundle"], row["client"], row["n_compared"], row["n_identical"]) == ("v1", "js", 5, 2)
    assert row["mean_overlap"] == pytest.approx((4 * 0.9 + 0.4) / 5)
