"""The edge client: recommendations on the device, from the cloud where that is better, and offline too."""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import Any, Literal, NamedTuple

from recserve_edge.bundle import Item
from recserve_edge.cache import BundleCache
from recserve_edge.clocks import Clocks
from recserve_edge.cloud import Cloud, CloudAnswer
from recserve_edge.decision import (
    MAX_ROUND_TRIPS,
    Situation,
    age_s,
    decide,
    fall_back,
    service_time_s,
)
from recserve_edge.delivery import Delivery
from recserve_edge.errors import BundleError, CloudFailed, InvalidRequest, Unavailable
from recserve_edge.events import Event, EventStore
from recserve_edge.keeping import BundleKeeper
from recserve_edge.request import ItemId, Request
from recserve_edge.settings import EdgeSettings
from recserve_edge.tally import Tally
from recserve_edge.upkeep import Upkeep
from recserve_edge.version import VERSION
from recserve_edge.wire import Service

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """Recommendations, who made them, and why they."""

    items: list[Item]
    by: Literal["edge", "cloud"]
    reason: str
    "See `recserve_edge.decision`."
    degraded: tuple[str, ...]
    "What the answer had to do without; empty when all is well."
    latency_ms: float
    bundle_version: str = ""
    "Empty where the cloud answered."
    model_version: str = ""
    "Empty where edge answered."
    recommendation_id: str = ""
    "Of the cloud's answer: quote it with the event that follows. Empty where edge answered."


class Status(NamedTuple):
    """How the device is, for the person in front of it."""

    bundle_version: str
    "Empty where there is none."
    bundle_age_s: float | None
    "Since the service confirmed it; None where no clock can tell."
    bundle_error: BundleError | None
    "Why there is none, or why the last update came to nothing; None when all is well."
    bundle_error_detail: str
    cache_error: str
    "Why bundle or events are in memory only; empty when they are on disk."
    n_waiting: int
    "Events that the service does not have yet."
    round_trip_ms: float | None
    "Median of the newest cloud answers; None before the first."
    is_online: bool | None
    "Whether anything answered last time, be it a captive portal; None before the first."


