"""The service as settings put it together: splits, shadows, versions, and a store that is down."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from recserve.admission.terms import Terms
from recserve.bootstrap import build_service
from recserve.errors import InvalidSettings, Overloaded, StateUnavailable
from recserve.inference.manifest import MANIFEST_NAME, Manifest
from recserve.schemas import (
    Event,
    EventsRequest,
    Recommendations,
    RecommendBatchRequest,
    RecommendRequest,
    ReloadRequest,
    SimilarRequest,
)
from recserve.service import RecommendationService
from recserve.settings import read_settings
from recserve.state.store import Event as Stored
from recserve.state.store import History, Recorded
from recserve.telemetry.timeline import Timeline
from recserve.users import Users
from tests.recserve.conftest import write_models

Build = Callable[..., RecommendationService]
USERS = [f"user-{i}" for i in range(200)]


@pytest.fixture
async def build(models_dir: Path, tmp_path: Path) -> AsyncIterator[Build]:
    services: list[RecommendationService] = []

    def build(**settings: str) -> RecommendationService:
        environ = {
            "RECSERVE_MODELS_DIR": str(models_dir),
            "RECSERVE_STATE_PATH": str(tmp_path / "state.db"),
            "RECSERVE_DEADLINE_MS": "60000",
        }
        services.append(build_service(read_settings(environ | settings), Timeline("start")))
        return services[-1]

    yield build
    for service in services:
        await service.users.store.close()


async def ask(service: RecommendationService, **fields: object) -> Recommendations:
    request = RecommendRequest(**{"history": [10], "k": 3} | fields)  # type: ignore[arg-type]
    return await service.recommend(request, Terms(), Timeline("recommend"))


class DeadStore:
    """A store whose machine is gone."""

    async def history(self, user_id: str) -> History:
        raise StateUnavailable("the store does not answer")

    async def record(self, events: Sequence[Stored]) -> Recorded:
        raise StateUnavailable("the store does not answer")

    async def export(self, user_id: str) -> list[Stored]:
        raise StateUnavailable("the store does not answer")

    async def erase(self, user_id: str) -> int:
        raise StateUnavailable("the store does not answer")

    async def close(self) -> None:
        pass


def kill_store(service: RecommendationService) -> None:
    service.users.store = DeadStore()
    assert isinstance(service.users, Users)


def rename_version(models_dir: Path, version: str) -> None:
    path = models_dir / MANIFEST_NAME
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, version=version)))


async def test_dead_store_leaves_the_history_that_is_sent(build: Build) -> None:
    service = build()
    kill_store(service)
    answer = await ask(service, user_id="ana", history=[10])

    assert (answer.basis, answer.degraded, answer.items[0].id) == ("history", ["state_unavailable"], 20)


async def test_dead_store_and_no_history_is_popular_items_and_said(build: Build) -> None:
    service = build()
    kill_store(service)
    request = RecommendRequest(user_id="ana", k=3)
    answer = await service.recommend(request, Terms(), Timeline("recommend"))

    assert (answer.basis, answer.degraded) == ("state_unavailable", ["state_unavailable"])
    assert [item.id for item in answer.items] == [10, 20, 30]


async def test_event_that_cannot_be_kept_is_not_acknowledged(build: Build) -> None:
    service = build()
    kill_store(service)
    request = EventsRequest(events=[Event(event_id="e", user_id="ana", item_id=10, kind="view")])

    with pytest.raises(StateUnavailable):
        await service.record(request, Timeline("events"))


async def test_split_gives_users_their_arm_and_says_so(build: Build) -> None:
    service = build(RECSERVE_SPLIT="near=50, popular=50")
    answers = {user: await ask(service, user_id=user) for user in USERS}
    again = {user: await ask(service, user_id=user) for user in USERS}

    variants = [answer.model.variant for answer in answers.values()]
    assert 60 < variants.count("popular") < 140
    assert {answer.model.reason for answer in answers.values()} == {"split"}
    assert variants == [answer.model.variant for answer in again.values()]


async def test_request_without_a_user_is_not_part_of_a_split(build: Build) -> None:
    answer = await ask(build(RECSERVE_SPLIT="popular=1"))

    assert (answer.model.variant, answer.model.reason) == ("near", "default")


async def test_ladder_narrows_what_answers_and_keeps_what_finds_similar_items(build: Build) -> None:
    service = build(RECSERVE_LADDER="popular")
    answer = await ask(service)
    models = await service.inventory.models()
    similar = await service.similar(SimilarRequest(item_id="10"), Terms(), Timeline("similar"))

    assert answer.model.variant == "popular"
    assert models.serving == ["popular"]
    assert similar.model.variant == "near"


async def test_ladder_with_an_unknown_variant_stops_the_start(build: Build) -> None:
    with pytest.raises(InvalidSettings, match=r"RECSERVE_LADDER names 'far'.*near, popular"):
        build(RECSERVE_LADDER="near, far")


async def test_challenger_version_answers_its_share(build: Build, tmp_path: Path) -> None:
    challenger = write_models(tmp_path / "challenger")
    rename_version(challenger, "test-2")
    service = build(RECSERVE_SPLIT="near=1, challenger/near=1", RECSERVE_CHALLENGER_DIR=str(challenger))
    versions = [(await ask(service, user_id=user)).model.version for user in USERS]

    assert 60 < versions.count("test-2") < 140
    assert set(versions) == {"test-1", "test-2"}


@pytest.mark.parametrize(
    "settings",
    [
        {"RECSERVE_SPLIT": "far=1"},
        {"RECSERVE_SHADOW": "far"},
        {"RECSERVE_SPLIT": "challenger/near=1"},
        {"RECSERVE_SPLIT": "near"},
    ],
    ids=str,
)
async def test_variant_that_is_not_there_stops_the_start(build: Build, settings: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match="RECSERVE_"):
        build(**settings)


async def test_shadow_is_compared_and_answers_nobody(build: Build) -> None:
    service = build(RECSERVE_SHADOW="popular")
    answers = []
    for _ in range(5):
        answers.append(await ask(service, history=[50], k=3))
        await asyncio.sleep(0.01)
    tally = (await service.inventory.models()).shadow

    assert {answer.model.variant for answer in answers} == {"near"}
    assert tally is not None
    assert (tally.variant, tally.n_compared + tally.n_skipped) == ("popular", 5)
    # The film after 50 and the first two, as near has it, against the first three.
    assert tally.mean_overlap == pytest.approx(2 / 3)


async def test_new_version_is_served_after_a_reload(build: Build, models_dir: Path) -> None:
    service = build()
    before = await ask(service)
    rename_version(models_dir, "test-2")
    reload = await service.inventory.reload(ReloadRequest(), Timeline("reload_models"))
    after = await ask(service)

    assert (reload.outcome, reload.from_version, reload.to_version) == ("swapped", "test-1", "test-2")
    assert (before.model.version, after.model.version) == ("test-1", "test-2")


async def test_process_looks_for_new_versions_by_itself(build: Build, models_dir: Path) -> None:
    service = build(RECSERVE_RELOAD_S="0.01")
    rename_version(models_dir, "test-2")
    for _ in range(500):
        answer = await ask(service)
        if answer.model.version == "test-2":
            break
        await asyncio.sleep(0.01)

    assert answer.model.version == "test-2"


async def test_batch_tells_all_that_answered(build: Build) -> None:
    service = build()
    batch = RecommendBatchRequest(
        requests=[
            RecommendRequest(history=[10]),
            RecommendRequest(history=[]),
            RecommendRequest(history=[20]),
        ]
    )
    timeline = Timeline("recommend_batch")
    timeline.is_cold = True

    answered = await service.recommend_batch(batch, Terms(), timeline)

    assert [answer.cold_start for answer in answered.answers] == [True] * 3
    assert timeline.attributes["recserve.variant"] == "near,popular"
    assert timeline.attributes["recserve.model_version"] == "test-1"


async def test_batch_over_the_limit_is_refused_as_one(build: Build) -> None:
    service = build(RECSERVE_MAX_IN_FLIGHT="2", RECSERVE_ADMISSION="fixed")
    batch = RecommendBatchRequest(requests=[RecommendRequest(history=[10], k=1)] * 20)

    answered = await service.recommend_batch(batch, Terms(), Timeline("batch"))
    with service.limiter.acquire(), service.limiter.acquire(), pytest.raises(Overloaded):
        await service.recommend_batch(batch, Terms(), Timeline("batch"))

    assert len(answered.answers) == 20
