"""What devices are handed, asked as the functions ask, from a bundle of six films."""

import gzip
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from recserve.edge.bundle import read_bundle
from recserve.errors import BundleUnavailable
from recserve.http_io import read_known, read_params, respond
from recserve.schemas import EdgeFileRequest
from recserve.startup import Startup
from tests.recserve.conftest import http_request, read, write_models

Ask = Callable[..., Any]
PAGE = b"<!doctype html><title>Demo</title>"


@pytest.fixture
def edge_dir(tmp_path: Path) -> Path:
    bundle = write_models(tmp_path / "edge")
    (bundle / "web").mkdir()
    for name, content in {
        "demo.html": PAGE,
        "demo.js": b"export {};",
        "ort.wasm": b"\0asm" * 100,
        "sw.js": b"",
        "notes.txt": b"private",
    }.items():
        (bundle / "web" / name).write_bytes(content)
    (bundle / "web" / "passwd.js").symlink_to("/etc/passwd")
    return bundle


@pytest.fixture
def startup(models_dir: Path, edge_dir: Path, tmp_path: Path) -> Startup:
    return start(models_dir, edge_dir, tmp_path)


def start(models_dir: Path, edge_dir: Path, tmp_path: Path, **settings: str) -> Startup:
    environ = {
        "RECSERVE_MODELS_DIR": str(models_dir),
        "RECSERVE_STATE_PATH": str(tmp_path / "state.db"),
        "RECSERVE_EDGE": "public",
        "RECSERVE_EDGE_DIR": str(edge_dir),
    }
    return Startup(environ | settings)


async def manifest(startup: Startup, **headers: str) -> func.HttpResponse:
    req = http_request(headers=headers)
    return await respond(startup, "edge_manifest", lambda s, t: s.edge_manifest(read_known(req), t), req)


async def file(startup: Startup, name: str, **headers: str) -> func.HttpResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    req = http_request(route={"name": name}, headers=sent)
    return await respond(
        startup,
        "edge_file",
        lambda s, t: s.edge_file(read_params(req, EdgeFileRequest), read_known(req), t),
        req,
    )


async def demo(startup: Startup) -> func.HttpResponse:
    req = http_request()
    return await respond(startup, "edge_demo", lambda s, t: s.edge_demo(read_known(req), t), req)


async def test_manifest_names_files_that_have_the_digests_it_promises(startup: Startup) -> None:
    told = read(await manifest(startup))

    assert told["format"] == 1
    assert (told["served_version"], told["served_ndcg_10"]) == ("test-1", 0.3)
    assert (told["n_items"], told["max_history"], told["allow_repeats"]) == (6, 4, False)
    assert told["max_age_s"] == 168 * 3600
    for part in ("model", "popular", "catalogue"):
        described = told[part]
        content = (await file(startup, described["name"])).get_body()
        assert hashlib.sha256(content).hexdigest() == described["sha256"]
        assert len(content) == described["bytes"]
        assert described["sha256"][:12] in described["name"]


async def test_model_is_the_first_rung_and_popular_the_last(startup: Startup) -> None:
    told = read(await manifest(startup))

    assert (told["model"]["variant"], told["popular"]["variant"]) == ("near", "popular")


async def test_manifest_that_a_device_knows_is_not_sent_again_though_time_goes_on(startup: Startup) -> None:
    first = await manifest(startup)
    second = await manifest(startup, **{"if-none-match": first.headers["etag"]})

    assert (second.status_code, second.get_body()) == (304, b"")
    assert second.headers["etag"] == first.headers["etag"]
    assert read(first)["at"]


async def test_files_of_the_bundle_are_kept_for_ever_and_those_of_the_page_asked_for_again(
    startup: Startup,
) -> None:
    name = read(await manifest(startup))["model"]["name"]

    assert (await file(startup, name)).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await file(startup, "demo.js")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("*", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("br", False),
        ("identity, *;q=0", False),
        ("gzip;q=never", False),
        ("", False),
    ],
)
async def test_file_is_compressed_for_whoever_takes_it_so(
    startup: Startup, edge_dir: Path, accepted: str, is_compressed: bool
) -> None:
    response = await file(startup, "ort.wasm", accept_encoding=accepted)

    body = response.get_body()
    assert (response.headers.get("content-encoding") == "gzip") is is_compressed
    assert (gzip.decompress(body) if is_compressed else body) == (edge_dir / "web/ort.wasm").read_bytes()
    assert response.headers["vary"] == "accept-encoding"
    assert response.mimetype == "application/wasm"


