"""How a process starts, and how it fails to."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from azure.functions import HttpResponse

from recserve.admission.terms import Terms
from recserve.errors import Overloaded, StartupFailed, StateUnavailable
from recserve.http_io import read_json, respond
from recserve.inference.batcher import MicroBatcher
from recserve.schemas import Health, RecommendBatchRequest, RecommendRequest
from recserve.service import RecommendationService
from recserve.startup import Startup
from recserve.telemetry.export import Telemetry
from recserve.telemetry.timeline import Timeline
from tests.recserve.conftest import http_request


def start(models_dir: Path, **settings: str) -> Startup:
    environ = {
        "RECSERVE_MODELS_DIR": str(models_dir),
        "RECSERVE_STATE_PATH": str(models_dir.parent / "state.db"),
    }
    return Startup(environ | settings)


async def recommend(startup: Startup) -> HttpResponse:
    request = http_request("POST", json_body={"history": [10]})
    return await respond(
        startup,
        "recommend",
        lambda s, timeline: s.recommend(read_json(request, RecommendRequest), Terms(), timeline),
    )


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Timeline]:
    """The timelines that are handed to telemetry."""
    timelines: list[Timeline] = []
    monkeypatch.setattr(Startup, "record", lambda _, timeline: timelines.append(timeline))
    return timelines


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Starts that are begun do not end before this is set."""
    event = threading.Event()
    build = Startup._build

    def build_when_released(startup: Startup, settings: Any) -> RecommendationService:
        event.wait(30)
        return build(startup, settings)

    monkeypatch.setattr(Startup, "_build", build_when_released)
    yield event
    event.set()


def phases(timeline: Timeline) -> list[str]:
    return [phase for phase, _, _ in timeline.phases()]


async def test_request_that_comes_first_waits_for_the_models(models_dir: Path) -> None:
    response = await recommend(start(models_dir))

    assert response.status_code == 200
    assert msgspec.json.decode(response.get_body())["cold_start"] is True


async def test_only_the_first_request_is_cold(models_dir: Path) -> None:
    startup = start(models_dir)

    cold = [msgspec.json.decode((await recommend(startup)).get_body())["cold_start"] for _ in range(3)]

    assert cold == [True, False, False]


async def test_every_request_that_waited_for_the_start_is_cold(models_dir: Path) -> None:
    startup = start(models_dir)

    responses = await asyncio.gather(*(recommend(startup) for _ in range(3)))

    assert [msgspec.json.decode(r.get_body())["cold_start"] for r in responses] == [True] * 3


async def test_request_after_the_warmup_is_not_cold(models_dir: Path) -> None:
    startup = start(models_dir)
    await startup.warm_up()

    response = await recommend(startup)

    assert msgspec.json.decode(response.get_body())["cold_start"] is False


async def test_damaged_model_is_never_served_and_readiness_says_why(models_dir: Path) -> None:
    path = models_dir / "near.onnx"
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    startup = start(models_dir)

    response = await recommend(startup)

    assert response.status_code == 503
    assert "near.onnx is damaged" in msgspec.json.decode(response.get_body())["detail"]
    with pytest.raises(StartupFailed, match=r"near\.onnx is damaged"):
        await startup.service(wait_s=0)


async def test_missing_models_say_what_to_do(models_dir: Path) -> None:
    response = await recommend(start(models_dir / "nowhere"))

    assert response.status_code == 503
    assert "python -m training" in msgspec.json.decode(response.get_body())["detail"]


async def test_bad_settings_are_all_named(models_dir: Path) -> None:
    startup = start(models_dir, RECSERVE_MAX_BATCH="0", RECSERVE_INFERENCE_THREADS="many")

    with pytest.raises(StartupFailed, match=r"RECSERVE_INFERENCE_THREADS='many'.*RECSERVE_MAX_BATCH='0'"):
        await startup.service()


async def test_full_process_answers_429_and_says_when_to_come_back(models_dir: Path) -> None:
    startup = start(models_dir, RECSERVE_MAX_IN_FLIGHT="1")
    service = await startup.service()

    with service.limiter.acquire():
        refused = await recommend(startup)
    admitted = msgspec.json.decode((await recommend(startup)).get_body())

    assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (429, True)
    assert (admitted["model"]["variant"], admitted["basis"]) == ("near", "history")


async def test_pressure_turns_to_the_cheaper_variant_before_it_refuses(models_dir: Path) -> None:
    startup = start(models_dir, RECSERVE_MAX_IN_FLIGHT="2", RECSERVE_BROWNOUT_AT="0.45")
    service = await startup.service()

    relaxed = await recommend(startup)
    with service.limiter.acquire():
        for _ in range(100):
            await asyncio.sleep(0.01)
            pressed = await recommend(startup)
            if service.dimmer.level == 1:
                break

    answers = [msgspec.json.decode(response.get_body()) for response in (relaxed, pressed)]
    assert [answer["model"]["variant"] for answer in answers] == ["near", "popular"]
    assert [answer["model"]["reason"] for answer in answers] == ["default", "brownout"]
    assert [answer["basis"] for answer in answers] == ["history", "overload"]
    assert [answer["degraded"] for answer in answers] == [[], ["brownout"]]


async def test_request_that_is_cancelled_gives_its_place_back(models_dir: Path) -> None:
    startup = start(models_dir, RECSERVE_MAX_IN_FLIGHT="1")
    service = await startup.service()
    cancelled = asyncio.create_task(recommend(startup))
    while not service.limiter.in_flight:  # noqa: ASYNC110  a request has no event to wait for
        await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    assert service.limiter.in_flight == 0
    assert (await recommend(startup)).status_code == 200


