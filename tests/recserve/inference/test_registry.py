import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from recserve.errors import ModelsUnavailable
from recserve.inference.batcher import MicroBatcher, Question
from recserve.inference.loading import LoadedModels
from recserve.inference.registry import ModelRegistry, Reload, ServedModels
from recserve.inference.session import ScoringSession
from recserve.inference.sources import DirectorySource
from tests.recserve.inference.versions import edit_manifest, load, lose_a_byte, release


class SlowBatcher:
    """Answers after letting others run, so that swaps fall between question and answer."""

    def __init__(self, session: ScoringSession) -> None:
        self._session = session

    async def ask(self, item: int) -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        asked = np.array([[item]])
        return int(self._session.recommend(asked, asked, 1).items[0, 0])


def serve(models: LoadedModels) -> ServedModels:
    return ServedModels.of(models, {name: SlowBatcher(session) for name, session in models.sessions.items()})


class Loads:
    """Loads models directories and remembers which, and on which thread."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.threads: list[threading.Thread] = []

    def __call__(self, models_dir: Path) -> LoadedModels:
        self.threads.append(threading.current_thread())
        self.versions.append("?")
        models = load(models_dir)
        self.versions[-1] = models.manifest.version
        return models


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def make_registry(models_dir: Path, loads: Loads) -> Callable[..., ModelRegistry]:
    """A registry that serves the directory as it is when the registry is made."""
    return lambda source=None, **options: ModelRegistry(
        source or DirectorySource(models_dir), loads, serve, current=serve(load(models_dir)), **options
    )


@pytest.fixture
def without_cycle_collection() -> Iterator[None]:
    """What is freed here is freed by its last reference, at once."""
    gc.disable()
    yield
    gc.enable()


async def test_same_version_is_left_alone(make_registry, loads: Loads) -> None:
    registry = make_registry()

    reload = await registry.reload()

    assert (reload.outcome, reload.from_version, reload.to_version) == ("unchanged", "test-1", "")
    assert list(reload.seconds) == ["check"]
    assert loads.versions == []


async def test_other_version_is_loaded_checked_and_served(make_registry, models_dir: Path) -> None:
    registry = make_registry()
    release(models_dir, "test-2")

    reload = await registry.reload()

    assert (reload.outcome, reload.from_version, reload.to_version) == ("swapped", "test-1", "test-2")
    assert list(reload.seconds) == ["check", "download", "load", "warm", "compare", "swap", "drain"]
    assert reload.overlap == {"near": 1.0, "popular": 1.0}
    assert registry.current.manifest.version == "test-2"
    assert registry.last is reload
    assert (await registry.reload()).outcome == "unchanged"


async def test_loading_happens_off_the_event_loop(make_registry, models_dir: Path, loads: Loads) -> None:
    registry = make_registry()
    release(models_dir, "test-2")

    await registry.reload()

    assert loads.threads[0] is not threading.current_thread()


async def test_twenty_swaps_fail_no_request(make_registry, models_dir: Path) -> None:
    registry = make_registry()
    answered: dict[str, int] = {}
    is_over = False

    async def keep_asking(item: int) -> None:
        while not is_over:
            models = registry.current
            assert await models.batchers["near"].ask(item) == item % 6 + 1
            version = models.manifest.version
            answered[version] = answered.get(version, 0) + 1

    askers = [asyncio.create_task(keep_asking(item)) for item in (1, 2, 3, 4, 5, 6)]
    outcomes = []
    for number in range(20):
        release(models_dir, f"swap-{number}")
        outcomes.append(await registry.reload())
    is_over = True
    await asyncio.gather(*askers)

    assert [reload.outcome for reload in outcomes] == ["swapped"] * 20
    assert all(reload.is_drained for reload in outcomes)
    assert set(answered) >= {f"swap-{number}" for number in range(19)}


async def test_version_before_is_freed_by_the_swap(
    make_registry, models_dir: Path, without_cycle_collection: None
) -> None:
    registry = make_registry()
    sessions = [weakref.ref(session) for session in registry.current.sessions.values()]
    release(models_dir, "test-2")

    reload = await registry.reload()

    assert reload.is_drained
    assert [session() for session in sessions] == [None, None]


async def test_request_ends_on_the_version_it_began_with_and_frees_it(
    make_registry, models_dir: Path, without_cycle_collection: None
) -> None:
    registry = make_registry(drain_wait_s=0.01)
    models = registry.current
    session = weakref.ref(models.sessions["near"])
    release(models_dir, "test-2")

    reload = await registry.reload()

    assert (reload.outcome, reload.is_drained) == ("swapped", False)
    assert models.manifest.version == "test-1"
    assert await models.batchers["near"].ask(2) == 3
    del models
    assert session() is None


async def test_damaged_version_is_refused_and_the_old_one_goes_on(make_registry, models_dir: Path) -> None:
    registry = make_registry()
    before = registry.current
    release(models_dir, "test-2")
    lose_a_byte(models_dir / "near.onnx")

    reload = await registry.reload()

    assert (reload.outcome, reload.from_version) == ("refused", "test-1")
    assert reload.reason.startswith("near.onnx is damaged")
    assert registry.current is before
    assert await registry.current.batchers["near"].ask(2) == 3


async def test_refused_version_is_tried_again_only_when_forced_or_replaced(
    make_registry, models_dir: Path, loads: Loads
) -> None:
    registry = make_registry()
    release(models_dir, "test-2")
    lose_a_byte(models_dir / "near.onnx")
    first = await registry.reload()

    second = await registry.reload()
    assert (second.outcome, second.reason, len(loads.versions)) == ("refused", first.reason, 1)
    assert (await registry.reload(force=True)).outcome == "refused"
    assert len(loads.versions) == 2
    release(models_dir, "test-3")
    assert (await registry.reload()).to_version == "test-3"


async def test_version_that_answers_unsoundly_is_refused(models_dir: Path, loads: Loads) -> None:
    class Forgetful(ScoringSession):
        """Recommends what was seen."""

        def recommend(self, history, seen, k):  # type: ignore[no-untyped-def]
            return super().recommend(history, seen[:, :0], k)

    def load_forgetful(models_dir: Path) -> LoadedModels:
        models = load(models_dir)
        for session in models.sessions.values():
            session.__class__ = Forgetful
        return models

    registry = ModelRegistry(
        DirectorySource(models_dir), load_forgetful, serve, current=serve(load(models_dir))
    )
    release(models_dir, "test-2")

    reload = await registry.reload()

    assert (reload.outcome, reload.to_version) == ("refused", "test-2")
    assert "which the user has seen" in reload.reason
    assert list(reload.seconds) == ["check", "download", "load", "warm"]


async def test_whatever_a_version_breaks_is_a_refusal(make_registry, models_dir: Path) -> None:
    registry = make_registry()
    registry._load = lambda _: {}["weights"]
    release(models_dir, "test-2")

    reload = await registry.reload()

    assert (reload.outcome, reload.reason) == ("refused", "KeyError: 'weights'")
    assert registry.current.manifest.version == "test-1"


async def test_force_loads_the_same_version_afresh(make_registry, loads: Loads) -> None:
    registry = make_registry()
    before = registry.current

    reload = await registry.reload(force=True)

    assert (reload.outcome, reload.from_version, reload.to_version) == ("swapped", "test-1", "test-1")
    assert registry.current is not before


async def test_directory_without_models_changes_nothing(make_registry, models_dir: Path) -> None:
    registry = make_registry()
    (models_dir / "manifest.json").unlink()

    reload = await registry.reload()

    assert (reload.outcome, reload.reason) == ("unchanged", "the source holds no models")


class GatedSource(DirectorySource):
    """Looks when it is let to, and counts the looks."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = asyncio.Event()
        self.n_looks = 0
        self.is_reachable = True

    async def newest(self) -> str | None:
        self.n_looks += 1
        await self.gate.wait()
        if not self.is_reachable:
            raise ModelsUnavailable("no route to the container")
        return await super().newest()


