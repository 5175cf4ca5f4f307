"""The one place that picks concrete classes.

Importing this module is cheap: what it builds, and ONNX Runtime with it, is imported on the thread that
builds it.
"""

import logging
import math
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from recserve.errors import InvalidModels, InvalidSettings
from recserve.settings import APP_ROOT, Settings
from recserve.telemetry.timeline import Timeline

if TYPE_CHECKING:
    from recserve.admission.limit import Limit
    from recserve.admission.rate_limit import CallerLimiter
    from recserve.edge.offer import EdgeOffer
    from recserve.experiments import Shadow, Split
    from recserve.inference.registry import ModelRegistry
    from recserve.service import RecommendationService
    from recserve.state.store import UserStateStore

DELAY_SHARE = 1 / 8
"Share of the SLO that requests may wait for the event loop before some are refused: they pay it about twice."
RTT_SHARE = 1 / 4
"Share of the SLO up to which longer answers are batching and no queue."
LIMIT_SMOOTHING = 0.5
"Weight of the newest estimate of the limit: it starts from the top and must come down within a second."
MAX_WAITING = 1024
"Requests that may wait for one model."
UNLIMITED = 10**9
STATE_RETRIES = 1
DAY_S = 86_400.0
HOUR_S = 3600.0

log = logging.getLogger(__name__)


def build_service(
    settings: Settings,
    timeline: Timeline,
    models_timeline: Timeline | None = None,
    *,
    record: Callable[[Timeline], None] = lambda _: None,
) -> "RecommendationService":
    """Put a service together; its models are loaded and have each run once.

    Models load on a thread beside this one: ONNX Runtime leaves the interpreter to our imports meanwhile.

    Args:
        settings: the app's settings.
        timeline: stamped with each phase as it ends.
        models_timeline: stamped by the thread that loads the models.
        record: takes timelines of what no request waits for.

    Raises:
        InvalidModels: the models directory is missing, damaged or contradictory.
        InvalidSettings: settings name a variant that the models lack.
        StateUnavailable: the user store cannot be opened.
    """
    from concurrent.futures import ThreadPoolExecutor

    from recserve.experiments import CURRENT, Shadow, read_split

    split = read_split(settings.recserve_split, salt=settings.recserve_split_salt)
    shadow = Shadow(settings.recserve_shadow, record) if settings.recserve_shadow else None
    with ThreadPoolExecutor(1, thread_name_prefix="models") as beside:
        loading = beside.submit(_build_lines, settings, split, shadow, models_timeline or Timeline("models"))
        from recserve.admission.brownout import Dimmer
        from recserve.admission.limiter import Limiter
        from recserve.admission.queueing_delay import LoopProbe, QueueingDelay
        from recserve.inventory import Inventory
        from recserve.service import RecommendationService
        from recserve.users import Users

        timeline.mark("import recserve")
        store, attach = _build_store(settings)
        timeline.mark("state")
        lines = loading.result()
    timeline.mark("models")
    is_limited = settings.recserve_admission != "off"
    delay = QueueingDelay()
    rise_at = settings.recserve_brownout_at if is_limited and settings.recserve_brownout_at < 1 else math.inf
    return RecommendationService(
        lines=lines,
        users=Users(
            store,
            ttl_s=settings.recserve_state_ttl_days * DAY_S,
            is_known=lambda item_id: item_id in lines[CURRENT].current.catalogue.numbers,
        ),
        inventory=Inventory(lines, shadow),
        limiter=Limiter(
            _build_limit(settings),
            delay=delay,
            target_delay_s=settings.recserve_slo_ms / 1e3 * DELAY_SHARE if is_limited else math.inf,
        ),
        probe=LoopProbe(delay),
        dimmer=Dimmer(
            len(lines[CURRENT].current.manifest.serving), rise_at=rise_at, fall_at=min(0.4, rise_at / 2)
        ),
        split=split,
        shadow=shadow,
        attach=attach,
        deadline_s=settings.recserve_deadline_ms / 1e3 if is_limited else math.inf,
        edge=None if settings.recserve_edge == "off" else partial(_build_edge, settings),
        callers=_build_callers(settings),
    )


def _build_lines(
    settings: Settings, split: "Split | None", shadow: "Shadow | None", timeline: Timeline
) -> "dict[str, ModelRegistry]":
    """The current line of model versions, and the challenger's where there is one."""
    from recserve.experiments import CHALLENGER, CURRENT

    timeline.started_s = perf_counter()
    also = {CURRENT: {shadow.variant} if shadow else set(), CHALLENGER: set()}
    for arm in split.arms if split else ():
        also[arm.line].add(arm.variant)
    lines = {CURRENT: _build_line(settings, settings.models_dir, also[CURRENT], timeline.mark, is_fed=True)}
    if settings.recserve_challenger_dir:
        challenger_dir = APP_ROOT / settings.recserve_challenger_dir
        lines[CHALLENGER] = _build_line(settings, challenger_dir, also[CHALLENGER], timeline.mark)
    elif also[CHALLENGER]:
        raise InvalidSettings(
            f"RECSERVE_SPLIT={settings.recserve_split!r} names a challenger; set RECSERVE_CHALLENGER_DIR"
        )
    return lines


def _build_edge(settings: Settings) -> "EdgeOffer":
    """What devices are given; built, and imported, when the first one asks."""
    from recserve.edge.offer import EdgeOffer

    return EdgeOffer(settings.edge_dir, max_age_s=settings.recserve_edge_max_age_h * HOUR_S)


