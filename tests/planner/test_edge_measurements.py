"""Devices as options and result files tell of them, and what is refused or derived where they do not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.edge import Edge
from planner.edge_measurements import EdgeOptions, edge_of, lognormal_s
from planner.measurements import MeasurementsError
from tests.planner.test_search import INSTANCE

RESULT = {
    "figures": {"local": {"n": 9, "p50_ms": 1.3, "p99_ms": 3.9}, "wire_bytes": 700_000, "ndcg_10": 0.089}
}


def devices(tmp_path: Path, *, extrapolates: bool = False, **options: Any) -> Edge:
    return edge_of(
        EdgeOptions(**({"share": 0.6} | options)),
        INSTANCE,
        results=tmp_path,
        manifest=tmp_path / "manifest.json",
        extrapolates=extrapolates,
    )


def written(tmp_path: Path, content: object, name: str = "edge_browser.json") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(content))
    return path


def percentile_ms(edge: Edge, percent: float) -> float:
    return float(np.interp(percent / 100, np.linspace(0, 1, len(edge.answer_s)), edge.answer_s)) * 1e3


def test_distribution_has_the_two_percentiles() -> None:
    quantiles_s = lognormal_s(1.3, 3.9)

    at = np.linspace(0, 1, len(quantiles_s))
    assert np.interp([0.5, 0.99], at, quantiles_s) * 1e3 == pytest.approx([1.3, 3.9])
    assert list(quantiles_s) == sorted(quantiles_s)
    assert set(lognormal_s(2.0, 2.0)) == {0.002}


def test_result_file_stands_for_devices_where_nothing_else_is_said(tmp_path: Path) -> None:
    written(tmp_path, RESULT)

    edge = devices(tmp_path, n_devices=1000)

    assert (percentile_ms(edge, 50), percentile_ms(edge, 99)) == (pytest.approx(1.3), pytest.approx(3.9))
    assert edge.ndcg_10 == 0.089
    assert edge.downloads is not None
    assert edge.downloads.bundle_bytes == 700_000
    assert any("as fast as the machine of" in guess for guess in edge.guesses)


def test_options_have_the_last_word(tmp_path: Path) -> None:
    path = written(tmp_path, RESULT["figures"], "mine.json")

    edge = devices(tmp_path, results=path, p50_ms=5, p99_ms=20, ndcg_10=0.07, n_devices=10, bundle_kb=1.5)

    assert percentile_ms(edge, 50) == pytest.approx(5)
    assert edge.ndcg_10 == 0.07
    assert edge.downloads is not None
    assert edge.downloads.bundle_bytes == 1500
    assert edge.guesses == ()


def test_what_nobody_said_is_noted(tmp_path: Path) -> None:
    edge = devices(tmp_path, p50_ms=5, p99_ms=20)

    assert [note.partition(";")[0] for note in edge.notes] == [
        "users are taken to sit beside the cloud",
        "the quality of answers by devices is not known",
        "downloads of the bundle are not priced",
    ]


def test_quality_is_the_bundles_own_where_its_manifest_is_there(tmp_path: Path) -> None:
    variant = {"name": "edge", "metrics": {"ndcg": {"10": 0.088}}, "measurement": {"latency_ms": {"1": 0.2}}}
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge/manifest.json").write_text(json.dumps({"ladder": [variant], "serving": ["edge"]}))

    assert devices(tmp_path, p50_ms=5, p99_ms=20).ndcg_10 == 0.088


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {},
            "answers by devices were never measured; give --edge-p50-ms and --edge-p99-ms, name a result file",
        ),
        ({"p50_ms": 2.0}, "a median of 2 ms alone says nothing of the tail of devices; give --edge-p99-ms"),
        ({"p50_ms": 2.0, "p99_ms": 1.0}, "a p99 of 1 ms is below the median of 2 ms"),
        ({"p50_ms": -2.0, "p99_ms": 1.0}, "answers by devices in -2 and 1 ms"),
        ({"p50_ms": 2.0, "p99_ms": 3.0, "n_devices": 5}, "the size of the bundle is not known"),
        ({"share": 1.0}, "leave the cloud no traffic"),
        ({"results": Path("missing.json")}, "cannot read edge results 'missing.json'"),
    ],
)
def test_what_was_not_measured_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        devices(tmp_path, **options)


@pytest.mark.parametrize("content", [{}, {"figures": {"local": {"p50_ms": "fast"}}}, [1]])
def test_file_without_times_of_devices_is_told(tmp_path: Path, content: object) -> None:
    with pytest.raises(MeasurementsError, match=r"says nothing of answers by devices: .*; name one with"):
        devices(tmp_path, results=written(tmp_path, content))


def test_extrapolation_errs_on_the_slow_side_and_is_named(tmp_path: Path) -> None:
    edge = devices(tmp_path, extrapolates=True, n_devices=5)

    # The fastest variant of the instance runs 5 ms: ten times as long in the median, four times that at p99.
    assert (percentile_ms(edge, 50), percentile_ms(edge, 99)) == (pytest.approx(50), pytest.approx(200))
    assert edge.downloads is not None
    assert edge.downloads.bundle_bytes == 1_000_000
    assert len(edge.guesses) == 3
