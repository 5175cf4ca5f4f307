"""BentoML: one service, one worker; with its batching an endpoint takes a list of requests."""

import bentoml

from benchmarks.peers.scoring import ROUTE, Answer, Request, Scorer
from benchmarks.peers.settings import PeerSettings

SETTINGS = PeerSettings.read()
QUIET = {
    "workers": 1,
    "logging": {"access": {"enabled": False}},
    "metrics": {"enabled": False},
    "traffic": {"timeout": 10},
}

if SETTINGS.style == "batches":

    @bentoml.service(**QUIET)
    class Recommender:
        def __init__(self) -> None:
            self._scorer = Scorer(SETTINGS)

        @bentoml.api(  # type: ignore[untyped-decorator]
            route=ROUTE,
            batchable=True,
            max_batch_size=SETTINGS.max_batch,
            max_latency_ms=10_000,
        )
        async def recommend(self, requests: list[dict]) -> list[dict]:  # type: ignore[type-arg]
            return self._scorer.answer(requests)  # type: ignore[return-value, arg-type]

elif SETTINGS.style == "threads":

    @bentoml.service(**QUIET)
    class Recommender:  # type: ignore[no-redef]
        def __init__(self) -> None:
            self._scorer = Scorer(SETTINGS)

        @bentoml.api(route=ROUTE)  # type: ignore[untyped-decorator]
        def recommend(self, user_id: str, history: list[int | str], k: int) -> dict:  # type: ignore[type-arg]
            return _answer(self._scorer, user_id, history, k)  # type: ignore[return-value]

else:

    @bentoml.service(**QUIET)
    class Recommender:  # type: ignore[no-redef]
        def __init__(self) -> None:
            self._scorer = Scorer(SETTINGS)

        @bentoml.api(route=ROUTE)  # type: ignore[untyped-decorator]
        async def recommend(self, user_id: str, history: list[int | str], k: int) -> dict:  # type: ignore[type-arg]
            return _answer(self._scorer, user_id, history, k)  # type: ignore[return-value]


def _answer(scorer: Scorer, user_id: str, history: list[int | str], k: int) -> Answer:
    return scorer.answer([Request(user_id=user_id, history=history, k=k)])[0]
