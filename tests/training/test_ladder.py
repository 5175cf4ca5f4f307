"""What decides which rungs ship and which are served, and the page about them."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from recserve.inference.manifest import Metrics, ModelFile, Variant
from recserve.inference.session import ScoringSession

pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")

from tests.recserve.conftest import MEASUREMENT, METRICS
from training.config import RunConfig
from training.export import recommend_onnx
from training.ladder import (
    Rung,
    Watcher,
    choose_serving,
    describe_rung,
    export_rung,
    fit_rungs,
    overlap,
    pass_gate,
)
from training.report import describe, write_report
from training.results import ResultError, read_results
from training.sasrec import SasRecConfig
from training.scorers import recommend
from training.sequences import Sequences

N_ITEMS = 400
SMALL = RunConfig(
    teacher=SasRecConfig(dim=32, n_heads=2, head_dim=16, ffn_width=32, dropout=0.1),
    student=SasRecConfig(dim=16, n_heads=2, head_dim=8, ffn_width=16, dropout=0.1),
    fit=msgspec.structs.replace(RunConfig().fit, max_epochs=4),
    refit=msgspec.structs.replace(RunConfig().refit, max_epochs=3),
    prune=msgspec.structs.replace(RunConfig().prune, ffn_width=8),
)


@pytest.fixture(scope="module")
def sequences() -> Sequences:
    """Users who walk round a ring of items, some of them with long strides."""
    rng = np.random.default_rng(0)
    users = [
        (rng.integers(N_ITEMS) + np.arange(rng.integers(8, 30)) * rng.integers(1, 4)) % N_ITEMS + 1
        for _ in range(200)
    ]
    return Sequences(users=users, item_ids=list(range(N_ITEMS)))


def fit_small(
    sequences: Sequences, config: RunConfig, run_dir: Path, totals: dict[str, int] | None = None
) -> dict[str, Rung]:
    popularity = np.bincount(np.concatenate(sequences.fitting()), minlength=N_ITEMS + 1)[1:]
    seen = {} if totals is None else totals

    def on_look(stage: str, _: object, max_epochs: int) -> None:
        seen[stage] = max_epochs

    watcher = Watcher(on_stage=lambda _: None, on_look=on_look)
    rungs, _, _ = fit_rungs(sequences, popularity, config, run_dir, watcher)
    return {rung.name: rung for rung in rungs}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def rungs(sequences: Sequences, run_dir: Path) -> dict[str, Rung]:
    return fit_small(sequences, SMALL, run_dir)


@pytest.mark.parametrize("name", ["teacher", "student", "pruned", "int8", "counts", "popular"])
def test_exported_rung_answers_as_its_module_does(
    rungs: dict[str, Rung], sequences: Sequences, tmp_path: Path, name: str
) -> None:
    path = export_rung(rungs[name], tmp_path, sequences, SMALL)
    histories, _ = sequences.held_out("test")

    for allow_repeats in (False, True):
        lists = recommend_onnx(path, histories, k=10, allow_repeats=allow_repeats, max_length=50)
        expected = recommend(rungs[name].scorer, histories, k=10, allow_repeats=allow_repeats, max_length=50)
        if name == "int8":
            assert overlap(lists, expected) >= 0.8
        else:
            assert (lists == expected).all(1).mean() >= 0.999


def test_progress_of_each_fit_runs_to_its_own_end(sequences: Sequences, tmp_path: Path) -> None:
    totals: dict[str, int] = {}

    fit_small(sequences, SMALL, tmp_path, totals)

    assert totals == {"teacher": 4, "student": 3, "pruned student": 3}


@pytest.mark.parametrize("head", ["exact_int8", "inverted_file"])
def test_student_with_a_head_is_a_rung_like_any_other(
    rungs: dict[str, Rung], sequences: Sequences, run_dir: Path, tmp_path: Path, head: str
) -> None:
    config = msgspec.structs.replace(SMALL, head=head)
    refitted: dict[str, int] = {}
    student = fit_small(sequences, config, run_dir, refitted)["student"]
    path = export_rung(student, tmp_path, sequences, config)
    described = describe_rung(student, path, sequences, lambda _: METRICS, MEASUREMENT, config)
    session = ScoringSession("student", path.read_bytes(), n_items=N_ITEMS)  # all of it in the one file
    history = np.array([[0, 0, 5, 6, 7], [1, 2, 3, 4, 5]])
    almost_all = np.arange(1, N_ITEMS - 49)[None].repeat(2, axis=0)

    assert refitted == {}  # the checkpoints are those of the run without a head
    assert described.overlap >= 0.9
    assert f"recall@10 {described.overlap:.4f} against exact scores" in described.description
    assert head in described.description
    first = session.recommend(history, history, 10)
    assert first.items.shape == first.scores.shape == (2, 10)
    assert not set(first.items[0].tolist()) & {5, 6, 7}
    assert (np.diff(first.scores) <= 0).all()
    rest = session.recommend(history, almost_all, 100)
    for row in rest.items:
        assert sorted(row[row > 0].tolist()) == list(range(N_ITEMS - 49, N_ITEMS + 1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["student.onnx"]


def test_inverted_file_probes_less_than_everything(
    sequences: Sequences, run_dir: Path, tmp_path: Path
) -> None:
    import onnx
    from onnx import numpy_helper

    config = msgspec.structs.replace(SMALL, head="inverted_file")
    path = export_rung(fit_small(sequences, config, run_dir)["student"], tmp_path, sequences, config)
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}

    assert 1 <= weights["chosen_nprobe"][0] < weights["head/matrix"].shape[0]


def variant(
    name: str, ndcg_10: float, latency_ms: float, *, validation: float | None = None, n_bytes: int = 1
) -> Variant:
    metrics: Metrics = msgspec.structs.replace(METRICS, ndcg=METRICS.ndcg | {"10": ndcg_10})
    return Variant(
        name=name,
        description=name,
        is_neural=name not in ("counts", "popular"),
        file=ModelFile(name=f"{name}.onnx", sha256="0" * 64, bytes=n_bytes),
        parameters=1,
        metrics=metrics,
        measurement=msgspec.structs.replace(
            MEASUREMENT, latency_ms=MEASUREMENT.latency_ms | {"1": latency_ms}
        ),
        identical=1.0,
        overlap=1.0,
        validation_ndcg_10=ndcg_10 if validation is None else validation,
    )


COUNTS, POPULAR = variant("counts", 0.05, 0.02), variant("popular", 0.01, 0.01)


def test_neural_rung_that_does_not_beat_counts_does_not_ship() -> None:
    ladder, unshipped = pass_gate(
        [variant("teacher", 0.06, 1.0), variant("int8", 0.05, 0.1), COUNTS, POPULAR]
    )

    assert [rung.name for rung in ladder] == ["teacher", "counts", "popular"]
    assert unshipped["int8"].reason == "NDCG@10 0.0500 does not beat counts, 0.0500"


def test_cheapest_rung_that_keeps_the_quality_is_served_first() -> None:
    ladder = [variant("teacher", 0.100, 1.0), variant("student", 0.098, 0.4), variant("int8", 0.090, 0.1)]

    assert choose_serving([*ladder, COUNTS, POPULAR]) == ["student", "counts", "popular"]


def test_serving_is_chosen_by_validation_whatever_test_says() -> None:
    ladder = [
        variant("teacher", 0.100, 1.0, validation=0.100),
        variant("student", 0.100, 0.4, validation=0.094),
        variant("int8", 0.080, 0.6, validation=0.099),
    ]

    assert choose_serving([*ladder, COUNTS, POPULAR]) == ["int8", "counts", "popular"]


def test_without_a_neural_rung_counts_are_served() -> None:
    assert choose_serving([COUNTS, POPULAR]) == ["counts", "popular"]


def test_page_of_this_repository_is_that_of_its_result_files(repository: Path, tmp_path: Path) -> None:
    write_report(repository / "training" / "results", tmp_path / "models.md")

    assert (tmp_path / "models.md").read_text() == (repository / "docs" / "models.md").read_text()
    for result in read_results(repository / "training" / "results"):
        assert (tmp_path / f"models-{result.manifest.dataset.name}.svg").stat().st_size > 1000


def test_page_judges_int8_by_the_figures(repository: Path) -> None:
    result = read_results(repository / "training" / "results")[0]
    ladder = [
        variant("teacher", 0.100, 1.2, n_bytes=900),
        variant("student", 0.099, 0.6, n_bytes=300),
        variant("int8", 0.096, 0.3, n_bytes=100),
        COUNTS,
        POPULAR,
    ]
    manifest = msgspec.structs.replace(result.manifest, ladder=ladder)

    page = describe(msgspec.structs.replace(result, manifest=manifest), "picture.svg")

    assert "| at least 8 x smaller | 9.00 x | met |" in page
    assert "| at least 3 x faster at batch 1 | 4.00 x | met |" in page
    assert "| at least 97% of its NDCG@10 | 96.0% | missed |" in page
    assert "| student to int8 | 3.00 x | 2.00 x | 97.0% |" in page
    assert "leaves 0.400 ms" in page
    assert "on validation: teacher 0.1000, student 0.0990, int8 0.0960." in page
    assert "1 parameters, SHA-256 `000000000000`." in page


def test_result_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")

    with pytest.raises(ResultError, match=r"broken\.json is no result file"):
        read_results(tmp_path)
