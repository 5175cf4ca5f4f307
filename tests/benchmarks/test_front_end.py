"""How the app behind the front end is compared with the app alone."""

import numpy as np
import pytest

from benchmarks.front_end import FrontEndBench, compare, format_table, measure
from benchmarks.traffic import ask


def test_what_is_added_is_the_difference_of_the_percentiles() -> None:
    rng = np.random.default_rng(0)
    direct = rng.exponential(1.0, (20, 100)) + 1

    figures = compare({"direct": direct, "front_end": direct + 0.25}, rng)

    assert figures["added_p50_ms"] == {"value": 0.25, "low": 0.25, "high": 0.25}
    assert figures["added_p99_ms"]["value"] == pytest.approx(0.25)
    assert figures["ratio_p50"]["low"] <= figures["ratio_p50"]["value"] <= figures["ratio_p50"]["high"]
    assert figures["added_pair_by_pair_ms"]["n"] == 2000
    assert "p99 + 0.250 ms" in format_table(figures)


def test_both_sides_answer_for_real() -> None:
    latencies_ms = measure(FrontEndBench(n_blocks=2, n_pairs=20), [ask([260, 1196, 1210])])

    assert {side: of_side.shape for side, of_side in latencies_ms.items()} == {
        "direct": (2, 20),
        "front_end": (2, 20),
    }
