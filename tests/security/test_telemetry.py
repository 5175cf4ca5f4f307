"""Neither secrets nor ids of users leave the process: in logs, in telemetry, in answers to anybody else."""

import time
from pathlib import Path

import pytest

from benchmarks.ingestion import ingesting
from recserve.http_io import respond
from recserve.schemas import Health
from recserve.service import RecommendationService
from recserve.startup import Startup
from recserve.telemetry import names
from recserve.telemetry.pseudonyms import Pseudonyms
from recserve.telemetry.timeline import Timeline
from tests.recserve.telemetry.serving import RECOMMEND, serve
from tests.security.conftest import CANARIES, SAS, SECRETS, LiveApp, in_base64

USERS = [f"canary-user-{n}-77ab@example.com" for n in range(6)]
LAST = "the last user"
WAIT_S = 60.0


@pytest.fixture(scope="module")
def provoked(live: LiveApp) -> LiveApp:
    """The app after everything that we know to go wrong, each with ids of users, and after what goes right."""
    in_path, in_body, in_batch, in_events, in_query, in_errors = USERS
    event = {"event_id": "e-1", "user_id": in_events, "item_id": 10, "kind": "click"}
    live.ask("GET", f"/api/recommend/{in_path}")
    live.ask("GET", f"/api/recommend/{in_path}?k=0")
    live.ask("POST", "/api/recommend", json={"user_id": in_body, "history": [10]})
    live.ask("POST", "/api/recommend", json={"user_id": in_body, "history": [{}]})
    live.ask("POST", "/api/recommend/batch", json={"requests": [{"user_id": in_batch}] * 3})
    live.ask("POST", "/api/recommend/batch", json={"requests": [{"user_id": in_batch, "k": 0}]})
    live.ask("POST", "/api/events", json={"events": [event]})
    live.ask("POST", "/api/events", json={"events": [event | {"kind": in_errors}]})
    for method in ("GET", "DELETE"):
        live.ask(method, f"/api/users/{in_path}")
        live.ask(method, "/api/users", params={"user_id": in_query})
        live.ask(method, f"/api/users/{in_path}%2Fsub")
        live.ask(method, "/api/users", params={"user_id": in_query, "user": in_errors})
    live.ask("POST", f"/api/recommend?user_id={in_query}", json={"history": [10]})
    live.ask("POST", "/api/recommend", json={"user_id": in_errors * 20})
    live.ask(
        "POST",
        "/api/recommend",
        content=f'{{"user_id": "{in_errors}"',
        headers={"content-type": "text/plain"},
    )
    live.ask("POST", "/api/recommend", content=f'{{"user_id": "{in_errors}"')
    live.ask("GET", "/api/popular", headers={"x-recserve-deadline-ms": in_errors, "traceparent": in_errors})
    master = {"x-functions-key": live.keys["master"]}
    live.ask("POST", "/api/models/reload", headers=master, json={"force": True})
    live.ask("GET", "/api/models")
    live.ask("GET", "/api/health/ready")
    # A key in the query, where it works and where it does not; and one that is wrong.
    live.ask_as_given("GET", "/api/popular", params={"code": live.keys["popular"]})
    live.ask_as_given("GET", "/api/popular", params={"code": live.keys["popular"], "k": "0"})
    live.ask_as_given("GET", "/api/items", params={"code": live.keys["popular"]})
    live.ask("POST", "/api/recommend", json={"user_id": LAST})
    wait_for(live, "AppDependencies", Pseudonyms(CANARIES["user-key"]).of(LAST))
    wait_for(live, "AppMetrics", names.IN_FLIGHT_NOW)
    return live


