"""The bundle's manifest: which files it is made of, the proof of each, and how long it may answer."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recserve_edge.decision import BundleFacts
from recserve_edge.errors import InvalidBundle

FORMAT = 1
MAX_MANIFEST_BYTES = 64 * 1024
MAX_FILE_BYTES = 64 * 2**20
"A manifest that promises more is not believed."
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"Versions and file names, which become names in the cache."
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    name: str
    sha256: str
    n_bytes: int
    "Unpacked."

    def verify(self, content: bytes) -> bytes:
        """The content, if it is what the manifest promises.

        Raises:
            InvalidBundle: it is not.
        """
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256 or len(content) != self.n_bytes:
            raise InvalidBundle(
                "tampered",
                f"{self.name} is damaged: SHA-256 {found[:12]}... ({len(content)} bytes), the manifest says "
                f"{self.sha256[:12]}... ({self.n_bytes} bytes)",
            )
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleManifest:
    version: str
    served_version: str
    "Of the models that the cloud answers with."
    max_history: int
    "Newest items that the model reads."
    allow_repeats: bool
    n_items: int
    at_s: float
    "The service's clock when it said so, Unix time."
    model: BundleFile
    popular: BundleFile
    "Answers without a history."
    catalogue: BundleFile
    facts: BundleFacts
    content: bytes
    "As it came."

    def files(self) -> tuple[BundleFile, BundleFile, BundleFile]:
        return self.model, self.popular, self.catalogue


def parse_manifest(content: bytes) -> BundleManifest:
    """Understand a manifest.

    Raises:
        InvalidBundle: it is not one, or of another format; a captive portal's page among them.
    """
    try:
        sent = json.loads(content)
        if sent["format"] != FORMAT:
            raise InvalidBundle(
                "unknown_format",
                f"the manifest has format {sent['format']!r}; this client reads format {FORMAT}: update the client",
            )
        served_ndcg_10 = sent.get("served_ndcg_10")
        return BundleManifest(
            version=_name(sent["version"]),
            served_version=str(sent["served_version"]),
            max_history=_at_least(1, sent["max_history"]),
            allow_repeats=bool(sent["allow_repeats"]),
            n_items=_at_least(1, sent["n_items"]),
            at_s=datetime.fromisoformat(sent["at"]).timestamp(),
            model=_file(sent["model"]),
            popular=_file(sent["popular"]),
            catalogue=_file(sent["catalogue"]),
            facts=BundleFacts(
                ndcg_10=float(sent["model"]["ndcg_10"]),
                served_ndcg_10=None if served_ndcg_10 is None else float(served_ndcg_10),
                max_age_s=float(sent["max_age_s"]),
            ),
            content=content,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as err:
        beginning = content[:40].decode(errors="replace")
        raise InvalidBundle(
            "manifest_unavailable",
            f"the manifest cannot be read: {type(err).__name__} {err}; it begins {beginning!r}",
        ) from err


def _file(sent: Any) -> BundleFile:
    if not SHA256.fullmatch(sent["sha256"]):
        raise ValueError(f"sha256 {sent['sha256']!r}")
    n_bytes = _at_least(1, sent["bytes"])
    if n_bytes > MAX_FILE_BYTES:
        raise ValueError(f"{n_bytes} bytes, where at most {MAX_FILE_BYTES} are believed")
    return BundleFile(name=_name(sent["name"]), sha256=sent["sha256"], n_bytes=n_bytes)


def _name(sent: Any) -> str:
    if not isinstance(sent, str) or not NAME.fullmatch(sent):
        raise ValueError(f"name {sent!r}")
    return sent


def _at_least(least: int, sent: Any) -> int:
    if not isinstance(sent, int) or sent < least:
        raise ValueError(f"{sent!r}, where an integer from {least} is expected")
    return sent
