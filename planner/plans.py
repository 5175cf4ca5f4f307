"""Premium plans: their sizes, and what an operator can set."""

import math
from dataclasses import dataclass

MOST_ALWAYS_READY = 20
MOST_PRE_WARMED = 10
"What Azure's schema allows (`Microsoft.Web/sites`, `siteConfig`)."
MOST_INSTANCES = 100
"Of one plan in the largest regions; elsewhere 20 to 60."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sku:
    """One instance of a plan.

    Raises:
        ValueError: it has no cores or no memory.
    """

    name: str
    vcpu: int
    memory_gib: float

    def __post_init__(self) -> None:
        if self.vcpu < 1:
            raise ValueError(f"{self.name} has {self.vcpu} vCPU; give an instance at least 1")
        if not (math.isfinite(self.memory_gib) and self.memory_gib > 0):
            raise ValueError(f"{self.name} has {self.memory_gib:g} GiB of memory; give an instance some")


SKUS = {
    sku.name: sku
    for sku in (
        Sku(name="EP1", vcpu=1, memory_gib=3.5),
        Sku(name="EP2", vcpu=2, memory_gib=7.0),
        Sku(name="EP3", vcpu=4, memory_gib=14.0),
    )
}


def sku_named(name: str) -> Sku:
    """The size of that name, in any case of letters.

    Raises:
        ValueError: there is none; the message names those there are.
    """
    if name.upper() not in SKUS:
        raise ValueError(f"unknown size {name!r}; Premium has {', '.join(SKUS)}")
    return SKUS[name.upper()]


@dataclass(frozen=True, slots=True, kw_only=True)
class PremiumPlan:
    """A Premium plan with one function app.

    Raises:
        ValueError: the numbers contradict each other; the message names value and remedy.
    """

    sku: Sku
    always_ready: int = 1
    "Instances that run at all times (`minimumElasticInstanceCount`), 1 to 20."
    pre_warmed: int = 1
    "Warm instances kept in reserve while there is load (`preWarmedInstanceCount`), 0 to 10."
    max_burst: int = 20
    "Most instances at any time, the reserve included (`maximumElasticWorkerCount`), up to 100."
    scale_limit: int | None = None
    "Most instances that the app's load may use (`functionAppScaleLimit`); None: as many as the plan has."

    def __post_init__(self) -> None:
        if not 1 <= self.always_ready <= MOST_ALWAYS_READY:
            raise ValueError(
                f"{self.always_ready} always-ready instances; a plan has 1 to {MOST_ALWAYS_READY}"
            )
        if not 0 <= self.pre_warmed <= MOST_PRE_WARMED:
            raise ValueError(
                f"{self.pre_warmed} pre-warmed instances; a plan has up to {MOST_PRE_WARMED}, 0 turns the buffer off"
            )
        if self.max_burst > MOST_INSTANCES:
            raise ValueError(
                f"a maximum burst of {self.max_burst} is above what a plan can have; give at most {MOST_INSTANCES}"
            )
        if self.max_burst < self.always_ready:
            raise ValueError(
                f"a maximum burst of {self.max_burst} is below the {self.always_ready} always-ready instances; "
                "raise the burst"
            )
        if self.pre_warmed > self.max_burst:
            raise ValueError(
                f"{self.pre_warmed} pre-warmed instances are above the maximum burst of {self.max_burst}; "
                "keep fewer warm, or raise the burst"
            )
        if self.scale_limit is not None and self.scale_limit < self.always_ready:
            raise ValueError(
                f"a scale limit of {self.scale_limit} is below the {self.always_ready} always-ready instances; "
                "raise the limit, or leave it out"
            )

    @property
    def max_active(self) -> int:
        """Most instances that requests go to."""
        return self.max_burst if self.scale_limit is None else min(self.max_burst, self.scale_limit)
