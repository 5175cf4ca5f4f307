"""What this process serves: its catalogue, its models, and whether it is ready."""

from collections.abc import Mapping

from recserve import schemas
from recserve.experiments import CURRENT, Shadow
from recserve.inference.manifest import Variant
from recserve.inference.registry import ModelRegistry
from recserve.telemetry.timeline import Timeline


class Inventory:
    """Answers what is there, as opposed to what is good for somebody.

    Args:
        lines: model versions by name.
        shadow: the variant that is compared off the answer's path.
    """

    def __init__(self, lines: Mapping[str, ModelRegistry], shadow: Shadow | None = None) -> None:
        self._lines = lines
        self._shadow = shadow

    def search(self, request: schemas.CatalogueRequest) -> schemas.CataloguePage:
        """Items whose title holds every word of the query, the most popular first."""
        catalogue = self._lines[CURRENT].current.catalogue
        matching = catalogue.search(request.query)
        page = matching[request.offset : request.offset + request.limit]
        columns = catalogue.columns
        items = [
            schemas.CatalogueItem(
                id=columns.ids[column],
                title=columns.titles[column],
                year=columns.years[column],
                genres=columns.genres[column],
                n_interactions=columns.n_interactions[column],
            )
            for column in page
        ]
        return schemas.CataloguePage(total=len(matching), items=items)

    async def models(self) -> schemas.Models:
        """The ladder as it is served, with what was measured when it was trained."""
        manifest = self._lines[CURRENT].current.manifest
        shadow = self._shadow
        return schemas.Models(
            version=manifest.version,
            dataset=manifest.dataset.name,
            licence=manifest.dataset.licence,
            n_items=manifest.dataset.n_items,
            serving=manifest.serving,
            ladder=[_describe(variant) for variant in manifest.ladder],
            shadow=None
            if shadow is None
            else schemas.ShadowTally(
                variant=shadow.variant,
                n_compared=shadow.n_compared,
                n_skipped=shadow.n_skipped,
                mean_overlap=shadow.mean_overlap,
            ),
        )

    async def health(self) -> schemas.Health:
        """What readiness checks want to hear; only a service that is ready can be asked."""
        return schemas.Health(status="ready", model_version=self._lines[CURRENT].current.manifest.version)

    async def reload(self, request: schemas.ReloadRequest, timeline: Timeline) -> schemas.Reload:
        """Look for another version of the models in this process, and serve it if it is good."""
        timeline.enter("models")
        reload = await self._lines[CURRENT].reload(force=request.force)
        return schemas.Reload(
            outcome=reload.outcome,
            from_version=reload.from_version,
            to_version=reload.to_version,
            reason=reload.reason,
            overlap=reload.overlap,
            seconds=reload.seconds,
            is_drained=reload.is_drained,
        )


def _describe(variant: Variant) -> schemas.ModelVariant:
    metrics = variant.metrics
    return schemas.ModelVariant(
        name=variant.name,
        description=variant.description,
        bytes=variant.file.bytes,
        sha256=variant.file.sha256,
        parameters=variant.parameters,
        latency_ms=variant.measurement.latency_ms["1"],
        metrics={
            "ndcg@10": metrics.ndcg["10"],
            "ndcg@10_low": metrics.ndcg_10_low,
            "ndcg@10_high": metrics.ndcg_10_high,
            "hr@10": metrics.hr["10"],
            "mrr@10": metrics.mrr["10"],
        },
    )