async def test_second_caller_shares_the_first_ones_outcome(make_registry, models_dir: Path) -> None:
    source = GatedSource(models_dir)
    registry = make_registry(source)
    release(models_dir, "test-2")
    first, second = asyncio.create_task(registry.reload()), asyncio.create_task(registry.reload())
    await asyncio.sleep(0)

    source.gate.set()

    assert await first is await second
    assert source.n_looks == 1


async def test_caller_who_goes_away_does_not_stop_the_reload(make_registry, models_dir: Path) -> None:
    source = GatedSource(models_dir)
    registry = make_registry(source)
    release(models_dir, "test-2")
    caller = asyncio.create_task(registry.reload())
    await asyncio.sleep(0)

    caller.cancel()
    source.gate.set()
    await registry.reload()

    assert caller.cancelled()
    assert registry.current.manifest.version == "test-2"
    assert source.n_looks == 1


async def test_source_out_of_reach_is_reported_and_tried_again(make_registry, models_dir: Path) -> None:
    source = GatedSource(models_dir)
    source.gate.set()
    registry = make_registry(source)
    release(models_dir, "test-2")

    source.is_reachable = False
    reload = await registry.reload()
    assert (reload.outcome, reload.reason) == ("unavailable", "no route to the container")
    source.is_reachable = True
    assert (await registry.reload()).outcome == "swapped"


