from importlib.util import find_spec

from console.analysis.slo import Kept, Promise
from console.analysis.tail import CAUSES, rank
from console.analysis.verdict import verdict
from console.telemetry import Table, table_of

PROMISE = Promise(0.99, 25.0)
INSIDE = Kept(n_requests=10_000, n_good=9_990, n_over=10)


def causes(**over_ms: float | None) -> Table:
    return table_of(
        {"cause": list(over_ms), "over_ms": list(over_ms.values()), "n_requests": [5.0] * len(over_ms)}
    )


def test_causes_are_ranked_by_the_time_they_cost() -> None:
    ranked = rank(causes(cold=100, state=300, queue=0, other=None))

    assert [(each.name, each.share) for each in ranked] == [("state", 0.75), ("cold", 0.25)]


def test_nothing_late_leaves_nothing_to_rank() -> None:
    assert rank(causes(cold=0, state=0)) == []
    assert rank(Table()) == ()


def test_every_cause_leads_to_a_view() -> None:
    assert [cause.view for cause in CAUSES.values() if not find_spec(f"console.views.{cause.view}")] == []


def test_verdict_inside_the_slo() -> None:
    said = verdict(INSIDE, PROMISE, (), hour=INSIDE)

    assert said == "Yes: 99.9 % of 10.0 k requests kept the SLO, with 99 % promised within 25 ms."


def test_verdict_warns_when_the_last_hour_burns_faster() -> None:
    hour = Kept(n_requests=1000, n_good=950, n_over=50)

    assert "But the last hour burns the error budget at 5.0 times" in verdict(INSIDE, PROMISE, (), hour=hour)


def test_verdict_names_the_top_cause() -> None:
    kept = Kept(n_requests=10_000, n_good=9_000, n_over=900, n_shed=100)

    said = verdict(kept, PROMISE, rank(causes(state=300, cold=100)), hour=kept)

    assert said.startswith("No: 90.0 % of 10.0 k requests kept the SLO")
    assert said.endswith("Of the time over it, 75 % is the store of user histories.")


def test_verdict_says_when_refusals_weigh_more_than_lateness() -> None:
    kept = Kept(n_requests=10_000, n_good=9_000, n_over=300, n_shed=600, n_failed=100)

    said = verdict(kept, PROMISE, rank(causes(queue=1)), hour=kept)

    assert "Of what missed it, 70 % was shed and not slow." in said


def test_verdict_on_few_requests_says_whether_they_are_enough() -> None:
    unsure, sure = (
        Kept(n_requests=100, n_good=98, n_over=2),
        Kept(n_requests=100, n_good=60, n_over=40),
    )

    assert verdict(unsure, PROMISE, (), hour=unsure).endswith("100 requests are too few to be sure.")
    assert verdict(sure, PROMISE, (), hour=sure).endswith("100 requests are enough to say so.")


def test_verdict_without_traffic() -> None:
    assert verdict(Kept(), PROMISE, (), hour=Kept()).startswith("There is no traffic in this range")
