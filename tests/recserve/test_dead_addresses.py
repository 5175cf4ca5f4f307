"""Whatever the settings name may be dead: the process gets ready and answers as if it were not needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recserve.dead_addresses import Deadness, dead_address

KEY = "c2VjcmV0"
LIMIT_S = 10.0
"What the platform gives a start; a single wait for one of the addresses would take half of it."
START_AND_ASK = f"""
import asyncio, os, time
from azure.functions import HttpRequest
import function_app as app
from recserve.http_io import read_json, read_terms, respond
from recserve.schemas import RecommendRequest

def recommend(service, timeline):
    return service.recommend(read_json(request, RecommendRequest), read_terms(request), timeline)

body = b'{{"user_id": "ana", "history": [260], "k": 3}}'
request = HttpRequest("POST", "/api/recommend", headers={{"content-type": "application/json"}}, body=body)

async def main():
    await app.startup.service(wait_s={LIMIT_S})
    response = await respond(app.startup, "recommend", recommend, request)
    print(response.get_body().decode(), flush=True)
    os._exit(0)  # how a process ends is another matter

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["silent", "full", "closed"])
def test_process_starts_and_recommends_while_no_address_of_its_settings_answers(
    kind: Deadness, repository: Path, tmp_path: Path
) -> None:
    with dead_address(kind) as address:
        account = (
            f"AccountName=shop;AccountKey={KEY};BlobEndpoint=http://{address};TableEndpoint=http://{address}"
        )
        insights = (
            f"InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=http://{address}"
        )
        environ = {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": insights,
            "AzureWebJobsStorage": account,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
            "RECSERVE_MODELS_CACHE": str(tmp_path / "models"),
            "RECSERVE_MODELS_CONNECTION_STRING": account,
            "RECSERVE_OUTBOX_PATH": str(tmp_path / "outbox.db"),
            "RECSERVE_SPOOL_DIR": str(tmp_path / "spool"),
            "RECSERVE_STATE_TABLES_CONNECTION_STRING": account,
            "TMPDIR": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-c", START_AND_ASK],
            cwd=repository,
            env=os.environ | environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=3 * LIMIT_S,
        )

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (len(answer["items"]), answer["basis"], answer["degraded"]) == (
        3,
        "history",
        ["state_unavailable"],
    )


@pytest.mark.parametrize(
    "value", ["", "nonsense", "AccountName=shop", f"AccountName=nowhere;AccountKey={KEY}"], ids=repr
)
def test_process_starts_whatever_the_storage_of_the_host_is(
    value: str, repository: Path, tmp_path: Path
) -> None:
    environ = {"AzureWebJobsStorage": value, "RECSERVE_STATE_PATH": str(tmp_path / "state.db")}
    done = subprocess.run(
        [sys.executable, "-c", START_AND_ASK],
        cwd=repository,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * LIMIT_S,
    )

    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["items"]) == 3
