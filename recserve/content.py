"""Bytes that are sent as they are: whole, compressed, or not at all to whoever has them."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec


class Known(NamedTuple):
    """What a caller says of content in a request's headers."""

    etags: frozenset[str] = frozenset()
    "Validators of what the caller has, without the `W/` of weak ones."
    takes_gzip: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Known":
        return cls(
            frozenset(_weak(etag) for etag in headers.get("if-none-match", "").split(",") if etag.strip()),
            _takes_gzip(headers.get("accept-encoding", "")),
        )

    def has(self, etag: str) -> bool:
        """Whether the caller has content of this validator (RFC 9110, weak comparison)."""
        return bool(etag) and (_weak(etag) in self.etags or "*" in self.etags)


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is no JSON of ours; empty where the caller has it."""

    body: bytes
    media_type: str
    is_unchanged: bool = False
    "The caller has it; the body is empty."
    headers: Mapping[str, str] = {}


def _weak(etag: str) -> str:
    return etag.strip().removeprefix("W/")


def _takes_gzip(accepted: str) -> bool:
    """Whether `Accept-Encoding` allows gzip, by name or by `*`, with a weight above 0."""
    weights = {}
    for part in accepted.lower().split(","):
        coding, _, parameter = part.partition(";")
        weights[coding.strip()] = parameter.replace(" ", "").removeprefix("q=") or "1"
    weight = weights.get("gzip", weights.get("*", "0"))
    try:
        return float(weight) > 0
    except ValueError:
        return False
