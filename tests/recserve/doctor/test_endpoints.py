import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from recserve.doctor.endpoints import Endpoint, check_endpoints, endpoints
from recserve.settings import Settings
from tests.recserve.dead_addresses import Deadness, dead_address

KEY = "c2VjcmV0"


@pytest.fixture
def refusing_server() -> Iterator[str]:
    """A server that answers every request with 403, as storage does to strangers."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_address_that_settings_lead_to_is_asked() -> None:
    settings = Settings(
        recserve_models_url="https://shop.blob.core.windows.net/models?sig=x",
        recserve_state_tables_connection_string=f"AccountName=shop;AccountKey={KEY}",
        otel_exporter_otlp_endpoint="http://collector:4318",
        applicationinsights_connection_string="InstrumentationKey=00000000-0000-0000-0000-000000000000;"
        "IngestionEndpoint=https://x.in.ai.azure.com/",
    )

    asked = endpoints(settings, {"AzureWebJobsStorage__accountName": "keys"})

    assert {endpoint.setting: endpoint.url for endpoint in asked} == {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "https://x.in.ai.azure.com",
        "AzureWebJobsStorage__accountName": "https://keys.blob.core.windows.net",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "RECSERVE_MODELS_URL": "https://shop.blob.core.windows.net/models?sig=x",
        "RECSERVE_STATE_TABLES_CONNECTION_STRING": "https://shop.table.core.windows.net",
    }


def test_settings_that_cannot_be_understood_are_not_asked() -> None:
    settings = Settings(applicationinsights_connection_string="x", recserve_models_connection_string="y")

    assert list(endpoints(settings, {"AzureWebJobsStorage": "z"})) == []


def test_server_that_refuses_is_there(refusing_server: str) -> None:
    [found] = check_endpoints([Endpoint("RECSERVE_MODELS_URL", f"{refusing_server}/models?sig=secret")])

    assert (found.level, "secret" in str(found)) == ("ok", False)


@pytest.mark.parametrize("kind", ["silent", "full", "closed"])
def test_address_that_does_not_answer_is_told_with_its_setting(kind: Deadness) -> None:
    with dead_address(kind) as address:
        [found] = check_endpoints([Endpoint("AzureWebJobsStorage", f"http://{address}")], timeout_s=0.2)

    assert (found.level, "AzureWebJobsStorage" in found.text) == ("fail", True)


def test_address_that_is_not_given_up_in_time_is_left_behind(refusing_server: str) -> None:
    with dead_address("silent") as address:
        found = check_endpoints(
            [Endpoint("A", f"http://{address}"), Endpoint("B", refusing_server)], limit_s=0.5
        )

    assert [diagnosis.level for diagnosis in found] == ["fail", "ok"]