async def test_traffic_looks_for_a_version_once_in_a_while(make_registry, models_dir: Path) -> None:
    source = GatedSource(models_dir)
    source.gate.set()
    outcomes: list[Reload] = []
    registry = make_registry(source, check_every_s=60, observe=outcomes.append)

    for now_s in (1000.0, 1000.1, 1059.9):
        registry.refresh_if_due(now_s)
    await registry.reload()
    assert source.n_looks == 1
    release(models_dir, "test-2")
    registry.refresh_if_due(1060.0)
    await registry.reload()

    assert source.n_looks == 2
    assert [reload.outcome for reload in outcomes] == ["unchanged", "swapped"]


async def test_two_registries_serve_two_directories(make_registry, models_dir: Path, tmp_path: Path) -> None:
    challenger_dir = release(tmp_path / "challenger", "challenger-1")
    champion = make_registry()
    challenger = ModelRegistry(
        DirectorySource(challenger_dir), load, serve, current=serve(load(challenger_dir))
    )
    release(challenger_dir, "challenger-2")

    await asyncio.gather(champion.reload(), challenger.reload())

    assert champion.current.manifest.version == "test-1"
    assert challenger.current.manifest.version == "challenger-2"


async def test_version_with_another_ladder_is_served(make_registry, models_dir: Path) -> None:
    registry = make_registry()
    release(models_dir, "test-2")
    edit_manifest(models_dir, lambda manifest: manifest.update(serving=["popular"], similar="popular"))

    reload = await registry.reload()

    assert reload.overlap == {"popular": 1.0}
    assert list(registry.current.batchers) == ["popular"]


async def test_real_batchers_let_go_of_their_version_once_they_have_answered(
    models_dir: Path, without_cycle_collection: None
) -> None:
    with ThreadPoolExecutor(2) as executor:

        def serve_in_batches(models: LoadedModels) -> ServedModels:
            batchers = {
                name: MicroBatcher(session.recommend, executor, max_size=4, max_inline_s=0)
                for name, session in models.sessions.items()
            }
            return ServedModels.of(models, batchers)

        registry = ModelRegistry(
            DirectorySource(models_dir), load, serve_in_batches, current=serve_in_batches(load(models_dir))
        )
        session = weakref.ref(registry.current.sessions["near"])
        ask = registry.current.batchers["near"].ask
        asks = [asyncio.create_task(ask(Question((2,), seen=(2,), k=1))) for _ in range(9)]
        del ask
        await asyncio.sleep(0)
        release(models_dir, "test-2")

        reload = await registry.reload()

        assert [int((await ask).items[0]) for ask in asks] == [3] * 9
        assert reload.is_drained
        assert session() is None