@pytest.mark.parametrize("error", [ValueError("late"), StateUnavailable("late")])
async def test_time_of_a_request_that_fails_belongs_to_the_phase_that_it_fails_in(
    models_dir: Path, recorded: list[Timeline], error: Exception
) -> None:
    async def fail(service: object, timeline: Timeline) -> msgspec.Struct:
        timeline.enter("state")
        raise error

    response = await respond(start(models_dir), "recommend", fail)

    [failed] = recorded
    assert phases(failed) == ["startup", "admit", "state", "encode"]
    assert failed.attributes["recserve.status_code"] == response.status_code
    assert response.headers["server-timing"].count("dur=") == 4


async def test_request_that_gives_up_waiting_for_the_start_tells_how_long_it_waited(
    models_dir: Path, recorded: list[Timeline], release: threading.Event
) -> None:
    async def never(service: object, timeline: object) -> msgspec.Struct:
        raise AssertionError("the process is not ready")

    response = await respond(start(models_dir), "recommend", never, wait_s=0.05)

    [waited] = recorded
    name, start_s, end_s = waited.phases()[0]
    assert (response.status_code, waited.is_impacted, name) == (503, True, "startup")
    assert end_s - start_s >= 0.05


async def test_refused_request_ends_where_it_was_refused(
    models_dir: Path, recorded: list[Timeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = start(models_dir, RECSERVE_MAX_IN_FLIGHT="1")
    service = await startup.service()

    async def refuse(*_: object, **__: object) -> None:
        raise Overloaded("full", retry_after_s=1.0, reason="queue_full")

    with service.limiter.acquire():
        await recommend(startup)
    monkeypatch.setattr(MicroBatcher, "ask", refuse)
    await recommend(startup)

    assert [phases(timeline) for timeline in recorded] == [
        ["startup", "admit", "encode"],
        ["startup", "admit", "state", "queue", "encode"],
    ]


async def test_cancelled_request_ends_where_it_was_cancelled(
    models_dir: Path, recorded: list[Timeline]
) -> None:
    startup = start(models_dir)
    service = await startup.service()
    cancelled = asyncio.create_task(recommend(startup))
    while not service.limiter.in_flight:  # noqa: ASYNC110  a request has no event to wait for
        await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    assert phases(recorded[0]) == ["startup", "admit", "state", "queue"]


async def test_requests_do_not_wait_for_telemetry(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Telemetry, "attach", lambda *_: go_on.wait(30))
    startup = start(models_dir)

    try:
        async with asyncio.timeout(10):
            service = await startup.service(wait_s=60)
    finally:
        go_on.set()

    assert service.models.manifest.version == "test-1"


async def test_nobody_is_impacted_by_a_start_that_has_failed(
    models_dir: Path, recorded: list[Timeline]
) -> None:
    startup = start(models_dir / "nowhere")
    with pytest.raises(StartupFailed):
        await startup.service()
    for _ in range(3):
        await recommend(startup)

    assert [timeline.is_impacted for timeline in recorded] == [False] * 3
    assert [timeline.is_cold for timeline in recorded] == [True, False, False]


async def test_request_that_comes_during_the_warmup_is_cold(
    models_dir: Path, recorded: list[Timeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = start(models_dir)
    service = await startup.service()
    warming, go_on = asyncio.Event(), asyncio.Event()

    async def warm_up() -> None:
        warming.set()
        await go_on.wait()

    monkeypatch.setattr(service, "warm_up", warm_up)
    warmup = asyncio.create_task(startup.warm_up())
    await warming.wait()

    await recommend(startup)
    go_on.set()
    await warmup
    await recommend(startup)

    assert [timeline.is_cold for timeline in recorded] == [True, False]


async def test_batch_that_comes_first_says_that_it_met_a_cold_process(models_dir: Path) -> None:
    batch = RecommendBatchRequest(requests=[RecommendRequest(history=[10])] * 2)

    response = await respond(
        start(models_dir),
        "recommend_batch",
        lambda s, timeline: s.recommend_batch(batch, Terms(), timeline),
    )

    answers = msgspec.json.decode(response.get_body())["answers"]
    assert [answer["cold_start"] for answer in answers] == [True, True]


async def test_probes_of_a_process_that_starts_are_no_failed_requests(
    models_dir: Path, recorded: list[Timeline], release: threading.Event
) -> None:
    async def health(service: RecommendationService, timeline: object) -> Health:
        return await service.inventory.health()

    startup = start(models_dir)

    early = await respond(startup, "health_ready", health, wait_s=0)
    release.set()
    await startup.service()
    late = await respond(startup, "health_ready", health, wait_s=0)

    assert (early.status_code, late.status_code, recorded) == (503, 200, [])


async def test_user_store_that_cannot_be_opened_is_named(models_dir: Path) -> None:
    response = await recommend(start(models_dir, RECSERVE_STATE_PATH="/dev/null/state.db"))

    problem = msgspec.json.decode(response.get_body())
    assert (response.status_code, problem["title"]) == (503, "Start-up failed")
    assert "RECSERVE_STATE_PATH" in problem["detail"]


async def test_callers_are_not_told_where_files_lie(models_dir: Path) -> None:
    (models_dir / "near.onnx").unlink()

    response = await recommend(start(models_dir))

    assert str(models_dir).encode() not in response.get_body()


async def test_unforeseen_error_is_a_500_that_tells_nothing_of_the_inside(
    models_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(service: object, timeline: object) -> msgspec.Struct:
        raise KeyError("a secret")

    response = await respond(start(models_dir), "recommend", fail)

    assert response.status_code == 500
    assert b"secret" not in response.get_body()
    assert "a secret" in caplog.text
