"""The vectors that both clients follow, by the Python client; and the borders of its pure parts."""

import json
from pathlib import Path
from typing import Any

import pytest

from recserve_edge.bundle import Bundle
from recserve_edge.decision import (
    BundleFacts,
    Confirmation,
    Instant,
    Situation,
    decide,
    fall_back,
)
from recserve_edge.errors import InvalidBundle, InvalidRequest
from recserve_edge.manifest import BundleFile, parse_manifest
from recserve_edge.request import Request
from recserve_edge.tally import Tally, bucket_of

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "edge" / "vectors"
DECISIONS = json.loads((VECTORS / "decisions.json").read_text())


def situation_of(case: dict[str, Any]) -> Situation:
    said = {**DECISIONS["defaults"]["situation"], **case.get("situation", {})}
    return Situation(
        bundle=BundleFacts(**said["bundle"]) if said["bundle"] else None,
        confirmed=Confirmation(**said["confirmed"]) if said["confirmed"] else None,
        now=Instant(**said["now"]),
        round_trips_ms=said["round_trips_ms"],
        n_known_events=said["n_known_events"],
    )


@pytest.mark.parametrize("case", DECISIONS["cases"], ids=lambda case: case["name"])
def test_decision_is_that_of_every_client(case: dict[str, Any]) -> None:
    request = Request(**case.get("request", DECISIONS["defaults"]["request"]))
    failure = case.get("failure")

    if failure is None:
        decision = decide(situation_of(case), request)
    else:
        decision = fall_back(situation_of(case), request, failure)

    expected = case["expected"]
    assert (decision.by, decision.reason) == (expected["by"], expected["reason"])
    assert list(decision.degraded) == expected.get("degraded", [])
    assert decision.failure == expected.get("failure")


def test_bundle_that_nobody_confirmed_has_no_age() -> None:
    case = {"situation": {"confirmed": None}}

    assert decide(situation_of(case), Request(history=[260])).reason == "clock"


@pytest.fixture(scope="module")
def bundle(repository: Path) -> Bundle:
    """The bundle that ships, as a device would have it."""
    folder = repository / "models" / "edge"
    if not (folder / "manifest.json").exists():
        pytest.skip("models/edge does not exist; run `python -m training edge`")
    said = json.loads((folder / "manifest.json").read_text())
    ladder = {variant["name"]: variant for variant in said["ladder"]}
    first, last = ladder[said["serving"][0]], ladder[said["serving"][-1]]
    files = {"model": first["file"], "popular": last["file"], "catalogue": said["catalogue"]}
    manifest = {
        "format": 1,
        "version": said["version"],
        "served_version": said["version"],
        "max_age_s": 60,
        "max_history": said["max_history"],
        "allow_repeats": said["dataset"]["allow_repeats"],
        "n_items": said["dataset"]["n_items"],
        "at": "2026-11-22T00:00:00Z",
        **files,
        "model": {**first["file"], "ndcg_10": first["metrics"]["ndcg"]["10"]},
    }
    contents = {file["name"]: (folder / file["name"]).read_bytes() for file in files.values()}
    return Bundle(parse_manifest(json.dumps(manifest).encode()), contents)


