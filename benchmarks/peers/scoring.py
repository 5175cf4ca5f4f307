"""What every peer does with a request: ids to numbers, one run of the graph, numbers to ids.

That is less than Recserve does: no user state, no rules, no admission control, no telemetry, no titles.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.peers.settings import PeerSettings

ROUTE = "/api/recommend"


class Request(TypedDict):
    """What clients send."""

    user_id: str
    "Nobody's; Recserve looks it up in its store, peers have none."
    history: list[int | str]
    "Item ids, newest last, at least one of the catalogue."
    k: int


class Answer(TypedDict):
    items: list[int | str]
    "Ids of the best items, best first."


class Scorer:
    """The graph, on one thread, with the session options of Recserve."""

    def __init__(self, settings: PeerSettings) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(settings.model, options, providers=["CPUExecutionProvider"])
        self._max_history = settings.max_history
        self._ids: list[int | str] = json.loads(Path(settings.catalogue).read_bytes())["ids"]
        self._numbers = {str(item_id): number for number, item_id in enumerate(self._ids, start=1)}
        self.answer([Request(user_id="", history=self._ids[:1], k=1)])

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer a micro-batch with one run."""
        find = self._numbers.get
        seen = [[n for n in map(find, map(str, request["history"])) if n is not None] for request in requests]
        feeds: dict[str, Any] = {
            "history": _pad([numbers[-self._max_history :] for numbers in seen]),
            "seen": _pad(seen),
            "k": np.array([max(request["k"] for request in requests)]),
        }
        items, _ = self._session.run(["items", "scores"], feeds)
        return [
            Answer(items=[self._ids[number - 1] for number in row[: request["k"]] if number])
            for row, request in zip(items.tolist(), requests, strict=True)
        ]


def _pad(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Item numbers as one array, (batch, longest), zeros on the left."""
    if len(rows) == 1:
        return np.asarray(rows, np.int64)
    length = max(map(len, rows))
    padded = np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        padded[place, length - len(row) :] = row
    return padded
