"""A run is invalid for exactly the reasons that it gives."""

import numpy as np
import pytest

from emulator.load.target import LoadError, find_target
from emulator.load.truth import judge, pin

ON_TIME_S = np.full(1000, 0.0001)


def test_run_on_time_is_valid() -> None:
    assert judge(ON_TIME_S, core_used=0.69, waited_for_core=0, n_out_of_sockets=0) == []


def test_late_sender_invalidates_from_its_99th_percentile() -> None:
    few_late_s, many_late_s = ON_TIME_S.copy(), ON_TIME_S.copy()
    few_late_s[:5], many_late_s[:20] = 0.5, 0.5

    assert judge(few_late_s, core_used=0.1, waited_for_core=0, n_out_of_sockets=0) == []
    (reason,) = judge(many_late_s, core_used=0.1, waited_for_core=0.25, n_out_of_sockets=0)
    assert "p99 of its lag 500.00 ms, allowed 1 ms" in reason
    assert "25% of the time" in reason


def test_busy_sender_and_missing_sockets_invalidate() -> None:
    reasons = judge(ON_TIME_S, core_used=0.71, waited_for_core=0, n_out_of_sockets=3)

    assert "71% of a core, allowed 70%" in reasons[0]
    assert "no socket for 3 requests" in reasons[1]


def test_core_that_is_not_there_is_refused() -> None:
    with pytest.raises(LoadError, match="--core 4096: this process may use"):
        pin(4096)


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://", "http://x:y/", "localhost:7071"])
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(LoadError, match="is no address"):
        find_target(url)


def test_url_where_nobody_listens_is_refused() -> None:
    with pytest.raises(LoadError, match=r"nobody answers at http://127\.0\.0\.1:1/api"):
        find_target("http://127.0.0.1:1/api")
