"""Every import on the way to the first answer is cold-start time.

What may load stands in `benchmarks/import_budget.json`; `python -m benchmarks imports` says what it costs.
"""

import pytest

from benchmarks.imports import Moment, budget, packages_at


@pytest.mark.parametrize("moment", ["indexed", "ready"])
def test_exactly_those_packages_load_that_the_budget_names(moment: Moment) -> None:
    assert packages_at(moment) == set(budget()[moment]["packages"])


def test_budget_leaves_out_what_attaches_later_and_what_never_belongs_here() -> None:
    later = {"opentelemetry", "azure.monitor", "requests", "aiohttp"}
    never = {"pandas", "torch", "onnx", "fastapi", "typer", "psutil"}
    named = {package for moment in ("indexed", "ready") for package in budget()[moment]["packages"]}

    assert not (later | never) & named
    assert not {"numpy", "onnxruntime"} & set(budget()["indexed"]["packages"])
