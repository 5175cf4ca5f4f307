"""Price lists as text, for a terminal."""

from collections.abc import Iterator

from planner.price_list import Meter, PriceList
from planner.price_refresh import Refreshed


def list_lines(prices: PriceList) -> Iterator[str]:
    """Every price of a list, with what is unconfirmed of each plan."""
    yield f"prices of {prices.region}, {prices.currency}, {prices.checked}"
    plan = None
    for plan_name, name, meter in prices.lines():
        if plan_name != plan:
            plan = plan_name
            of_plan = prices.plans[plan]
            yield ""
            yield f"{plan} in {of_plan.region}, checked {of_plan.checked}: {of_plan.source}"
            if of_plan.unconfirmed:
                yield f"  unconfirmed: {of_plan.unconfirmed}"
        yield f"  {name:<24} {_told(meter)}"


def change_lines(refreshed: Refreshed) -> Iterator[str]:
    """Which prices a refresh changed, and where the list is."""
    for change in refreshed.changes:
        before = _told(change.before) if change.before else "not known"
        yield f"{change.plan}.{change.meter}: {before} -> {_told(change.after)}"
    n_changes = len(refreshed.changes)
    yield f"{n_changes or 'no'} price{'' if n_changes == 1 else 's'} changed; written to {refreshed.path}"


def _told(meter: Meter) -> str:
    text = f"{meter.price:f} per {meter.unit}"
    return f"{text}, {meter.free.normalize():f} {meter.unit} free a month" if meter.free else text
