"""The recommendation service: a request's way, top to bottom, without a word of HTTP."""

import uuid
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from recserve.admission.brownout import Brownout
from recserve.admission.limiter import Limiter
from recserve.inference.batcher import Answer, MicroBatcher, Question
from recserve.inference.manifest import Variant
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
        self._popular = models.manifest.serving[-1]

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
            answer = await self.batchers[variant].ask(
                Question(
                    history=history[-self.models.manifest.max_history :] or NO_HISTORY,
                    seen=() if self.models.manifest.dataset.allow_repeats else history,
                    k=request.k,
                )
            )
            timeline.mark("queue", answer.started_s)
            timeline.mark("infer")
            items = self._items(answer)
            timeline.mark("rank")
            timeline.attributes |= {
                names.VARIANT: variant,
                names.BASIS: basis,
                names.BATCH_SIZE: answer.batch_size,
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
        with self.limiter.acquire():
            timeline.mark("admit")
            answer = await self.batchers[variant].ask(Question(history, seen=history, k=k))
            timeline.mark("queue", answer.started_s)
            timeline.mark("infer")
            # Both variants count people, and zero is nobody.
            items = [item for item in self._items(answer) if item.score > 0]
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
            serving=manifest.serving,
            ladder=[_describe_variant(variant) for variant in manifest.ladder],
        )

    async def health(self) -> Health:
        """What readiness checks want to hear; only a service that is ready can be asked."""
        return Health(status="ready", model_version=self.models.manifest.version)

    async def warm_up(self) -> None:
        """Send one request of every variant the whole way, so that the first user meets warm code."""
        for variant in self.batchers:
            self._items(await self.batchers[variant].ask(Question((1,), seen=(1,), k=10)))

    def _items(self, answer: Answer) -> list[ScoredItem]:
        catalogue = self.models.catalogue.columns
        return [
            ScoredItem(catalogue.ids[number - 1], catalogue.titles[number - 1], round(score, 4))
            for number, score in zip(answer.items.tolist(), answer.scores.tolist(), strict=True)
            if number
        ]


def _describe_variant(variant: Variant) -> ModelVariant:
    metrics = variant.metrics
    return ModelVariant(
        name=variant.name,
        description=variant.description,
        bytes=variant.file.bytes,
        sha256=variant.file.sha256,
        parameters=variant.parameters,
        latency_ms=variant.measurement.latency_ms["1"],
        metrics={"ndcg@10": metrics.ndcg["10"], "hr@10": metrics.hr["10"], "mrr@10": metrics.mrr["10"]},
    )
