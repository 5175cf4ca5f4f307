"""Connection strings as Azure writes them: what they lead to, and what they lack.

They hold keys, so no message here repeats any part of one.
"""

import base64
import binascii
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from recserve.errors import InvalidSettings

DEVELOPMENT = "UseDevelopmentStorage=true"
"Azurite on its usual ports, to the host; the Python libraries do not know it."
DEFAULT_SUFFIX = "core.windows.net"
DEFAULT_INGESTION = "https://dc.services.visualstudio.com"
"Where telemetry goes that is told of no other place."

_INSTRUMENTATION_KEY = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class StorageAccount(NamedTuple):
    """Addresses of a storage account; empty where the string names only others."""

    blob_url: str
    table_url: str


def read_storage(text: str) -> StorageAccount:
    """The account that a connection string of a storage account leads to; nothing is asked.

    Raises:
        InvalidSettings: it leads to none.
    """
    if text.strip().rstrip(";") == DEVELOPMENT:
        return StorageAccount("http://127.0.0.1:10000", "http://127.0.0.1:10002")
    parts = _parts(text)
    name, key = parts.get("accountname", ""), parts.get("accountkey", "")
    has_signature = bool(parts.get("sharedaccesssignature"))
    if not has_signature:
        _require(parts, "AccountName", "AccountKey")
        _require_base64(key)
    urls = []
    for service in ("blob", "table"):
        endpoint = parts.get(f"{service}endpoint", "")
        if not endpoint and name:
            protocol = parts.get("defaultendpointsprotocol", "https")
            endpoint = f"{protocol}://{name}.{service}.{parts.get('endpointsuffix', DEFAULT_SUFFIX)}"
        if endpoint:
            _require_url(endpoint, f"{service.capitalize()}Endpoint")
        urls.append(endpoint)
    if not any(urls):
        raise InvalidSettings("has neither an AccountName nor an endpoint")
    return StorageAccount(*urls)


def read_insights(text: str) -> str:
    """The ingestion endpoint that a connection string of Application Insights names.

    Raises:
        InvalidSettings: telemetry cannot be sent with it.
    """
    parts = _parts(text)
    _require(parts, "InstrumentationKey")
    if not _INSTRUMENTATION_KEY.fullmatch(parts["instrumentationkey"]):
        raise InvalidSettings("has an InstrumentationKey that is no GUID")
    endpoint = parts.get("ingestionendpoint", DEFAULT_INGESTION)
    _require_url(endpoint, "IngestionEndpoint")
    return endpoint.rstrip("/")


def _parts(text: str) -> dict[str, str]:
    """Values by key in lower case."""
    parts: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        key, found, value = part.partition("=")
        if not found:
            raise InvalidSettings(
                "is no connection string, which is made of Key=Value with semicolons between"
            )
        parts[key.strip().lower()] = value.strip()
    return parts


def _require(parts: dict[str, str], *names: str) -> None:
    if missing := [name for name in names if not parts.get(name.lower())]:
        raise InvalidSettings(f"lacks {' and '.join(missing)}")


def _require_base64(key: str) -> None:
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSettings("has an AccountKey that is not base64, perhaps cut off") from None


def _require_url(endpoint: str, name: str) -> None:
    try:
        url = urlsplit(endpoint)
        is_address = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise InvalidSettings(f"has an {name} that is no http:// or https:// address")
