"""Reports of devices, added up."""

import msgspec

from recserve.schemas import EdgeAnswers, EdgeComparisons, EdgeReport
from recserve.telemetry.devices import MOST_ROWS, OTHER, SUM_FOR_S, Answers, Comparisons, DeviceTally


def report(bundle: str = "b-1", *, reason: str = "default", n: int = 1) -> EdgeReport:
    return EdgeReport(
        report_id="a",
        client="js",
        client_version="0.1.0",
        bundle_version=bundle,
        answers=[EdgeAnswers(by="edge", reason=reason, bucket=3, n=n)],
        comparisons=EdgeComparisons(n=2, overlap_sum=1.5, n_identical=1),
    )


def test_answers_of_a_kind_become_one_row() -> None:
    tally = DeviceTally(0.0)
    for n in (1, 2, 3):
        tally.add(report(n=n))

    answers, comparisons = tally.take(1.0)

    assert answers == {Answers("js", "b-1", "edge", "default", 3): 6}
    assert comparisons == [Comparisons("js", "b-1", 6, 0.75, 3)]


def test_sums_begin_anew_once_they_are_taken() -> None:
    tally = DeviceTally(0.0)
    tally.add(report())
    tally.take(1.0)

    assert tally.take(2.0) == ({}, [])


def test_sums_are_due_after_their_time() -> None:
    tally = DeviceTally(0.0)

    assert not tally.is_due(SUM_FOR_S - 1)
    assert tally.is_due(SUM_FOR_S)
    tally.take(SUM_FOR_S)
    assert not tally.is_due(SUM_FOR_S + 1)


def test_versions_that_somebody_invents_do_not_become_rows_without_end() -> None:
    tally = DeviceTally(0.0)
    for number in range(3 * MOST_ROWS):
        tally.add(report(f"b-{number}"))

    answers, comparisons = tally.take(1.0)

    assert len(answers) + len(comparisons) <= MOST_ROWS + 3
    assert sum(answers.values()) == 3 * MOST_ROWS
    assert any(kind.bundle == OTHER for kind in answers)


def test_latency_is_the_geometric_middle_of_its_bucket() -> None:
    low, high = 1.2**2, 1.2**3

    assert abs(Answers("js", "", "edge", "default", 3).latency_ms - (low * high) ** 0.5) < 1e-9


def test_report_without_comparisons_is_no_comparison() -> None:
    tally = DeviceTally(0.0)
    tally.add(msgspec.structs.replace(report(), comparisons=msgspec.UNSET))

    assert tally.take(1.0)[1] == []
