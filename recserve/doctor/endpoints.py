"""Whether what the settings name can be reached from here: asked side by side, and never for long."""

import http.client
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from recserve import connection_strings
from recserve.doctor.diagnosis import Diagnosis
from recserve.errors import InvalidSettings
from recserve.settings import Settings
from recserve.settings_check import STORAGE

TIMEOUT_S = 3.0
LIMIT_S = 5.0
SUBJECT = "endpoints"


class Endpoint(NamedTuple):
    setting: str
    url: str
    "Only its scheme, host and port are used: whoever answers anything is there."


def endpoints(settings: Settings, environ: Mapping[str, str]) -> Iterator[Endpoint]:
    """Every address that the settings lead to; what cannot be understood is left to the check of settings."""
    if account := environ.get(f"{STORAGE}__accountName"):
        yield Endpoint(
            f"{STORAGE}__accountName", f"https://{account}.blob.{connection_strings.DEFAULT_SUFFIX}"
        )
    for setting, url in {
        f"{STORAGE}__blobServiceUri": environ.get(f"{STORAGE}__blobServiceUri", ""),
        "RECSERVE_STATE_TABLES_URL": settings.recserve_state_tables_url,
        "RECSERVE_MODELS_URL": settings.recserve_models_url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": settings.otel_exporter_otlp_endpoint,
    }.items():
        if url:
            yield Endpoint(setting, url)
    for setting, text, service in (
        (STORAGE, environ.get(STORAGE, ""), "blob"),
        (
            "RECSERVE_STATE_TABLES_CONNECTION_STRING",
            settings.recserve_state_tables_connection_string,
            "table",
        ),
        ("RECSERVE_MODELS_CONNECTION_STRING", settings.recserve_models_connection_string, "blob"),
    ):
        try:
            account_urls = connection_strings.read_storage(text) if text else None
        except InvalidSettings:
            continue
        if account_urls:
            yield Endpoint(setting, account_urls.table_url if service == "table" else account_urls.blob_url)
    if connection := settings.applicationinsights_connection_string:
        try:
            url = connection_strings.read_insights(connection)
        except InvalidSettings:
            return
        yield Endpoint("APPLICATIONINSIGHTS_CONNECTION_STRING", url)


def check_endpoints(
    asked: Iterable[Endpoint], *, timeout_s: float = TIMEOUT_S, limit_s: float = LIMIT_S
) -> list[Diagnosis]:
    """Ask each endpoint for anything at all.

    Args:
        asked: where to ask.
        timeout_s: longest to connect, and longest between two words of an answer.
        limit_s: longest for all of them together, names looked up included.
    """
    found: dict[Endpoint, str] = {}
    give_up_s = time.monotonic() + limit_s

    def ask(endpoint: Endpoint) -> None:
        found[endpoint] = _fault(endpoint.url, timeout_s)

    # Daemons: a name that is looked up cannot be given up, and must not hold the interpreter's end.
    threads = {endpoint: threading.Thread(target=ask, args=(endpoint,), daemon=True) for endpoint in asked}
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, give_up_s - time.monotonic()))
    if not threads:
        return [Diagnosis("ok", SUBJECT, "none are set")]
    return [
        _diagnosis(endpoint, found.get(endpoint, f"does not answer within {limit_s:g} s"))
        for endpoint in threads
    ]


def _diagnosis(endpoint: Endpoint, fault: str) -> Diagnosis:
    host = urlsplit(endpoint.url).netloc.rpartition("@")[2]
    if not fault:
        return Diagnosis("ok", SUBJECT, f"{endpoint.setting}: {host} answers")
    return Diagnosis(
        "fail",
        SUBJECT,
        f"{endpoint.setting}: {host} {fault}; check the address and the network's rules, or pass --offline "
        "where this machine is not to reach it",
    )


def _fault(url: str, timeout_s: float) -> str:
    """What keeps a server from answering; empty: it answered something."""
    parts = urlsplit(url)
    try:
        connection = (
            http.client.HTTPSConnection(parts.netloc.rpartition("@")[2], timeout=timeout_s)
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.netloc.rpartition("@")[2], timeout=timeout_s)
        )
        try:
            connection.request("GET", "/")
            connection.getresponse()
        finally:
            connection.close()
    except TimeoutError:
        return f"does not answer within {timeout_s:g} s"
    except ssl.SSLCertVerificationError as err:
        return f"shows a certificate that cannot be trusted ({err.verify_message})"
    except (OSError, ValueError, http.client.HTTPException) as err:
        return f"cannot be reached ({getattr(err, 'strerror', None) or err or type(err).__name__})"
    return ""
