"""Who asks: what tells callers apart, from what the platform vouches for.

In this order, since each is harder to have many of than the next:

- the principal that App Service signed in. Its header is believed only where the platform says that it
  signs callers in: without that, App Service hands on what a caller wrote there;
- the function key. The host has checked it before a function of level `function` or `admin` runs, and takes
  the first of several, the header's before the query's: so does this, or a caller with one key could be a
  thousand. Of an anonymous function nobody checks it, and it counts for nothing;
- the address that the front end appended to `x-forwarded-for`: the last, without its port. Whatever stands
  before it, the caller may have written. One IPv6 subscriber commands a /64 at least, which counts as one.
"""

import os
import socket
from collections.abc import Mapping
from hashlib import blake2b

PRINCIPAL_HEADER = "x-ms-client-principal-id"
KEY_HEADER, KEY_PARAMETER = "x-functions-key", "code"
FORWARDED_HEADER = "x-forwarded-for"

_SECRET = os.urandom(16)
"Of this process: what is kept of a caller is of no use to whoever reads the memory."
_MAPPED = bytes(10) + b"\xff\xff"
"Before an IPv4 address that is written as an IPv6 one."


def name_caller(
    headers: Mapping[str, str], query: Mapping[str, str], *, is_signed_in: bool, is_key_checked: bool = True
) -> bytes:
    """A name of 16 bytes for the caller of a request; who cannot be told apart shares one.

    Args:
        headers: names in lower case, repeated ones joined by commas, as the worker gets them.
        query: likewise.
        is_signed_in: App Service authentication is on, and removes what a caller writes into its headers.
        is_key_checked: the host has let the request in for its function key.
    """
    if is_signed_in and (principal := headers.get(PRINCIPAL_HEADER)):
        return _digest(b"principal", principal.encode("utf-8", "surrogatepass"))
    key = headers.get(KEY_HEADER)
    if key is None:
        key = query.get(KEY_PARAMETER, "")
    if key and is_key_checked:
        return _digest(b"key", key.partition(",")[0].strip().encode("utf-8", "surrogatepass"))
    return _digest(b"address", read_address(headers.get(FORWARDED_HEADER, "").rpartition(",")[2].strip()))


def read_address(text: str) -> bytes:
    """The bytes of an IPv4 address, or of an IPv6 /64, with a port or without; empty for anything else."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        if ":" not in host:
            return socket.inet_pton(socket.AF_INET, host)
        address = socket.inet_pton(socket.AF_INET6, host)
    except (OSError, ValueError):
        return b""
    return address[12:] if address.startswith(_MAPPED) else address[:8]


def _digest(kind: bytes, name: bytes) -> bytes:
    return blake2b(name, digest_size=16, key=_SECRET, person=kind).digest()
