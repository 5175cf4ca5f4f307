"""What one connection is sent, and what is drawn from for it."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["answer", "maybe", "leave", "reset"]
"""What the sender does when all is sent: waits for the answers that are due; waits a moment and ends its side, since
the server may rightly wait for more; closes; closes with a reset."""

QUESTION = {"history": [260, 1196, 1210], "k": 5}
GOOD_BODIES: Mapping[str, object] = {
    "recommend": QUESTION,
    "recommend/batch": {"requests": [QUESTION, {"user_id": "ana", "k": 3}]},
    "events": {"events": [{"event_id": "e", "user_id": "ana", "item_id": 1, "kind": "view"}]},
    "models/reload": {},
}
GETS = ("popular?k=5", "recommend/ana?k=5", "items?query=toy", "items/260/similar?k=3", "users/ana", "models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Bytes for one connection."""

    kind: str
    parts: Sequence[bytes]
    "Sent one after the other."
    n_requests: int = 1
    "Requests in them, where that can be said."
    ending: Ending = "answer"
    pause_s: float = 0.0
    "Between parts."
    has_body: bool = True
    "False for an answer to HEAD."


@dataclass(frozen=True, slots=True)
class Draw:
    """What the kinds draw from."""

    rng: random.Random
    key: str

    def head(self, method: str, target: str, *headers: str) -> bytes:
        """A request's head with host and, mostly, key; ends with its empty line."""
        own = ["host: localhost"]
        if self.rng.random() < 0.9:
            own.append(f"x-functions-key: {self.key}")
        lines = [f"{method} {target} HTTP/1.1", *own, *headers, "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogatepass")

    def post(self, body: bytes, *headers: str, to: str = "") -> bytes:
        """A POST with a right length."""
        target = f"/api/{to or self.rng.choice([*GOOD_BODIES])}"
        wanted = ("content-type: application/json", f"content-length: {len(body)}", *headers)
        return self.head("POST", target, *wanted) + body

    def good(self) -> bytes:
        """A request without fault."""
        if self.rng.random() < 0.4:
            return self.head("GET", f"/api/{self.rng.choice(GETS)}")
        to = self.rng.choice([*GOOD_BODIES])
        return self.post(json.dumps(GOOD_BODIES[to]).encode(), to=to)

    def spoil(self, data: bytes) -> bytes:
        """Bytes changed, left out, doubled or put in."""
        spoilt = bytearray(data)
        for _ in range(self.rng.choice((1, 1, 2, 4, 16))):
            at = self.rng.randrange(len(spoilt) + 1)
            match self.rng.randrange(4):
                case 0:
                    spoilt[at : at + 1] = self.rng.randbytes(1)
                case 1:
                    del spoilt[at : at + self.rng.randrange(1, 9)]
                case 2:
                    spoilt[at:at] = self.rng.randbytes(self.rng.randrange(1, 9))
                case _:
                    spoilt[at:at] = spoilt[at : at + 32]
        return bytes(spoilt)
