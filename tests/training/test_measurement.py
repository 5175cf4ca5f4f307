"""A measurement that fails says which graph, and why."""

from pathlib import Path

import numpy as np
import pytest

from tests.recserve.conftest import write_lookup_model
from training import measurement
from training.measurement import MeasurementError, measure


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ("import sys; sys.exit('Killed: out of memory')", "Killed: out of memory"),
        ("import os; os._exit(9)", "it ended with 9"),
    ],
)
def test_process_that_dies_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: str, said: str
) -> None:
    graph, python = tmp_path / "near.onnx", tmp_path / "python"
    write_lookup_model(graph, np.ones((7, 6)))
    python.write_text(f"#!{measurement.sys.executable}\n{process}\n")
    python.chmod(0o755)
    monkeypatch.setattr(measurement.sys, "executable", str(python))
    monkeypatch.setattr(measurement, "N_ROUNDS", 1)

    with pytest.raises(MeasurementError) as refused:
        measure({"near": graph}, np.ones((32, 3), np.int64))

    assert str(refused.value) == f"cannot measure near.onnx in a process of its own: {said}"
