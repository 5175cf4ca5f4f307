"""What a peer's server is told, as one environment variable. No imports but the standard library's."""

import json
import os
from dataclasses import asdict, dataclass

VARIABLE = "RECSERVE_PEER"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    port: int
    model: str
    "Path of the ONNX graph."
    catalogue: str
    "Path of the catalogue that came with it."
    max_history: int
    "Newest items of a history that the graph reads."
    max_batch: int = 1
    "Largest micro-batch; 1 turns batching off."
    max_wait_ms: float = 0.0
    "Longest a request waits for companions."
    style: str = ""
    "Which of the peer's own ways to serve."

    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def read(cls) -> "PeerSettings":
        return cls(**json.loads(os.environ[VARIABLE]))
