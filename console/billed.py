"""What instances did in the range and what that costs, as the views about money ask it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from console.analysis.bill import Bill, bill_of, interval_s_of, sku_of
from console.analysis.todays_plan import TodaysPlan, todays_plan
from console.asking import Answer, Question, ask, ask_later
from console.scope import Scope

LOOK_BACK = timedelta(days=30)
"For the plan's own words about its settings."


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """The bill of a range, and what it was made of."""

    answers: Mapping[str, Answer]
    "To `load`, `volume`, `work`, `histogram` and `instances`, each of all variants and versions."
    seconds: Answer
    "What was allocated: by the plan's own word, or where it has none as instances saw of themselves."
    plan: TodaysPlan | None
    "None where nothing tells."
    bill: Bill


def ask_bill(scope: Scope, *, growth: float) -> Billed:
    """Ask all that a bill takes.

    Args:
        growth: ratio of the buckets of `histogram`, which has one window, or one a day.
    """
    told = ask_later(
        scope, since=scope.until - LOOK_BACK, until=scope.until, settings=Question("plan_settings")
    )
    # Instances are there for all variants, and so is what they cost.
    of_all = {"variant": "", "version": ""}
    answers = ask(
        scope,
        allocation=Question("allocation"),
        observed=Question("allocation_observed"),
        load=Question("requests", **of_all),
        volume=Question("volume"),
        work=Question("variant_work", **of_all),
        histogram=Question(
            "latency_histogram",
            growth=growth,
            interval=max(scope.until - scope.since, timedelta(days=1)),
            **of_all,
        ),
        instances=Question("instances"),
    )
    of_plan, observed, instances = (answers[name] for name in ("allocation", "observed", "instances"))
    seconds = of_plan if of_plan.has_rows or of_plan.is_failed else observed
    plan = None
    if seconds.has_rows:
        plan = todays_plan(
            told["settings"].result().table,
            seconds.table,
            instances.table,
            interval_s=interval_s_of(seconds.table),
        )
    sku = plan.setup.sku if plan is not None else sku_of(instances.table)
    bill = bill_of(seconds.table, answers["load"].table, answers["volume"].table, sku=sku)
    return Billed(answers=answers, seconds=seconds, plan=plan, bill=bill)