def test_bundle_answers_what_the_service_answers_from_the_same_files(bundle: Bundle) -> None:
    vectors = json.loads((VECTORS / "recommendations.json").read_text())

    different = []
    for case in vectors["cases"]:
        expected = case.pop("expected")
        items = bundle.recommend(case["history"], Request(**case))
        if [item.id for item in items] != expected:
            different.append(case)

    assert vectors["bundle_version"] == bundle.manifest.version
    assert len(vectors["cases"]) >= 200
    assert different == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"k": 0}, "k: 0 is not allowed"),
        ({"k": True}, "k: True is not allowed"),
        ({"user_id": ""}, "user_id: text of 0 characters"),
        ({"user_id": 7}, "user_id: 7 is not allowed; send text"),
        ({"history": "260"}, "history: '260' is not allowed; send a list"),
        ({"history": [260, None]}, r"history\[1\]: None is not allowed"),
        ({"history": list(range(1001))}, "1001 items are not allowed; send the newest 1000"),
        ({"filters": {"only": {}}}, "unknown field 'only'; known: allow, deny"),
        ({"filters": {"allow": {}}}, "send at least one of genres"),
        ({"filters": {"allow": {"genre": ["War"]}}}, "unknown field 'genre'"),
        ({"filters": {"allow": {"genres": "War"}}}, "send a list of 1 to 100"),
        ({"filters": {"deny": {"min_year": 1990.5}}}, "send an integer from 0 to 9999"),
        ({"filters": {"deny": {"min_year": 2000, "max_year": 1990}}}, "swap them"),
        ({"filters": {"deny": {"item_ids": [1]}}, "rules": {"filters": {}}}, "sent twice"),
        ({"rules": ["pins"]}, "send an object"),
        ({"exclude_seen": "no"}, "send true or false"),
        ({"deadline_ms": 0}, "more than 0 and at most 60000"),
    ],
)
def test_request_outside_the_contract_is_refused_with_value_and_remedy(
    asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Request(**asked)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": 2}, "unknown_format"),
        ({"version": "../../etc"}, "manifest_unavailable"),
        ({"version": None}, "manifest_unavailable"),
        ({"n_items": 0}, "manifest_unavailable"),
        ({"at": "yesterday"}, "manifest_unavailable"),
        ({"model": {}}, "manifest_unavailable"),
        ({"popular": {"name": "p.onnx", "sha256": "0" * 64, "bytes": 10**12}}, "manifest_unavailable"),
        ({"catalogue": {"name": "a/b", "sha256": "0" * 64, "bytes": 1}}, "manifest_unavailable"),
    ],
)
def test_manifest_that_contradicts_the_format_is_refused(
    bundle: Bundle, change: dict[str, Any], word: str
) -> None:
    content = json.dumps({**json.loads(bundle.manifest.content), **change}).encode()

    with pytest.raises(InvalidBundle) as caught:
        parse_manifest(content)

    assert caught.value.word == word


@pytest.mark.parametrize("content", [b"", b"<html>log in</html>", b"[]", b"7", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidBundle, match="the manifest cannot be read"):
        parse_manifest(content)


def test_file_of_another_digest_or_length_is_refused() -> None:
    file = BundleFile(name="edge.onnx", sha256="0" * 64, n_bytes=3)

    with pytest.raises(InvalidBundle, match=r"edge\.onnx is damaged"):
        file.verify(b"abc")


@pytest.mark.parametrize(
    ("latency_ms", "bucket"),
    [(0, -20), (0.001, -20), (1.0, 0), (1.01, 1), (1.2, 1), (1.21, 2), (100, 26), (1e9, 60)],
)
def test_latency_falls_into_its_bucket(latency_ms: float, bucket: int) -> None:
    assert bucket_of(latency_ms) == bucket


def test_report_sums_up_what_was_counted_and_begins_anew() -> None:
    tally = Tally(client_version="1.2.3")
    for _ in range(3):
        tally.count("edge", "default", 1.0)
    tally.compare([1, 2, 3, 4], [1, 2, 3, 5])
    tally.compare([1, 2], [1, 2])

    report = tally.report("v1")

    assert report["answers"] == [{"by": "edge", "reason": "default", "bucket": 0, "n": 3}]
    assert report["comparisons"] == {"n": 2, "overlap_sum": 1.75, "n_identical": 1}
    assert tally.is_empty()


def test_report_leaves_rows_beyond_its_bound_for_the_next() -> None:
    tally = Tally(client_version="1.2.3")
    for place in range(250):
        tally.count("edge", f"reason_{place}", 1.0)

    assert [len(tally.report("")["answers"]) for _ in range(2)] == [200, 50]
    assert tally.is_empty()
