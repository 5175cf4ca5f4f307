"""What docs/edge.md says of figures follows from them."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.edge import report as edge_report
from benchmarks.report import update_readme
from benchmarks.results import RESULTS_DIR


@pytest.mark.parametrize(
    ("names", "head"),
    [
        (["edge_parity", "edge_browser"], "| | in Chromium | in Python |"),
        (["edge_parity"], "| | in Python |"),
    ],
)
def test_table_has_a_column_for_each_client_that_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], head: str
) -> None:
    for name in names:
        result = json.loads((RESULTS_DIR / "edge_parity.json").read_text())
        result["figures"]["parity"] |= {"identical": 0.9984, "n": 5000}
        if name == "edge_browser":
            result["figures"]["starts"] = {"cold": {"median_ms": 812.4}, "from_cache": {"median_ms": 301.6}}
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    for module in (report, edge_report):
        monkeypatch.setattr(module, "RESULTS_DIR", tmp_path)

    lines = edge_report.edge_table().splitlines()

    assert lines[0] == head
    assert lines[2].count("99.84% of 5,000 histories") == len(names)
    starts = "| first answer of a page, cold and from its cache | 812 ms, 302 ms | - |"
    assert (starts in lines) == (len(names) == 2)


def test_document_has_the_place_for_it(tmp_path: Path) -> None:
    document = tmp_path / "edge.md"
    document.write_text(edge_report.EDGE.read_text())

    update_readme(document, {"edge": lambda: "| a | table |"})

    assert "<!-- edge -->\n| a | table |\n<!-- /edge -->" in document.read_text()
