"""How a process starts, and how it fails to."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from azure.functions import HttpResponse

from recserve.admission.terms import Terms
from recserve.errors import StartupFailed
from recserve.http_io import read_json, respond
from recserve.schemas import RecommendRequest
from recserve.startup import Startup
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


async def test_time_that_a_failing_request_took_is_recorded(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = start(models_dir)
    recorded: list[Timeline] = []
    monkeypatch.setattr(startup, "record", recorded.append)

    async def fail(service: object, timeline: Timeline) -> msgspec.Struct:
        timeline.mark("admit")
        raise ValueError("late")

    response = await respond(startup, "recommend", fail)

    failed = recorded[-1]
    assert [phase for phase, _, _ in failed.phases()] == ["startup", "admit", "encode"]
    assert failed.attributes["recserve.status_code"] == 500
    assert response.headers["server-timing"].count("dur=") == 3


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
