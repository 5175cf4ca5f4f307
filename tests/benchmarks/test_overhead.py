import json
from pathlib import Path

import pytest

from benchmarks import report, results
from benchmarks.overhead import run
from benchmarks.results import write_result


def test_overhead_measures_both_sides_of_every_pair() -> None:
    figures = run(20)

    assert {figures[side]["n"] for side in ("session_run", "service_recommend", "overhead")} == {20}
    assert figures["variant"] == "student"


def test_result_file_says_what_one_must_know_to_believe_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS_DIR", tmp_path)

    path = write_result("some", settings={"n": 1}, figures={"p50_ms": 2.0})

    result = json.loads(path.read_text())
    assert {"date", "commit", "machine", "settings", "figures"} <= set(result)
    assert result["machine"]["packages"]["onnxruntime"]


def test_readme_shows_what_the_models_answer_and_what_was_measured(repository: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text((repository / "README.md").read_text())

    report.update_readme(readme)

    assert readme.read_text() == (repository / "README.md").read_text()


def test_readme_without_a_place_for_them_is_refused(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")

    with pytest.raises(ValueError, match="has no <!-- answer"):
        report.update_readme(readme)
