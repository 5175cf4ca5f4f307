"""FastAPI and ONNX Runtime, as one writes it in an afternoon: no batching, one process."""

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.scoring import ROUTE, Request, Scorer
from benchmarks.peers.settings import PeerSettings


class Body(BaseModel):
    user_id: str
    history: list[int | str]
    k: int = 10


class Reply(BaseModel):
    items: list[int | str]


def make_app(settings: PeerSettings) -> FastAPI:
    app, scorer = FastAPI(), Scorer(settings)

    def answer(body: Body) -> Reply:
        request = Request(user_id=body.user_id, history=body.history, k=body.k)
        return Reply(items=scorer.answer([request])[0]["items"])

    async def on_the_loop(body: Body) -> Reply:
        return answer(body)

    app.post(ROUTE)(answer if settings.style == "threads" else on_the_loop)
    return app


def main() -> None:
    settings = PeerSettings.read()
    uvicorn.run(
        make_app(settings), host="127.0.0.1", port=settings.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
