"""What the seconds of a plan's instances were spent on: the raw material of its bill.

Azure bills an instance from its allocation to its end, whatever it does meanwhile. Each moment of each
instance belongs to one class:

    starting    allocated and not ready yet
    pre_warmed  warm, in the buffer
    active      one of the always-ready instances, with requests in flight
    idle        one of the always-ready instances, without any
    burst       active beyond the always-ready instances
    draining    finishing what it has, before it goes

The always-ready instances are the oldest active ones, as many as the plan keeps.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from planner.scale_rules import Instance

AllocationClass = Literal["starting", "pre_warmed", "active", "idle", "burst", "draining"]


def classify(instances: Sequence[Instance], always_ready: int) -> Iterator[tuple[str, AllocationClass]]:
    """Id and class of each instance.

    Args:
        instances: all that are allocated, oldest first.
        always_ready: how many of the active ones the plan keeps at all times.
    """
    n_active = 0
    for each in instances:
        if each.state == "draining":
            yield each.id, "draining"
            continue
        n_active += each.role == "active"
        if each.state == "starting":
            yield each.id, "starting"
        elif each.role == "pre_warmed":
            yield each.id, "pre_warmed"
        elif n_active > always_ready:
            yield each.id, "burst"
        else:
            yield each.id, "active" if each.in_flight else "idle"


class AllocationLedger:
    """Adds up allocated seconds by instance and class.

    What is observed holds until the next observation. Observed whenever an instance comes, goes or changes,
    the seconds of an instance add up to its lifetime exactly; between `active` and `idle` they are as fine as
    the observations.
    """

    def __init__(self, always_ready: int) -> None:
        self._always_ready = always_ready
        self._classes: list[tuple[str, AllocationClass]] = []
        self._observed_s = 0.0
        self._by_instance: dict[tuple[str, AllocationClass], float] = defaultdict(float)
        self._total: dict[AllocationClass, float] = defaultdict(float)

    def observe(self, now_s: float, instances: Sequence[Instance]) -> None:
        """Close the time since the last observation.

        Args:
            now_s: never less than in the call before.
            instances: all that are allocated from here on, oldest first.
        """
        elapsed_s = now_s - self._observed_s
        for instance, kind in self._classes:
            self._by_instance[instance, kind] += elapsed_s
            self._total[kind] += elapsed_s
        self._observed_s = now_s
        self._classes = list(classify(instances, self._always_ready))

    @property
    def total_s(self) -> Mapping[AllocationClass, float]:
        """Seconds by class, of all instances, up to the last observation."""
        return self._total

    def take(self) -> dict[tuple[str, AllocationClass], float]:
        """Seconds by instance and class since they were last taken."""
        taken, self._by_instance = dict(self._by_instance), defaultdict(float)
        return taken
