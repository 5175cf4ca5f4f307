"""The version that answers, and how another takes its place without a failed request.

    source --check--> stamp --download--> directory --load--> models --warm, compare--> swap --> drain

A request answers from the `ServedModels` it began with and holds on to it, so a swap is one assignment:
whoever comes later meets the next version, and the last one is freed when its last request has ended.
A version that does not load or answers unsoundly is refused; the one that serves goes on.

While a version is exchanged, both are in memory.
"""

import asyncio
import ctypes
import logging
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal, TypeAlias

from recserve.errors import InvalidModels, ModelsUnavailable
from recserve.inference.batcher import MicroBatcher
from recserve.inference.comparison import check_answers, overlaps, warm
from recserve.inference.loading import LoadedModels
from recserve.inference.session import ScoringSession
from recserve.inference.sources import ModelSource

Outcome: TypeAlias = Literal["unchanged", "swapped", "refused", "unavailable"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ServedModels(LoadedModels):
    """Models, and what it takes to answer from them."""

    batchers: Mapping[str, MicroBatcher]
    "By variant name, each in front of the session of that name."

    @classmethod
    def of(cls, models: LoadedModels, batchers: Mapping[str, MicroBatcher]) -> "ServedModels":
        return cls(models.manifest, models.catalogue, models.sessions, models.stamp, batchers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """How one look for another version ended.

    `unchanged`: the source has none. `swapped`: it answers. `refused`: it is bad; `reason` says why.
    `unavailable`: the source could not be reached.
    """

    outcome: Outcome
    from_version: str
    to_version: str = ""
    "Empty where no other was loaded."
    reason: str = ""
    overlap: dict[str, float]
    "By variant, share of the first ten on canned histories that the version before had among its first ten."
    seconds: dict[str, float]
    "By phase, in order, as far as it went: check, download, load, warm, compare, swap, drain."
    is_drained: bool = False
    "The sessions of the version before are freed; else requests still hold them, and free them when they end."


class ModelRegistry:
    """Holds the version that answers, and exchanges it. Called from one event loop.

    Args:
        source: where other versions come from.
        load: makes a models directory models; on a thread.
        build: makes them ready to answer; on a thread.
        current: the version to begin with.
        batch_sizes: what to warm every variant at.
        check_every_s: how often `refresh_if_due` looks.
        drain_wait_s: how long a swap waits for the last requests of the version before.
        observe: told the outcome of every look, also of those that nobody asked for.
    """

    def __init__(
        self,
        source: ModelSource,
        load: Callable[[Path], LoadedModels],
        build: Callable[[LoadedModels], ServedModels],
        *,
        current: ServedModels,
        batch_sizes: tuple[int, ...] = (1, 32),
        check_every_s: float = 60.0,
        drain_wait_s: float = 5.0,
        observe: Callable[[Reload], None] = lambda _: None,
    ) -> None:
        self.current = current
        self.last: Reload | None = None
        "How the last look ended."
        self._source = source
        self._load = load
        self._build = build
        self._batch_sizes = batch_sizes
        self._check_every_s = check_every_s
        self._drain_wait_s = drain_wait_s
        self._observe = observe
        self._due_s = float("-inf")
        self._running: asyncio.Task[Reload] | None = None
        self._refused: dict[str, str] = {}
        "The stamp that was refused last, and why: it is not tried again until it changes."

    def refresh_if_due(self, now_s: float) -> None:
        """Look for another version in the background, unless it was looked for lately.

        A timer trigger fires on one instance of an app and a request reaches one process of one, so each
        process looks by itself, driven by its traffic.

        Args:
            now_s: on any clock that only goes forward, the same at every call.
        """
        if now_s < self._due_s:
            return
        self._due_s = now_s + self._check_every_s
        self._start(force=False)

    async def reload(self, *, force: bool = False) -> Reload:
        """Look for another version, and serve it if it is good. A second caller shares the first's outcome.

        Args:
            force: also load what is served already, and what was refused before.
        """
        # Whoever waits may be cancelled; the reload is not.
        return await asyncio.shield(self._start(force=force))

    def _start(self, *, force: bool) -> "asyncio.Task[Reload]":
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._look(force=force))
        return self._running

    async def _look(self, *, force: bool) -> Reload:
        attempt = _Attempt(self.current.manifest.version)
        try:
            self.last = await self._exchange(attempt, force=force)
        except ModelsUnavailable as err:
            log.warning("cannot look for other models: %s", err)
            self.last = attempt.ended("unavailable", reason=str(err))
        finally:
            self._running = None
        self._observe(self.last)
        return self.last

    async def _exchange(self, attempt: "_Attempt", *, force: bool) -> Reload:
        stamp = await self._source.newest()
        attempt.mark("check")
        if stamp is None:
            return attempt.ended("unchanged", reason="the source holds no models")
        if stamp == self.current.stamp and not force:
            return attempt.ended("unchanged")
        if stamp in self._refused and not force:
            return attempt.ended("refused", reason=self._refused[stamp])
        try:
            models_dir = await self._source.fetch(stamp)
            attempt.mark("download")
            served = await asyncio.to_thread(self._prepare, models_dir, attempt)
        except ModelsUnavailable:
            raise
        except Exception as err:  # whatever a bad version causes, the good one goes on
            reason = str(err) if isinstance(err, InvalidModels) else f"{type(err).__name__}: {err}"
            log.error("models refused: %s", reason, exc_info=not isinstance(err, InvalidModels))
            self._refused = {stamp: reason}
            return attempt.ended("refused", reason=reason)
        self._refused = {}
        freed = self._swap(served)
        attempt.mark("swap")
        await self._drain(freed, attempt)
        return attempt.ended("swapped")

    def _prepare(self, models_dir: Path, attempt: "_Attempt") -> ServedModels:
        """Everything that takes time; on a thread."""
        models = self._load(models_dir)
        attempt.to_version = models.manifest.version
        attempt.mark("load")
        served = self._build(models)
        warm(models, batch_sizes=self._batch_sizes)
        attempt.mark("warm")
        check_answers(models)
        attempt.overlap = overlaps(models, self.current)
        attempt.mark("compare")
        return served

    def _swap(self, served: ServedModels) -> list[asyncio.Event]:
        """Serve another version; an event comes for each session of the one before, when it is freed."""
        log.info("models %s follow %s", served.manifest.version, self.current.manifest.version)
        freed = [_when_freed(session) for session in self.current.sessions.values()]
        self.current = served
        return freed

    async def _drain(self, freed: list[asyncio.Event], attempt: "_Attempt") -> None:
        try:
            async with asyncio.timeout(self._drain_wait_s):
                for event in freed:
                    await event.wait()
            attempt.is_drained = True
        except TimeoutError:
            log.warning("models %s are still in use", attempt.from_version)
        await asyncio.to_thread(_return_memory)
        attempt.mark("drain")


def _when_freed(session: ScoringSession) -> asyncio.Event:
    """Comes when nobody holds on to the session any more, on whichever thread that happens."""
    loop, freed = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(freed.set)

    weakref.finalize(session, tell).atexit = False
    return freed


def _return_memory() -> None:
    """Hand freed memory back to the system, which glibc does not by itself.

    After 60 exchanges of the shipped models a process had 148 MiB resident without this, and 90 MiB with it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class _Attempt:
    """What is known of a look for another version while it goes on."""

    def __init__(self, from_version: str) -> None:
        self.from_version = from_version
        self.to_version = ""
        self.overlap: dict[str, float] = {}
        self.is_drained = False
        self._seconds: dict[str, float] = {}
        self._since_s = perf_counter()

    def mark(self, phase: str) -> None:
        """The phase ended now."""
        now_s = perf_counter()
        self._seconds[phase] = now_s - self._since_s
        self._since_s = now_s

    def ended(self, outcome: Outcome, *, reason: str = "") -> Reload:
        return Reload(
            outcome=outcome,
            from_version=self.from_version,
            to_version=self.to_version,
            reason=reason,
            overlap=self.overlap,
            seconds=self._seconds,
            is_drained=self.is_drained,
        )
