"""User ids in telemetry: the same user is the same word, and nobody can tell who."""

import hmac
import secrets
from hashlib import sha256


class Pseudonyms:
    """Keyed hashes of user ids: HMAC-SHA-256, cut to 64 bits.

    Without the key a hash cannot be looked up in a list of known ids, as that of a plain hash could.

    Args:
        key: what keys the hash; empty: drawn for this process, so that hashes agree within it only.
    """

    def __init__(self, key: str = "") -> None:
        self._key = key.encode() if key else secrets.token_bytes(32)

    def of(self, user_id: str) -> str:
        digest = hmac.new(self._key, user_id.encode("utf-8", "surrogatepass"), sha256)
        return digest.hexdigest()[:16]
