"""The recommendation service: a request's way, top to bottom, without a word of HTTP."""

import asyncio
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from msgspec import UNSET

from recserve.admission.brownout import Dimmer
from recserve.admission.limiter import Limiter, Permit
from recserve.admission.priority import Priority
from recserve.admission.queueing_delay import LoopProbe
from recserve.admission.terms import Terms
from recserve.content import Content, Known
from recserve.errors import NotOffered
from recserve.experiments import CURRENT, Shadow, Split
from recserve.feedback import ShownList
from recserve.inference.batcher import Answer, Question
from recserve.inference.ranking import (
    N_TIES,
    Ranking,
    choose_reasons,
    history_to_explain,
    next_pool_size,
    pool_size,
    rank,
)
from recserve.inference.registry import ModelRegistry, ServedModels
from recserve.inventory import Inventory
from recserve.listing import list_items
from recserve.schemas import (
    CataloguePage,
    CatalogueRequest,
    EdgeFileRequest,
    EventsAccepted,
    EventsRequest,
    ItemList,
    ModelRef,
    PopularRequest,
    Recommendations,
    RecommendationsBatch,
    RecommendBatchRequest,
    RecommendRequest,
    SimilarRequest,
)
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline
from recserve.understanding import NO_HISTORY, NO_RULES, Asked, Understanding
from recserve.users import Users

if TYPE_CHECKING:
    from recserve.admission.rate_limit import CallerLimiter
    from recserve.edge.offer import EdgeOffer
    from recserve.edge.reports import EdgeReports

NOBODY = "warmup"
"The user whose history is read to make the way to the store warm."
EVENTS_A_REQUEST = 10
"Events that count as one request of their caller: 500 take as long as about 40 recommendations."
BATCH_STEP = 16
"Users of a batch request that are asked for at a time: others get their turn in between."


