"""How a process starts, and how it fails to."""

from pathlib import Path

import msgspec
import pytest
from azure.functions import HttpResponse

from recserve.bootstrap import Startup
from recserve.errors import ModelNotReady
from recserve.http_io import read_json, respond
from recserve.schemas import RecommendRequest
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
        startup, "recommend", lambda s, timeline: s.recommend(read_json(request, RecommendRequest), timeline)
    )


async def test_request_that_comes_first_waits_for_the_models(models_dir: Path) -> None:
    response = await recommend(start(models_dir))

    assert response.status_code == 200
    assert msgspec.json.decode(response.get_body())["cold_start"] is True


async def test_only_the_first_request_is_cold(models_dir: Path) -> None:
    startup = start(models_dir)

    cold = [msgspec.json.decode((await recommend(startup)).get_body())["cold_start"] for _ in range(3)]

    assert cold == [True, False, False]


async def test_request_after_the_warmup_is_not_cold(models_dir: Path) -> None:
    startup = start(models_dir)
    await (await startup.service()).warm_up()

    response = await recommend(startup)

    assert msgspec.json.decode(response.get_body())["cold_start"] is False


async def test_damaged_model_is_never_served_and_readiness_says_why(models_dir: Path) -> None:
    path = models_dir / "near.onnx"
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    startup = start(models_dir)

    response = await recommend(startup)

    assert response.status_code == 503
    assert "near.onnx is damaged" in msgspec.json.decode(response.get_body())["detail"]
    with pytest.raises(ModelNotReady, match=r"near\.onnx is damaged"):
        await startup.service(wait_s=0)


async def test_missing_models_say_what_to_do(models_dir: Path) -> None:
    response = await recommend(start(models_dir / "nowhere"))

    assert response.status_code == 503
    assert "python -m training" in msgspec.json.decode(response.get_body())["detail"]


async def test_bad_settings_are_all_named(models_dir: Path) -> None:
    startup = start(models_dir, RECSERVE_MAX_BATCH="0", RECSERVE_INFERENCE_THREADS="many")

    with pytest.raises(ModelNotReady, match=r"RECSERVE_INFERENCE_THREADS='many'.*RECSERVE_MAX_BATCH='0'"):
        await startup.service()


async def test_full_process_answers_429_and_says_when_to_come_back(models_dir: Path) -> None:
    startup = start(models_dir, RECSERVE_MAX_IN_FLIGHT="1")
    service = await startup.service()

    with service.limiter.acquire():
        refused = await recommend(startup)
    admitted = await recommend(startup)

    assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (429, True)
    assert admitted.status_code == 200


async def test_pressure_turns_to_the_cheaper_variant_before_it_refuses(models_dir: Path) -> None:
    startup = start(models_dir, RECSERVE_MAX_IN_FLIGHT="2", RECSERVE_BROWNOUT_AT="0.9")
    service = await startup.service()

    with service.limiter.acquire():
        pressed = await recommend(startup)
    relaxed = await recommend(startup)

    variants = [msgspec.json.decode(r.get_body())["model"]["variant"] for r in (pressed, relaxed)]
    assert variants == ["popular", "near"]


async def test_unforeseen_error_is_a_500_that_tells_nothing_of_the_inside(
    models_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(service: object, timeline: object) -> msgspec.Struct:
        raise KeyError("a secret")

    response = await respond(start(models_dir), "recommend", fail)

    assert response.status_code == 500
    assert b"secret" not in response.get_body()
    assert "a secret" in caplog.text
