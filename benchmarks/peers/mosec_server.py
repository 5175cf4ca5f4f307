"""Mosec: a web server in Rust, and a Python worker that it hands batches to."""

import sys
from typing import Any

import msgspec
from mosec import Server, Worker

from benchmarks.peers.scoring import ROUTE, Answer, Request, Scorer
from benchmarks.peers.settings import PeerSettings


class Recommender(Worker):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        settings = PeerSettings.read()
        self._scorer = Scorer(settings)
        self._is_batching = settings.max_batch > 1

    def deserialize(self, data: bytes) -> Any:
        return msgspec.json.decode(data)

    def serialize(self, data: Answer) -> bytes:
        return msgspec.json.encode(data)

    def forward(self, data: Any) -> Any:
        """A list of requests with batching, one without."""
        if self._is_batching:
            return self._scorer.answer(data)
        request: Request = data
        return self._scorer.answer([request])[0]


def main() -> None:
    settings = PeerSettings.read()
    sys.argv[1:] = [
        f"--port={settings.port}",
        "--address=127.0.0.1",
        "--timeout=10000",
        "--log-level=warning",
    ]
    server = Server()
    server.append_worker(
        Recommender,
        num=1,
        max_batch_size=settings.max_batch,
        max_wait_time=int(settings.max_wait_ms),
        route=ROUTE,
    )
    server.run()


if __name__ == "__main__":
    main()
