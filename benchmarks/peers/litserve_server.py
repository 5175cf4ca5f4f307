"""LitServe: FastAPI in one process, a worker in another, a queue of pickles or of ZeroMQ between them."""

from collections.abc import Sequence

import litserve

from benchmarks.peers.scoring import ROUTE, Answer, Request, Scorer
from benchmarks.peers.settings import PeerSettings


class Recommender(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self._scorer = Scorer(PeerSettings.read())

    def batch(self, inputs: Sequence[Request]) -> Sequence[Request]:
        return inputs

    def predict(self, asked: Sequence[Request] | Request) -> list[Answer] | Answer:
        """A list of requests with batching, one without."""
        if isinstance(asked, dict):
            return self._scorer.answer([asked])[0]
        return self._scorer.answer(asked)

    def unbatch(self, output: list[Answer]) -> list[Answer]:
        return output


def main() -> None:
    settings = PeerSettings.read()
    api = Recommender(
        max_batch_size=settings.max_batch, batch_timeout=settings.max_wait_ms / 1e3, api_path=ROUTE
    )
    server = litserve.LitServer(
        api, accelerator="cpu", devices=1, workers_per_device=1, fast_queue=settings.style == "zeromq"
    )
    server.run(
        host="127.0.0.1",
        port=settings.port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
