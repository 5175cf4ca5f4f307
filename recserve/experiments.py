"""Variants against each other on live traffic: a sticky split of users, and a variant in the shadow."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from recserve.errors import InvalidSettings
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

if TYPE_CHECKING:  # splits are read with the settings, before NumPy is there
    import numpy as np
    from numpy.typing import NDArray

    from recserve.inference.batcher import Question
    from recserve.inference.registry import ServedModels

CURRENT, CHALLENGER = "current", "challenger"

log = logging.getLogger(__name__)


class Arm(NamedTuple):
    """What one part of the users gets."""

    variant: str
    weight: float
    line: str = CURRENT
    "Which model version: the current one, or the challenger."

    def __str__(self) -> str:
        return self.variant if self.line == CURRENT else f"{self.line}/{self.variant}"


@dataclass(frozen=True, slots=True)
class Split:
    """Gives each user one arm and keeps to it, without storing anything.

    A user falls on the point hash(salt, user id) of [0, 1), and the arms share that line out by weight in
    the order given. Raising one arm's weight at the cost of its neighbour therefore moves only the users
    between; another salt shuffles everybody.
    """

    arms: Sequence[Arm]
    salt: str = ""

    def arm(self, user_id: str) -> Arm:
        """The user's arm."""
        point = _point(self.salt, user_id) * sum(arm.weight for arm in self.arms)
        for arm in self.arms:
            point -= arm.weight
            if point < 0:
                return arm
        return self.arms[-1]


def _point(salt: str, user_id: str) -> float:
    """Where a user falls, in [0, 1); uniform over users."""
    digest = blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=8, salt=_salt(salt)).digest()
    return int.from_bytes(digest, "big") / 2**64


def _salt(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def read_split(text: str, *, salt: str = "") -> Split | None:
    """A split as settings write it: `student=90, int8=10`, or `student=95, challenger/student=5`.

    Returns:
        None for an empty text: no split.

    Raises:
        InvalidSettings: it is not of that form.
    """
    arms = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, found, weight_text = part.partition("=")
        line, _, variant = name.strip().rpartition("/")
        try:
            weight = float(weight_text)
        except ValueError:
            weight = -1.0
        if not found or not variant or line not in ("", CURRENT, CHALLENGER) or not 0 < weight < 1e9:
            raise InvalidSettings(
                f"RECSERVE_SPLIT: {part!r} is not an arm; write variant=weight or challenger/variant=weight, "
                "weights above 0"
            )
        arms.append(Arm(variant, weight, line or CURRENT))
    return Split(arms, salt) if arms else None


class Shadow:
    """Asks a second variant what it would have shown, after the answer is out, and compares.

    At most one comparison is under way, so a slow shadow compares fewer answers and delays none for long.

    Args:
        variant: who is asked.
        observe: told of each comparison, for telemetry.
    """

    def __init__(self, variant: str, observe: Callable[[Timeline], None] = lambda _: None) -> None:
        self.variant = variant
        self.n_compared = 0
        self.n_skipped = 0
        "Answers that were not compared, because a comparison was under way."
        self._overlap_sum = 0.0
        self._observe = observe
        self._running: asyncio.Task[None] | None = None

    @property
    def mean_overlap(self) -> float | None:
        """Mean share of the items shown that the shadow would have shown too; None before the first."""
        return self._overlap_sum / self.n_compared if self.n_compared else None

    def compare(self, models: "ServedModels", question: "Question", shown: "NDArray[np.int64]") -> None:
        """Ask the shadow the same in the background.

        Args:
            models: the version that answered; a version without the variant is not compared.
            question: what the answering variant was asked.
            shown: item numbers on the list.
        """
        if self.variant not in models.batchers or not len(shown):
            return
        if self._running is not None:
            self.n_skipped += 1
            return
        self._running = asyncio.get_running_loop().create_task(self._compare(models, question, shown))

    async def _compare(
        self, models: "ServedModels", question: "Question", shown: "NDArray[np.int64]"
    ) -> None:
        timeline = Timeline(names.SHADOW)
        try:
            answer = await models.batchers[self.variant].ask(question)
        except Exception as err:  # a shadow that fails must not be heard
            log.warning("shadow %s failed: %s", self.variant, err)
            return
        finally:
            self._running = None
        timeline.mark("infer")
        overlap = len(set(shown.tolist()) & set(answer.items.tolist())) / len(shown)
        self.n_compared += 1
        self._overlap_sum += overlap
        timeline.attributes[names.VARIANT] = self.variant
        timeline.measurements[names.OVERLAP] = overlap
        self._observe(timeline)