async def test_compressed_bytes_are_as_many_as_the_manifest_says(startup: Startup) -> None:
    catalogue = read(await manifest(startup))["catalogue"]

    response = await file(startup, catalogue["name"], accept_encoding="gzip")

    assert len(response.get_body()) == catalogue["wire_bytes"] < catalogue["bytes"]


@pytest.mark.parametrize("known", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
async def test_file_that_a_caller_has_is_not_sent_again(startup: Startup, known: str) -> None:
    model = read(await manifest(startup))["model"]

    response = await file(startup, model["name"], if_none_match=known.format(model["sha256"]))

    assert (response.status_code, response.get_body()) == (304, b"")
    assert response.headers["etag"] == f'"{model["sha256"]}"'


@pytest.mark.parametrize(
    "name",
    [
        "near.onnx",
        "manifest.json",
        "../manifest.json",
        "web/demo.js",
        "..",
        "demo.html",
        "notes.txt",
        "passwd.js",
        "model-000000000000.onnx",
        "\0",
    ],
)
async def test_name_that_is_not_in_the_table_is_not_found(startup: Startup, name: str) -> None:
    response = await file(startup, name)

    problem = read(response)
    assert (response.status_code, problem["field"], problem["value"]) == (404, "name", name)
    assert "GET /api/edge/manifest" in problem["detail"]


async def test_page_may_run_nothing_but_its_own_scripts(startup: Startup) -> None:
    response = await demo(startup)

    policy = response.headers["content-security-policy"]
    assert (response.get_body(), response.mimetype) == (PAGE, "text/html")
    assert "default-src 'none'" in policy
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "unsafe-inline" not in policy


async def test_service_worker_may_fetch_and_reaches_the_page_above_it(startup: Startup) -> None:
    headers = (await file(startup, "sw.js")).headers

    assert headers["service-worker-allowed"] == "../"
    assert "connect-src 'self'" in headers["content-security-policy"]


async def test_without_a_page_it_says_how_to_get_one(
    models_dir: Path, edge_dir: Path, tmp_path: Path
) -> None:
    shutil.rmtree(edge_dir / "web")

    response = await demo(start(models_dir, edge_dir, tmp_path))

    assert response.status_code == 200
    assert b"make edge" in response.get_body()


async def test_turned_off_nothing_is_offered_and_the_answer_names_the_setting(
    models_dir: Path, edge_dir: Path, tmp_path: Path
) -> None:
    startup = start(models_dir, edge_dir, tmp_path, RECSERVE_EDGE="off")

    answers = [await manifest(startup), await file(startup, "demo.js"), await demo(startup)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert all("RECSERVE_EDGE" in read(answer)["detail"] for answer in answers)


async def test_missing_bundle_is_no_reason_not_to_recommend(models_dir: Path, tmp_path: Path) -> None:
    startup = start(models_dir, tmp_path / "nowhere", tmp_path)

    response = await manifest(startup)

    assert response.status_code == 503
    assert "python -m training edge" in read(response)["detail"]
    assert (await startup.service()).models.manifest.version == "test-1"


async def test_damaged_bundle_is_not_handed_out(startup: Startup, edge_dir: Path) -> None:
    damage(edge_dir / "near.onnx")

    response = await manifest(startup)

    assert response.status_code == 503
    assert "near.onnx of the bundle is not what it was" in read(response)["detail"]


async def test_bundle_that_comes_late_is_found(models_dir: Path, edge_dir: Path, tmp_path: Path) -> None:
    startup = start(models_dir, tmp_path / "later", tmp_path)
    before = await manifest(startup)

    shutil.copytree(edge_dir, tmp_path / "later")

    assert (before.status_code, (await manifest(startup)).status_code) == (503, 200)


async def test_file_that_was_replaced_after_it_was_read_is_not_handed_out(
    startup: Startup, edge_dir: Path
) -> None:
    name = read(await manifest(startup))["model"]["name"]
    damage(edge_dir / "near.onnx")

    response = await file(startup, name)

    assert response.status_code == 503
    assert "is not what it was" in read(response)["detail"]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_bundle_whose_names_lead_elsewhere_is_refused(edge_dir: Path) -> None:
    text = (edge_dir / "manifest.json").read_text()
    (edge_dir / "manifest.json").write_text(text.replace('"near.onnx"', '"../near.onnx"'))

    with pytest.raises(BundleUnavailable, match="directly in the models directory"):
        read_bundle(edge_dir)


def test_same_bundle_is_the_same_bytes_on_every_instance(edge_dir: Path) -> None:
    first, second = read_bundle(edge_dir), read_bundle(edge_dir)
    os.utime(edge_dir / "near.onnx", (0, 0))

    assert first.model.gzipped() == second.model.gzipped() == read_bundle(edge_dir).model.gzipped()
