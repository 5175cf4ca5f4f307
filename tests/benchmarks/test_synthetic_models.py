"""Models of any size that the service takes for real ones."""

from pathlib import Path

import pytest

from recserve.inference.comparison import check_answers
from recserve.inference.loading import load_models

pytest.importorskip("torch", reason="PyTorch is not installed: make training-deps")

from benchmarks.synthetic_models import SyntheticModels, write_synthetic_models


def test_synthetic_models_load_answer_and_say_what_they_are(tmp_path: Path) -> None:
    histories = write_synthetic_models(tmp_path / "models", SyntheticModels(n_items=300, n_users=50))

    models = load_models(tmp_path / "models", n_threads=1, mark=lambda _: None)
    check_answers(models)
    assert models.manifest.serving == ["student", "counts", "popular"]
    assert models.manifest.dataset.name == "synthetic"
    assert len(models.catalogue) == 300
    assert len(histories) == 50
    assert all(len(set(history.tolist())) == len(history) for history in histories)