def wait_for(live: LiveApp, table: str, text: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while text not in str(live.insights.rows(table)):
        assert time.monotonic() < deadline_s, f"{text} never came to telemetry"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def records(provoked: LiveApp) -> str:
    return provoked.records()


def test_users_are_told_apart_in_telemetry(records: str) -> None:
    pseudonyms = Pseudonyms(CANARIES["user-key"])

    assert [user for user in USERS[:2] if pseudonyms.of(user) not in records] == []


def test_no_id_of_a_user_is_in_any_record_of_telemetry(records: str) -> None:
    assert [user for user in USERS if user in records or user.partition("@")[0] in records] == []


def test_no_id_of_a_user_is_in_the_log(provoked: LiveApp) -> None:
    assert [user for user in USERS if user.partition("@")[0] in provoked.host.log] == []


def test_no_secret_is_in_any_record_of_telemetry(provoked: LiveApp, records: str) -> None:
    assert [secret for secret in SECRETS | {*provoked.keys.values()} if secret in records] == []


def test_no_secret_is_in_the_log(provoked: LiveApp) -> None:
    log = provoked.host.log

    assert "canary" not in log
    assert [secret for secret in SECRETS | {*provoked.keys.values()} if secret in log] == []


def test_no_secret_is_in_any_answer(provoked: LiveApp) -> None:
    answers = "\n".join(provoked.answers)

    assert len(provoked.answers) > 25
    assert [secret for secret in SECRETS | {*provoked.keys.values()} if secret in answers] == []


@pytest.mark.parametrize(
    "environ",
    [
        {"RECSERVE_MODELS_URL": f"https://shop.blob.core.windows.net/?sig={CANARIES['sas']}"},
        {"RECSERVE_MODELS_URL": f"https://someone:{CANARIES['sas']}@shop?sig={CANARIES['sas']}:x"},
        {"RECSERVE_MODELS_URL": f"https://[/models?sig={CANARIES['sas']}"},
        {"RECSERVE_MODELS_CONNECTION_STRING": f"AccountName=shop;AccountKey={CANARIES['table-key']}"},
        {"RECSERVE_STATE_TABLES_CONNECTION_STRING": f"AccountKey={in_base64('table-key')}"},
        {"RECSERVE_STATE_TABLES_CONNECTION_STRING": CANARIES["table-key"]},
        {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={CANARIES['app-key']}"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://someone:{CANARIES['otlp-header']}@127.0.0.1:9"},
    ],
    ids=lambda environ: next(iter(environ)),
)
async def test_secret_that_is_wrongly_written_is_not_repeated(
    environ: dict[str, str], models_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    startup = Startup(
        {"RECSERVE_MODELS_DIR": str(models_dir), "RECSERVE_STATE_PATH": str(tmp_path / "state.db")} | environ
    )

    async def ready(service: RecommendationService, _: Timeline) -> Health:
        return await service.inventory.health()

    await respond(startup, "recommend", ready)
    answer = await respond(startup, "health_ready", ready, wait_s=0)
    startup.close()

    assert next(iter(environ)) in caplog.text
    assert "canary" not in caplog.text + answer.get_body().decode()
    assert in_base64("table-key") not in caplog.text + answer.get_body().decode()


def test_no_secret_is_in_the_log_of_a_process_that_logs_everything(
    repository: Path, tmp_path: Path, storage: str
) -> None:
    """As an operator has it who looks for a fault: level DEBUG, and storage that refuses."""
    event = {"event_id": "e", "user_id": USERS[0], "item_id": 10, "kind": "click"}
    served = serve(
        repository,
        tmp_path,
        RECOMMEND,
        ("recommend", {"method": "POST", "json_body": {"user_id": USERS[0]}}),
        ("events", {"method": "POST", "json_body": {"events": [event]}}),
        ("reload_models", {"method": "POST", "json_body": {}}),
        RECSERVE_MODELS_URL=f"{storage}/models?{SAS}",
        RECSERVE_MODELS_CACHE=str(tmp_path / "cache"),
        RECSERVE_OUTBOX_PATH=str(tmp_path / "outbox.db"),
        RECSERVE_STATE_TABLES_CONNECTION_STRING=(
            f"AccountName=shop;AccountKey={in_base64('table-key')};TableEndpoint={storage}/shop"
        ),
        RECSERVE_USER_KEY=CANARIES["user-key"],
        APPLICATIONINSIGHTS_CONNECTION_STRING=(
            f"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint={storage}/"
        ),
        OTEL_EXPORTER_OTLP_ENDPOINT=storage,
        OTEL_EXPORTER_OTLP_HEADERS=f"api-key={CANARIES['otlp-header']}",
    )

    assert "DEBUG:" in served.stderr
    assert [secret for secret in SECRETS if secret in served.stdout + served.stderr] == []
    assert USERS[0] not in served.stdout + served.stderr


def test_what_waits_on_disk_is_its_owner_s_and_names_nobody(repository: Path, tmp_path: Path) -> None:
    with ingesting() as endpoint:
        endpoint.status = 503
        serve(
            repository,
            tmp_path,
            ("recommend", {"method": "POST", "json_body": {"user_id": USERS[0]}}),
            APPLICATIONINSIGHTS_CONNECTION_STRING=endpoint.connection_string,
            RECSERVE_SPOOL_DIR=str(tmp_path / "spool"),
        )
    spooled = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]

    assert spooled
    assert [path for path in spooled if path.stat().st_mode & 0o077] == []
    assert [path for path in spooled if USERS[0].encode() in path.read_bytes()] == []
    assert Pseudonyms("a key").of(USERS[0]).encode() in b"".join(path.read_bytes() for path in spooled)
