"""The simulator against queueing theory and SimFaaS; `python -m benchmarks simulator` does the same at length."""

import pytest

from benchmarks.oracles import ORACLES

N_REQUESTS = {"SimFaaS": 1_500_000}


@pytest.mark.parametrize("name", ORACLES)
def test_simulator_is_within_1_percent_of(name: str) -> None:
    for check in ORACLES[name](N_REQUESTS.get(name, 300_000), 8):
        assert abs(check.error) < 0.01, check
        assert check.margin < 0.03, check
