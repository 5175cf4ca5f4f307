"""What the README says of figures follows from them."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report

RESULTS = Path(report.RESULTS_DIR)


@pytest.mark.parametrize(
    ("p50_ms", "said"),
    [
        (14.0, "takes 14.00 ms, 2.0 x as long as the exact"),
        (3.5, "takes 3.50 ms, 2.0 x faster than the exact"),
    ],
)
def test_inverted_file_is_held_against_the_scan_by_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, p50_ms: float, said: str
) -> None:
    result: dict[str, Any] = json.loads((RESULTS / "catalogue.json").read_text())
    result["figures"]["heads"]["exact_int8"]["batch_1"]["p50_ms"] = 7.0
    result["figures"]["less_clustered"]["batch_1"]["p50_ms"] = p50_ms
    (tmp_path / "catalogue.json").write_text(json.dumps(result))
    monkeypatch.setattr(report, "RESULTS_DIR", tmp_path)

    assert said in report.catalogue_table()