class RecommendationService:
    """Answers the questions of the API. Built by `bootstrap`, called from one event loop.

    Args:
        lines: model versions by name: the current one, and a challenger where a split has one.
        users: what users did.
        inventory: what is served.
        limiter: lets requests in.
        probe: tells the limiter how late the event loop is.
        dimmer: how far down the ladder to answer.
        split: which users get which variant; None: all get the first of the ladder.
        shadow: a variant that is asked off the answer's path; None: none.
        attach: imports what answers need not wait for; to be called on a thread once the process is ready.
        deadline_s: of callers that name none, from admission on.
        edge: builds what devices are given, once the first one asks; None: they are given nothing.
        callers: holds each caller to a rate, before its request is read; None: nobody is held.
        rng: draws who is browned out, and what is explored.
    """

    def __init__(
        self,
        *,
        lines: Mapping[str, ModelRegistry],
        users: Users,
        inventory: Inventory,
        limiter: Limiter,
        probe: LoopProbe,
        dimmer: Dimmer,
        split: Split | None = None,
        shadow: Shadow | None = None,
        attach: Callable[[], None] = lambda: None,
        deadline_s: float = math.inf,
        edge: "Callable[[], EdgeOffer] | None" = None,
        callers: "CallerLimiter | None" = None,
        rng: Random | None = None,
    ) -> None:
        self.lines = lines
        self.users = users
        self.inventory = inventory
        self.limiter = limiter
        self.dimmer = dimmer
        self.shadow = shadow
        self.attach = attach
        self.callers = callers
        self._build_edge = edge
        self._edge: EdgeOffer | None = None
        self._reports: EdgeReports | None = None
        self._probe = probe
        self._deadline_s = deadline_s
        self._understanding = Understanding(
            lines=lines, users=users, dimmer=dimmer, split=split, rng=rng or Random()
        )

    @property
    def models(self) -> ServedModels:
        """The version that answers whoever is not part of a split."""
        return self.lines[CURRENT].current

    async def recommend(self, request: RecommendRequest, terms: Terms, timeline: Timeline) -> Recommendations:
        """Recommend to one user.

        Args:
            request: whom to recommend to.
            terms: by when, and how much it matters.
            timeline: told which phase begins.

        Raises:
            Overloaded: admission control refused.
            InvalidRequest: a rule cannot be followed with this catalogue.
        """
        deadline_s = self._deadline_s_of(terms, timeline)
        with self._admit(timeline, deadline_s, terms.priority):
            recommendations = await self._recommend(request, timeline, deadline_s, terms.priority)
        self._look_for_models()
        return recommendations

    async def recommend_batch(
        self, request: RecommendBatchRequest, terms: Terms, timeline: Timeline
    ) -> RecommendationsBatch:
        """Recommend to many users; they are admitted as one, and take turns with everybody else.

        Raises:
            Overloaded: admission control refused; nobody was answered.
            InvalidRequest: a rule of one of them cannot be followed with this catalogue.
        """
        deadline_s = math.inf if terms.deadline_s is None else timeline.started_s + terms.deadline_s
        answers: list[Recommendations] = []
        with self._admit(timeline, deadline_s, terms.priority, weight=len(request.requests)):
            timeline.weight = len(request.requests)
            timeline.enter("infer")
            for start in range(0, len(request.requests), BATCH_STEP):
                step = request.requests[start : start + BATCH_STEP]
                answers += await asyncio.gather(
                    *(
                        self._recommend(one, timeline.part(names.RECOMMEND), deadline_s, terms.priority)
                        for one in step
                    )
                )
        timeline.attributes |= {
            names.VARIANT: ",".join(sorted({answer.model.variant for answer in answers})),
            names.MODEL_VERSION: ",".join(sorted({answer.model.version for answer in answers})),
        }
        self._look_for_models()
        return RecommendationsBatch(answers=answers)

    async def _recommend(
        self, request: RecommendRequest, timeline: Timeline, deadline_s: float, priority: Priority
    ) -> Recommendations:
        """The way of one admitted request."""
        timeline.enter("state")
        if request.user_id is not UNSET:
            timeline.user_id = request.user_id
        asked = await self._understanding.understand(request, deadline_s, priority)
        answer, ranking = await self._rank(asked, timeline)
        because = await self._explain(asked, ranking)
        items = list_items(ranking, because, asked.models)
        version = asked.models.manifest.version
        if timeline.user_id:
            shown = ShownList(asked.variant, version, [item.id for item in items])
            self.users.last_lists.remember(timeline.user_id, shown)
        timeline.attributes |= {
            names.VARIANT: asked.variant,
            names.REASON: asked.reason,
            names.MODEL_VERSION: version,
            names.BASIS: asked.basis,
            names.DISPATCH: answer.dispatch,
        }
        if asked.degraded:
            timeline.attributes[names.DEGRADED] = ",".join(asked.degraded)
        timeline.measurements[names.BATCH_SIZE] = answer.batch_size
        timeline.measurements[names.N_ITEMS] = len(items)
        if asked.seed is not UNSET and ranking.propensities is not None:
            timeline.attributes[names.SEED] = asked.seed
            timeline.attributes[names.PROPENSITIES] = ",".join(
                f"{number}:{propensity:.4g}"
                for number, propensity in zip(
                    ranking.items.tolist(), ranking.propensities.tolist(), strict=True
                )
            )
        if self.shadow is not None and asked.reason in ("default", "split"):
            self.shadow.compare(asked.models, Question(asked.history, asked.seen, request.k), ranking.items)
        return Recommendations(
            recommendation_id=uuid.uuid4().hex,
            items=items,
            model=ModelRef(asked.variant, version, asked.reason),
            basis=asked.basis,
            degraded=asked.degraded,
            n_unknown_items=asked.n_unknown,
            cold_start=timeline.is_cold,
            seed=asked.seed,
            note=ranking.note or UNSET,
        )

    async def _rank(self, asked: Asked, timeline: Timeline) -> tuple[Answer, Ranking]:
        """Ask the model for candidates, and for more while the filter leaves too few; make the list."""
        request, catalogue, rules = asked.request, asked.models.catalogue, asked.rules
        size: int | None = pool_size(rules, catalogue, k=request.k, seen=asked.seen)
        while size is not None:
            timeline.enter("queue")
            answer = await asked.models.batchers[asked.variant].ask(
                Question(asked.history, asked.seen, size), deadline_s=asked.deadline_s
            )
            timeline.enter("infer", answer.started_s)
            timeline.enter("rank")
            size = next_pool_size(size, answer.items, rules, catalogue, k=request.k, seen=asked.seen)
        ranking = rank(
            answer.items,
            answer.scores,
            rules,
            catalogue,
            k=request.k,
            rng=None if asked.seed is UNSET else np.random.default_rng(asked.seed),
            seen=asked.seen,
        )
        return answer, ranking

    async def _explain(self, asked: Asked, ranking: Ranking) -> Mapping[int, int | None]:
        """The item of the history that each item on the list is tied to, where the caller wants to know."""
        if not asked.rules.explain or asked.basis != "history":
            return {}
        models = asked.models
        history = history_to_explain(asked.history)
        ties = await asyncio.gather(
            *(
                models.batchers[models.manifest.similar].ask(
                    Question((number,), (), N_TIES), deadline_s=asked.deadline_s
                )
                for number in history
            )
        )
        return choose_reasons(
            ranking.items.tolist(), history, [(answer.items, answer.scores) for answer in ties]
        )

    async def similar(self, request: SimilarRequest, terms: Terms, timeline: Timeline) -> ItemList:
        """Items that were taken together with this one; fewer than k when fewer were.

        Raises:
            UnknownItem: the catalogue lacks the item.
            Overloaded: admission control refused.
        """
        models = self.models
        number = models.catalogue.number(request.item_id)
        return await self._rank_for_all(
            models, models.manifest.similar, (number,), request.k, terms, timeline
        )

    async def popular(self, request: PopularRequest, terms: Terms, timeline: Timeline) -> ItemList:
        """The items that were taken most.

        Raises:
            Overloaded: admission control refused.
        """
        models = self.models
        return await self._rank_for_all(
            models, models.manifest.serving[-1], NO_HISTORY, request.k, terms, timeline
        )

    async def _rank_for_all(
        self,
        models: ServedModels,
        variant: str,
        history: Sequence[int],
        k: int,
        terms: Terms,
        timeline: Timeline,
    ) -> ItemList:
        deadline_s = self._deadline_s_of(terms, timeline)
        with self._admit(timeline, deadline_s, terms.priority):
            timeline.enter("queue")
            answer = await models.batchers[variant].ask(Question(history, history, k), deadline_s=deadline_s)
            timeline.enter("infer", answer.started_s)
            timeline.enter("rank")
            timeline.attributes |= {
                names.VARIANT: variant,
                names.MODEL_VERSION: models.manifest.version,
                names.DISPATCH: answer.dispatch,
            }
            timeline.measurements[names.BATCH_SIZE] = answer.batch_size
            # Both variants count, and what was counted zero times is no answer.
            is_counted = (answer.items > 0) & (answer.scores > 0)
            ranking = Ranking(answer.items[is_counted], answer.scores[is_counted], None, 0, "")
            items = list_items(ranking, {}, models)
        return ItemList(items=items, model=ModelRef(variant, models.manifest.version))

    async def record(self, request: EventsRequest, timeline: Timeline) -> EventsAccepted:
        """Keep what users did, and tell how a device answered.

        Raises:
            Overloaded: admission control refused; nothing was kept.
            StateUnavailable: it cannot be kept; nothing was.
        """
        with self._admit(timeline, math.inf, "normal", is_typical=False):
            timeline.weight = math.ceil(len(request.events) / EVENTS_A_REQUEST)
            timeline.enter("state")
            accepted = await self.users.record(request)
            if request.edge is not UNSET and self._edge_reports().is_first(request.edge.report_id):
                timeline.report = request.edge
            if accepted.n_new:  # what was sent before has been judged before
                timeline.feedback = self.users.judge(request)
            return accepted

    async def search(self, request: CatalogueRequest, timeline: Timeline) -> CataloguePage:
        """Items whose title holds every word of the query, the most popular first.

        Raises:
            Overloaded: admission control refused.
        """
        with self._admit(timeline, math.inf, "low", is_typical=False):
            timeline.enter("search")
            return self.inventory.search(request)

    async def edge_manifest(self, known: Known, timeline: Timeline) -> Content:
        """What a device may download to answer by itself.

        Raises:
            NotOffered: devices are given nothing.
            BundleUnavailable: there is nothing to give.
            Overloaded: admission control refused.
        """
        with self._admit(timeline, math.inf, "low", is_typical=False):
            timeline.enter("edge")
            return await self._edge_offer().manifest(self.models.manifest, known)

    async def edge_file(self, request: EdgeFileRequest, known: Known, timeline: Timeline) -> Content:
        """A file that the manifest names, or one of the demo page.

        Raises:
            NotOffered, BundleUnavailable, Overloaded: as for the manifest.
            UnknownFile: there is none of that name.
        """
        with self._admit(timeline, math.inf, "low", is_typical=False):
            timeline.enter("edge")
            return await self._edge_offer().file(request, known)

    async def edge_demo(self, known: Known, timeline: Timeline) -> Content:
        """The demo page.

        Raises:
            NotOffered, BundleUnavailable, Overloaded: as for the manifest.
        """
        with self._admit(timeline, math.inf, "low", is_typical=False):
            timeline.enter("edge")
            return await self._edge_offer().page(known)

    async def warm_up(self) -> None:
        """Send one request of every variant the whole way, so that the first user meets warm code."""
        await self.users.past(NOBODY)
        models = self.models
        for batcher in models.batchers.values():
            answer = await batcher.ask(Question((1,), (1,), 10))
            ranking = rank(answer.items, answer.scores, NO_RULES, models.catalogue, k=10, seen=(1,))
            list_items(ranking, {}, models)

    def _edge_offer(self) -> "EdgeOffer":
        if self._build_edge is None:
            raise NotOffered(
                "RECSERVE_EDGE is off, so devices are given nothing; set it to `key` or `public`",
                allowed="nothing below /api/edge",
            )
        if self._edge is None:
            self._edge = self._build_edge()
        return self._edge

    def _edge_reports(self) -> "EdgeReports":
        if self._reports is None:
            from recserve.edge.reports import EdgeReports  # no start waits for it

            self._reports = EdgeReports()
        return self._reports

    def _deadline_s_of(self, terms: Terms, timeline: Timeline) -> float:
        """When the caller stops waiting, on the clock of `perf_counter`.

        Time that a caller names counts from the request's arrival; the default from here, so that whoever
        met a starting process and waited for it is not refused for that.
        """
        if terms.deadline_s is None:
            return perf_counter() + self._deadline_s
        return timeline.started_s + terms.deadline_s

    def _admit(
        self,
        timeline: Timeline,
        deadline_s: float,
        priority: Priority,
        *,
        weight: int = 1,
        is_typical: bool = True,
    ) -> Permit:
        """Take a place, and let the dimmer see how full the house is.

        Raises:
            Overloaded: there is none.
        """
        self._probe.send()
        now_s = perf_counter()
        limiter, measured = self.limiter, timeline.measurements
        measured[names.PRESSURE] = pressure = limiter.pressure(now_s)
        measured[names.IN_FLIGHT] = limiter.in_flight
        measured[names.LIMIT] = limiter.limit.value
        if deadline_s < math.inf:
            measured[names.DEADLINE_MS] = (deadline_s - timeline.started_s) * 1e3
        if priority != "normal":
            timeline.attributes[names.PRIORITY] = priority
        self.dimmer.update(pressure, now_s)
        return limiter.acquire(deadline_s=deadline_s, priority=priority, weight=weight, is_typical=is_typical)

    def _look_for_models(self) -> None:
        now_s = perf_counter()
        for registry in self.lines.values():
            registry.refresh_if_due(now_s)