def _build_callers(settings: Settings) -> "CallerLimiter | None":
    """What holds callers to a rate, where one is set."""
    if not settings.recserve_caller_per_s:
        return None
    from recserve.admission.rate_limit import CallerLimiter, Rate
    from recserve.callers import name_caller

    return CallerLimiter(
        Rate(settings.recserve_caller_per_s, settings.recserve_caller_burst),
        name=partial(name_caller, is_signed_in=settings.website_auth_enabled.lower() == "true"),
    )


def _build_limit(settings: Settings) -> "Limit":
    from recserve.admission.limit import FixedLimit, GradientLimit

    match settings.recserve_admission:
        case "adaptive":
            most = settings.recserve_max_in_flight
            # From the top: a burst at a fresh process must not be refused for what nobody has measured.
            return GradientLimit(
                initial=most,
                maximum=most,
                smoothing=LIMIT_SMOOTHING,
                rtt_floor_s=settings.recserve_slo_ms / 1e3 * RTT_SHARE,
            )
        case "fixed":
            return FixedLimit(settings.recserve_max_in_flight)
        case "off":
            return FixedLimit(UNLIMITED)


def _build_line(
    settings: Settings,
    models_dir: Path,
    also: Collection[str],
    mark: Callable[[str], None],
    *,
    is_fed: bool = False,
) -> "ModelRegistry":
    """One line of model versions, with the version of its directory to begin with.

    Args:
        also: variants to load beside those that the manifest serves.
        is_fed: whether newer versions come from the blob container, where one is set.
    """
    from concurrent.futures import ThreadPoolExecutor

    from recserve.inference.batcher import MicroBatcher
    from recserve.inference.loading import LoadedModels, load_models
    from recserve.inference.registry import ModelRegistry, ServedModels
    from recserve.inference.sources import DirectorySource, ModelSource

    mark("import recserve.inference")
    is_limited = settings.recserve_admission != "off"
    inference = ThreadPoolExecutor(4, thread_name_prefix="inference")

    def load(models_dir: Path) -> LoadedModels:
        return load_models(
            models_dir,
            n_threads=settings.recserve_inference_threads,
            mark=mark,
            also=also,
            ladder=settings.ladder,
        )

    def build(models: LoadedModels) -> ServedModels:
        batchers = {
            name: MicroBatcher(
                session.recommend,
                inference,
                max_size=settings.recserve_max_batch,
                slo_s=settings.recserve_slo_ms / 1e3 if is_limited else math.inf,
                max_waiting=MAX_WAITING if is_limited else UNLIMITED,
            )
            for name, session in models.sessions.items()
        }
        return ServedModels.of(models, batchers)

    source: ModelSource = DirectorySource(models_dir)
    start_dir = models_dir
    if is_fed and (settings.recserve_models_url or settings.recserve_models_connection_string):
        from recserve.inference.blob import BlobSource

        source = blobs = BlobSource(
            settings.recserve_models_url,
            cache_dir=settings.models_cache,
            connection_string=settings.recserve_models_connection_string,
        )
        start_dir = blobs.cached() or models_dir
    try:
        models = load(start_dir)
    except InvalidModels:
        if start_dir == models_dir:
            raise
        log.warning("the version in %s is damaged; starting with the one in %s", start_dir, models_dir)
        models = load(models_dir)
    if missing := sorted(set(also) - models.sessions.keys()):
        raise InvalidSettings(
            f"RECSERVE_SPLIT or RECSERVE_SHADOW names {missing}; the models have "
            f"{[variant.name for variant in models.manifest.ladder]}"
        )
    mark = _ignore
    return ModelRegistry(
        source,
        load,
        build,
        current=build(models),
        batch_sizes=(1, settings.recserve_max_batch),
        check_every_s=settings.recserve_reload_s or math.inf,
    )


def _ignore(_: str) -> None:
    """Phases of a reload belong to no cold start."""


def _build_store(settings: Settings) -> tuple["UserStateStore", Callable[[], None]]:
    """Table Storage where it is set, behind what makes it safe to depend on; else SQLite. A cache in front.

    Returns:
        The store, and what imports the rest of it once the process is ready.
    """
    import numpy as np

    from recserve.state.cache import CachedStore
    from recserve.state.sqlite import SqliteStore

    ttl_s = settings.recserve_state_ttl_days * DAY_S
    store: UserStateStore
    attach: Callable[[], None] = _nothing
    if settings.recserve_state_tables_url or settings.recserve_state_tables_connection_string:
        from recserve.state.outbox import Outbox
        from recserve.state.resilience import CircuitBreaker, ResilientStore
        from recserve.state.table_storage import TableStore

        tables = TableStore(
            account_url=settings.recserve_state_tables_url,
            connection_string=settings.recserve_state_tables_connection_string,
            ttl_s=ttl_s,
        )
        attach = tables.attach
        store = ResilientStore(
            tables,
            Outbox(settings.outbox_path),
            timeout_s=settings.recserve_state_timeout_ms / 1e3,
            n_retries=STATE_RETRIES,
            breaker=CircuitBreaker(),
            rng=np.random.default_rng(),
        )
    else:
        store = SqliteStore(settings.state_path, ttl_s=ttl_s)
    if settings.recserve_cached_users:
        store = CachedStore(store, max_users=settings.recserve_cached_users, ttl_s=settings.recserve_cache_s)
    return store, attach


def _nothing() -> None:
    """A store that is whole from the start has nothing to attach."""
