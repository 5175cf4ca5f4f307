"""Whom the load is for: a service by the URL of its API."""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECT_LIMIT_S = 5.0


class LoadError(ValueError):
    """A load that cannot be run; the message names value and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    url: str
    "Of the API, as it was given."
    address: str
    "Looked up once, so that no connection waits for a name."
    port: int
    host: str
    "For the `host` header."
    path: str
    "Prefix of all routes, without a slash at its end."
    tls: str | None
    "Server name, where HTTPS is spoken."


def find_target(url: str) -> Target:
    """Take a URL apart, look its name up, and see that somebody listens there.

    Nothing is asked of the service: a request could be the one that starts an instance.

    Raises:
        LoadError: it is no URL of HTTP, or nobody listens there.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        name = parts.hostname or ""
        if not name:
            raise ValueError("no host")
    except (KeyError, ValueError) as err:
        raise LoadError(f"--url {url!r} is no address; send one like http://127.0.0.1:7071/api") from err
    try:
        with socket.create_connection((name, port), timeout=CONNECT_LIMIT_S) as connection:
            address = str(connection.getpeername()[0])
    except OSError as err:
        raise LoadError(
            f"nobody answers at {url}: {err.strerror or err}; start the service (make run), or name another --url"
        ) from err
    return Target(
        url=url,
        address=address,
        port=port,
        host=parts.netloc.rpartition("@")[2],
        path=parts.path.rstrip("/"),
        tls=name if parts.scheme == "https" else None,
    )
