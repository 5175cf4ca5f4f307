"""Bills: metered quantities, less what is free, at the prices of a list.

What a plan meters, and how it rounds, differs from plan to plan (`azure`, `elsewhere`). What comes after
does not: of each meter's quantity the free amount is taken off, and the rest costs its price. All of it is
decimal arithmetic, and a total is the exact sum of its parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from planner.price_list import PriceList

HOURS_PER_MONTH = Decimal(730)
"Azure's own month."
MONTH_S = int(HOURS_PER_MONTH) * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a plan metered, as it will be billed: rounded, and with minimums."""

    plan: str
    "As price lists call it."
    title: str
    quantities: Mapping[str, Decimal]
    "In each meter's unit."
    assumptions: tuple[str, ...] = ()
    "Where the rules that are published leave something open."
    has_grants: bool = True
    "Whether the free amounts apply to this use at all."

    def over(self, stretch_s: Decimal) -> "Usage":
        """The same use kept up for a month of 730 hours.

        Args:
            stretch_s: how long it was observed for, above 0.
        """
        scaled = {meter: quantity * MONTH_S / stretch_s for meter, quantity in self.quantities.items()}
        return replace(self, quantities=scaled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of a bill."""

    plan: str
    meter: str
    unit: str
    quantity: Decimal
    free: Decimal
    "How much of the quantity costs nothing."
    unit_price: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What usage costs."""

    title: str
    currency: str
    parts: tuple[Part, ...]
    assumptions: tuple[str, ...]
    unconfirmed: tuple[str, ...]
    "Of the prices; nothing, if a provider's own list has them."

    @property
    def total(self) -> Decimal:
        """Sum of the parts."""
        return sum((part.cost for part in self.parts), Decimal(0))

    def with_parts_of(self, other: "Bill") -> "Bill":
        """This bill and another one's parts, under this title."""
        return replace(
            self,
            parts=self.parts + other.parts,
            assumptions=tuple(dict.fromkeys(self.assumptions + other.assumptions)),
            unconfirmed=tuple(dict.fromkeys(self.unconfirmed + other.unconfirmed)),
        )


def bill(usage: Usage, prices: PriceList, *, with_grants: bool = True) -> Bill:
    """Price what was metered.

    Args:
        usage: of a whole month, if it has free amounts, since these are a month's.
        prices: list prices.
        with_grants: False where other apps of the subscription use the free amounts up.
    """
    of_plan = prices.plans[usage.plan]
    parts = []
    for name, quantity in usage.quantities.items():
        meter = of_plan.meters[name]
        free = min(quantity, meter.free) if with_grants and usage.has_grants else Decimal(0)
        parts.append(
            Part(
                plan=usage.plan,
                meter=name,
                unit=meter.unit,
                quantity=quantity,
                free=free,
                unit_price=meter.price,
                cost=(quantity - free) * meter.price,
            )
        )
    return Bill(
        title=usage.title,
        currency=prices.currency,
        parts=tuple(parts),
        assumptions=usage.assumptions,
        unconfirmed=(f"{usage.plan}: {of_plan.unconfirmed}",) if of_plan.unconfirmed else (),
    )
