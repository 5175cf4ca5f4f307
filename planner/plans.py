"""Premium plans: their sizes, and what an operator can set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sku:
    """One instance of a plan."""

    name: str
    vcpu: int
    memory_gib: float


SKUS = {
    sku.name: sku
    for sku in (
        Sku(name="EP1", vcpu=1, memory_gib=3.5),
        Sku(name="EP2", vcpu=2, memory_gib=7.0),
        Sku(name="EP3", vcpu=4, memory_gib=14.0),
    )
}


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
    "Warm instances kept in reserve while there is load (`preWarmedInstanceCount`)."
    max_burst: int = 20
    "Most instances at any time (`maximumElasticWorkerCount`)."

    def __post_init__(self) -> None:
        if not 1 <= self.always_ready <= 20:
            raise ValueError(f"{self.always_ready} always-ready instances; a plan has 1 to 20")
        if self.pre_warmed < 0:
            raise ValueError(f"{self.pre_warmed} pre-warmed instances; 0 turns the buffer off")
        if self.max_burst < self.always_ready:
            raise ValueError(
                f"a maximum burst of {self.max_burst} is below the {self.always_ready} always-ready instances; "
                "raise the burst"
            )