class EdgeClient:
    """Answers on the device. Any thread may call it; close it in the end, or use it as a context.

    Args:
        service_url: of the function app, such as `https://films.azurewebsites.net`.
        cache_dir: where bundle and events stay; made when missing, and several processes may share it. None, and
            a directory that cannot be written: they stay in memory.
        key: function key; empty: none.
        settings: how often it does what.
        is_background: whether a thread looks for bundles and sends events; without, call `step`.
        on_refused: told of an event that the service refuses, and why, after it was dropped.
        clocks: the device's.
        rng: spreads retries.

    Raises:
        InvalidRequest: the URL cannot be used.
    """

    def __init__(
        self,
        service_url: str,
        *,
        cache_dir: Path | str | None,
        key: str = "",
        settings: EdgeSettings | None = None,
        is_background: bool = True,
        on_refused: Callable[[dict[str, Any], str], None] = lambda _event, _why: None,
        clocks: Clocks | None = None,
        rng: Random | None = None,
    ) -> None:
        self._settings = settings = settings or EdgeSettings()
        self._clocks = clocks = clocks or Clocks()
        folder = Path(cache_dir) if cache_dir is not None else None
        self._service = Service(service_url, key=key, user_agent=f"recserve-edge-python/{VERSION}")
        self._cloud = Cloud(self._service)
        self._events = EventStore(folder)
        self._tally = Tally(client_version=VERSION)
        self._keeper = BundleKeeper(
            self._service,
            BundleCache(folder) if folder else None,
            clocks=clocks,
            n_threads=settings.n_threads,
        )
        delivery = Delivery(
            self._cloud,
            self._events,
            self._tally,
            bundle_version=lambda: self.bundle_version,
            on_refused=on_refused,
            rng=rng or Random(),
        )
        self._upkeep = Upkeep(self._keeper, delivery, compare=self._compare, settings=settings, clocks=clocks)
        self._round_trips_ms: deque[float] = deque(maxlen=MAX_ROUND_TRIPS)
        self._n_local = 0
        self._is_closed = False
        self._keeper.load()
        if is_background:
            self._upkeep.start()

    def __enter__(self) -> "EdgeClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def bundle_version(self) -> str:
        """Of the bundle that answers; empty where there is none."""
        bundle = self._keeper.bundle
        return bundle.manifest.version if bundle else ""

    def recommend(
        self,
        history: Sequence[ItemId] | None = None,
        *,
        user_id: str | None = None,
        k: int = 10,
        filters: Mapping[str, Any] | None = None,
        rules: Mapping[str, Any] | None = None,
        exclude_seen: bool | None = None,
        deadline_ms: float | None = None,
    ) -> Answer:
        """Recommend to one user; see `recserve_edge.request.Request` for the arguments.

        Raises:
            InvalidRequest: an argument is not allowed, or the service refuses the request.
            Unavailable: there is no bundle, and the cloud does not answer.
        """
        started_s = perf_counter()
        request = Request(
            history=history,
            user_id=user_id,
            k=k,
            filters=filters,
            rules=rules or {},
            exclude_seen=exclude_seen,
            deadline_ms=deadline_ms,
        )
        answer = self._answer(request)
        latency_ms = (perf_counter() - started_s) * 1e3
        self._tally.count(answer.by, answer.reason, latency_ms)
        if answer.reason == "default":
            self._compare_some(request, answer)
        return answer._replace(latency_ms=latency_ms)

    def _answer(self, request: Request) -> Answer:
        """Decide who answers, and stand in for a cloud that does not; the latency is left to the caller."""
        bundle = self._keeper.bundle
        known = self._events.local_history(request.user_id) if request.user_id is not None else []
        situation = Situation(
            bundle=bundle.manifest.facts if bundle else None,
            confirmed=self._keeper.confirmed,
            now=self._clocks.now(),
            round_trips_ms=tuple(self._round_trips_ms),
            n_known_events=len(known),
        )
        decision = decide(situation, request)
        if decision.by == "cloud":
            try:
                theirs = self._ask_cloud(request)
            except CloudFailed as err:
                decision = fall_back(situation, request, err.failure)
                if decision.by == "none":
                    raise self._unavailable(err) from err
            else:
                return Answer(
                    theirs.items,
                    "cloud",
                    decision.reason,
                    theirs.degraded,
                    latency_ms=0.0,
                    model_version=theirs.version,
                    recommendation_id=theirs.recommendation_id,
                )
        assert bundle is not None
        return Answer(
            bundle.recommend([*known, *(request.history or ())], request),
            "edge",
            decision.reason,
            decision.degraded,
            latency_ms=0.0,
            bundle_version=bundle.manifest.version,
        )

    def record(
        self, *, item_id: ItemId, user_id: str, kind: str = "view", recommendation_id: str = ""
    ) -> Event:
        """Keep what a user did: it counts in their next answer, and goes to the service with the next batch.

        Args:
            item_id: of the catalogue.
            user_id: your own id of the user.
            kind: view, click, add or purchase.
            recommendation_id: of the cloud's answer that it follows; empty: of none.

        Raises:
            InvalidRequest: an argument is not allowed.
            EventNotKept: it cannot be written down; nothing was kept.
        """
        event = self._events.record(
            item_id=item_id,
            user_id=user_id,
            kind=kind,
            at_s=service_time_s(self._keeper.confirmed, self._clocks.now()),
            recommendation_id=recommendation_id,
        )
        if self._events.n_waiting() >= self._settings.events_at:
            self._upkeep.send_soon()
        return event

    def erase(self, user_id: str) -> int:
        """Forget a user on this device, events that wait included; returns how many events there were.

        What the service has is erased by `DELETE /api/users/{user_id}`.
        """
        return self._events.erase(user_id)

    def update(self) -> bool:
        """Look for another bundle at once.

        Returns:
            Whether the service confirmed one; `status` says why not.
        """
        return self._upkeep.update()

    def step(self) -> float:
        """Do what is due: look for a bundle, compare answers, send events and reports.

        Returns:
            Seconds until something is due again.
        """
        return self._upkeep.step()

    def flush(self) -> bool:
        """Send all events and what is to be reported at once; returns whether nothing waits any more."""
        return self._upkeep.flush()

    def status(self) -> Status:
        keeper, events = self._keeper, self._events
        round_trips_ms = tuple(self._round_trips_ms)
        return Status(
            bundle_version=self.bundle_version,
            bundle_age_s=age_s(keeper.confirmed, self._clocks.now()),
            bundle_error=keeper.bundle_error,
            bundle_error_detail=keeper.bundle_error_detail,
            cache_error=events.error or keeper.cache_error,
            n_waiting=events.n_waiting(),
            round_trip_ms=median(round_trips_ms) if round_trips_ms else None,
            is_online=self._service.is_reached,
        )

    def close(self) -> None:
        """Stop the thread, try once to send what waits, and leave the rest to the next process."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._upkeep.close(is_online=self._service.is_reached is not False):
            self._events.close()
            self._service.close()

    def _ask_cloud(self, request: Request) -> CloudAnswer:
        """What the cloud recommends; it is told what it cannot know yet."""
        waiting = self._events.waiting_items(request.user_id) if request.user_id is not None else []
        timeout_s = self._settings.timeout_s if request.deadline_ms is None else request.deadline_ms / 1e3
        answer = self._cloud.recommend(request, [*waiting, *(request.history or ())], timeout_s=timeout_s)
        self._round_trips_ms.append(answer.round_trip_ms)
        bundle = self._keeper.bundle
        if bundle is not None and answer.version != bundle.manifest.served_version:
            self._upkeep.update_soon()
        return answer

    def _compare_some(self, request: Request, answer: Answer) -> None:
        """Have one of so many local answers asked of the cloud too, where it was there last."""
        self._n_local += 1
        every = self._settings.compare_every
        if every and self._n_local % every == 0 and self._service.is_reached is not False:
            self._upkeep.compare_soon(request, [item.id for item in answer.items])

    def _compare(self, request: Request, edge: list[ItemId]) -> None:
        try:
            answer = self._ask_cloud(request)
        except (CloudFailed, InvalidRequest) as err:
            log.info("an answer was not compared: %s", err)
        else:
            self._tally.compare(edge, [item.id for item in answer.items])

    def _unavailable(self, err: CloudFailed) -> Unavailable:
        word = self._keeper.bundle_error or "not_loaded"
        return Unavailable(
            err.failure,
            word,
            f"neither edge nor cloud can answer: {self._keeper.bundle_error_detail or word}; {err}",
        )
