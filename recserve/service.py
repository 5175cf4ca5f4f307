"""The recommendation service: a request's way, top to bottom, without a word of HTTP."""

import uuid
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from recserve.admission.brownout import Brownout
from recserve.admission.limiter import Limiter
from recserve.inference.batcher import MicroBatcher
from recserve.inference.manifest import Variant
from recserve.inference.ranking import rank
from recserve.inference.registry import LoadedModels
from recserve.schemas import (
    Basis,
    CatalogueItem,
    CataloguePage,
    CatalogueRequest,
    Health,
    ItemList,
    ModelRef,
    Models,
    ModelVariant,
    PopularRequest,
    Recommendations,
    RecommendRequest,
    ScoredItem,
    SimilarRequest,
)
from recserve.state.store import UserStateStore
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

NO_HISTORY = (0,)
"What a variant that needs no history is given: padding alone."


class RecommendationService:
    """Answers the questions of the API. Built by `bootstrap`, called from one event loop."""

    def __init__(
        self,
        *,
        models: LoadedModels,
        batchers: Mapping[str, MicroBatcher],
        users: UserStateStore,
        limiter: Limiter,
        brownout: Brownout,
    ) -> None:
        self.models = models
        self.batchers = batchers
        self.users = users
        self.limiter = limiter
        self.brownout = brownout
        self._popular = models.manifest.ladder[-1].name

    async def recommend(self, request: RecommendRequest, timeline: Timeline) -> Recommendations:
        """Recommend to one user.

        Args:
            request: whom to recommend to.
            timeline: stamped with each phase as it ends.

        Raises:
            Overloaded: admission control refused.
        """
        with self.limiter.acquire() as permit:
            timeline.mark("admit")
            history, n_unknown, basis = await self._history(request)
            timeline.mark("state")
            variant = self.brownout.choose(permit.pressure) if history else self._popular
            if history and variant == self._popular:
                basis = "overload"
            scored = await self.batchers[variant].score(
                history[-self.models.manifest.max_history :] or NO_HISTORY
            )
            timeline.mark("queue", scored.started_s)
            timeline.mark("infer")
            columns, scores = rank(scored.scores, request.k, exclude=set(history))
            items = self._items(columns.tolist(), scores.tolist())
            timeline.mark("rank")
            timeline.attributes |= {
                names.VARIANT: variant,
                names.BASIS: basis,
                names.BATCH_SIZE: scored.batch_size,
                names.IN_FLIGHT: self.limiter.in_flight,
            }
        return Recommendations(
            recommendation_id=uuid.uuid4().hex,
            items=items,
            model=ModelRef(variant, self.models.manifest.version),
            basis=basis,
            n_unknown_items=n_unknown,
            cold_start=timeline.is_cold,
        )

    async def _history(self, request: RecommendRequest) -> tuple[list[int], int, Basis]:
        """Item numbers, oldest first; how many items the catalogue lacks; what the answer rests on."""
        stored = await self.users.history(request.user_id) if request.user_id is not UNSET else []
        given = request.history if request.history is not UNSET else []
        history = self.models.catalogue.known_numbers([*stored, *given])
        n_unknown = len(stored) + len(given) - len(history)
        if history:
            return history, n_unknown, "history"
        if n_unknown:
            return history, n_unknown, "no_known_items"
        return history, n_unknown, "unknown_user" if request.user_id is not UNSET else "empty_history"

    async def similar(self, request: SimilarRequest, timeline: Timeline) -> ItemList:
        """Items that people took together with this one; fewer than k when fewer were.

        Raises:
            UnknownItem: the catalogue lacks the item.
            Overloaded: admission control refused.
        """
        number = self.models.catalogue.number(request.item_id)
        return await self._rank_for_all(self.models.manifest.similar, (number,), request.k, timeline)

    async def popular(self, request: PopularRequest, timeline: Timeline) -> ItemList:
        """The items most people took.

        Raises:
            Overloaded: admission control refused.
        """
        return await self._rank_for_all(self._popular, NO_HISTORY, request.k, timeline)

    async def _rank_for_all(
        self, variant: str, history: Sequence[int], k: int, timeline: Timeline
    ) -> ItemList:
        """The best k items that score above zero: both variants count people, and zero is nobody."""
        with self.limiter.acquire():
            timeline.mark("admit")
            scored = await self.batchers[variant].score(history)
            timeline.mark("queue", scored.started_s)
            timeline.mark("infer")
            columns, scores = rank(scored.scores, k, exclude={number for number in history if number})
            is_counted = scores > 0
            items = self._items(columns[is_counted].tolist(), scores[is_counted].tolist())
            timeline.mark("rank")
        return ItemList(items=items, model=ModelRef(variant, self.models.manifest.version))

    async def search(self, request: CatalogueRequest, timeline: Timeline) -> CataloguePage:
        """Items whose title holds every word of the query, the most popular first.

        Raises:
            Overloaded: admission control refused.
        """
        with self.limiter.acquire():
            timeline.mark("admit")
            matching = self.models.catalogue.search(request.query)
            page = matching[request.offset : request.offset + request.limit]
            items = [self._catalogue_item(column) for column in page]
            timeline.mark("search")
        return CataloguePage(total=len(matching), items=items)

    def _catalogue_item(self, column: int) -> CatalogueItem:
        columns = self.models.catalogue.columns
        return CatalogueItem(
            id=columns.ids[column],
            title=columns.titles[column],
            year=columns.years[column],
            genres=columns.genres[column],
            n_interactions=columns.n_interactions[column],
        )

    async def describe_models(self) -> Models:
        """The ladder as it is served, with what was measured when it was trained."""
        manifest = self.models.manifest
        return Models(
            version=manifest.version,
            dataset=manifest.dataset.name,
            licence=manifest.dataset.licence,
            n_items=manifest.dataset.n_items,
            ladder=[_describe_variant(variant) for variant in manifest.ladder],
        )

    async def health(self) -> Health:
        """What readiness checks want to hear; only a service that is ready can be asked."""
        return Health(status="ready", model_version=self.models.manifest.version)

    async def warm_up(self) -> None:
        """Send one request of every variant the whole way, so that the first user meets warm code."""
        for variant in self.batchers:
            scored = await self.batchers[variant].score((1,))
            rank(scored.scores, 10, exclude={1})

    def _items(self, columns: list[int], scores: list[float]) -> list[ScoredItem]:
        catalogue = self.models.catalogue.columns
        return [
            ScoredItem(catalogue.ids[i], catalogue.titles[i], round(score, 4))
            for i, score in zip(columns, scores, strict=True)
        ]


def _describe_variant(variant: Variant) -> ModelVariant:
    return ModelVariant(
        name=variant.name,
        description=variant.description,
        bytes=variant.file.bytes,
        sha256=variant.file.sha256,
        parameters=variant.parameters,
        metrics={
            "ndcg@10": variant.metrics.ndcg_10,
            "hr@10": variant.metrics.hr_10,
            "mrr@10": variant.metrics.mrr_10,
        },
    )
