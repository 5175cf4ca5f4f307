"""From what a caller asks to what a model is asked: who it is for, what they did, and what answers."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from recserve.admission.brownout import Dimmer
from recserve.admission.priority import Priority
from recserve.experiments import CURRENT, Split
from recserve.inference.ranking import check_rules
from recserve.inference.registry import ModelRegistry, ServedModels
from recserve.schemas import Basis, Degradation, RankingRules, Reason, RecommendRequest
from recserve.users import Users

NO_HISTORY = (0,)
"What a variant that needs no history is given: padding alone."
NO_RULES = RankingRules()


class Asked(NamedTuple):
    """A recommendation request, understood: who, what for, and what will answer."""

    request: RecommendRequest
    models: ServedModels
    variant: str
    reason: Reason
    history: Sequence[int]
    "Item numbers, oldest first, as far back as the models read; padding alone without a history."
    seen: Sequence[int]
    "Item numbers that must not come back."
    n_unknown: int
    "Items of the history that the catalogue lacks."
    basis: Basis
    degraded: list[Degradation]
    rules: RankingRules
    seed: int | UnsetType
    "Of the exploration; not set without one."
    deadline_s: float


class Understanding:
    """Looks users up, and chooses what answers them.

    Args:
        lines: model versions by name.
        users: what users did.
        dimmer: how far down the ladder to answer.
        split: which users get which variant; None: all get the first of the ladder.
        rng: draws who is browned out, and seeds exploration.
    """

    def __init__(
        self,
        *,
        lines: Mapping[str, ModelRegistry],
        users: Users,
        dimmer: Dimmer,
        split: Split | None,
        rng: Random,
    ) -> None:
        self._lines = lines
        self._users = users
        self._dimmer = dimmer
        self._split = split
        self._rng = rng

    async def understand(self, request: RecommendRequest, deadline_s: float, priority: Priority) -> Asked:
        """Look the user up, and choose what answers."""
        stored: Sequence[str] = ()
        degraded: list[Degradation] = []
        if request.user_id is not UNSET:
            past = await self._users.past(request.user_id)
            stored = past.item_ids
            if past.degraded is not None:
                degraded.append(past.degraded)
        given = request.history if request.history is not UNSET else []
        models, first, reason = self._arm(request)
        numbers = models.catalogue.known_numbers([*stored, *given])
        n_unknown = len(stored) + len(given) - len(numbers)
        basis = _basis(request, numbers, n_unknown, degraded)
        rung = self._dimmer.rung(priority, self._rng.random())
        if not numbers:
            variant, reason = models.manifest.serving[-1], "no_history"
        elif rung:
            serving = models.manifest.serving
            variant, reason = serving[min(rung, len(serving) - 1)], "brownout"
            degraded.append("brownout")
            basis = "overload" if variant == serving[-1] else basis
        else:
            variant = first
        exclude_seen = (
            not models.manifest.dataset.allow_repeats
            if request.exclude_seen is UNSET
            else request.exclude_seen
        )
        rules = NO_RULES if request.rules is UNSET else request.rules
        check_rules(rules, models.catalogue, k=request.k)
        return Asked(
            request=request,
            models=models,
            variant=variant,
            reason=reason,
            history=numbers[-models.manifest.max_history :] or NO_HISTORY,
            seen=numbers if exclude_seen else (),
            n_unknown=n_unknown,
            basis=basis,
            degraded=degraded,
            rules=rules,
            seed=self._seed(rules),
            deadline_s=deadline_s,
        )

    def _seed(self, rules: RankingRules) -> int | UnsetType:
        if not rules.exploration:
            return UNSET
        return self._rng.getrandbits(53) if rules.seed is UNSET else rules.seed

    def _arm(self, request: RecommendRequest) -> tuple[ServedModels, str, Reason]:
        """The model version and variant that answer this user when all is well, and why these."""
        if self._split is not None and request.user_id is not UNSET:
            arm = self._split.arm(request.user_id)
            models = self._lines[arm.line].current
            if arm.variant in models.batchers:
                return models, arm.variant, "split"
        current = self._lines[CURRENT].current
        return current, current.manifest.serving[0], "default"


def _basis(
    request: RecommendRequest, numbers: Sequence[int], n_unknown: int, degraded: Sequence[Degradation]
) -> Basis:
    """What a recommendation rests on."""
    if numbers:
        return "history"
    if n_unknown:
        return "no_known_items"
    if request.user_id is UNSET:
        return "empty_history"
    return "state_unavailable" if "state_unavailable" in degraded else "unknown_user"
