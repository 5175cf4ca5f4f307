"""Requests as they come: real users' histories, each with the item that its user took next."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emulator.load.client import http_request
from training.datasets import read_dataset
from training.sequences import read_sequences


@dataclass(frozen=True, slots=True)
class Traffic:
    requests: list[bytes]
    "HTTP requests, one a user, shuffled."
    targets: list[str]
    "Id of the item that the user of each request took next: what a good answer holds."


def real_traffic(source: str, *, max_history: int, rng: np.random.Generator) -> Traffic:
    """One request for each test user of a dataset, with the history before the held-out item.

    Args:
        source: a dataset that `training` reads.
        max_history: newest items that are sent.
        rng: shuffles the users.
    """
    sequences = read_sequences(read_dataset(source, cache_dir=Path(".local/datasets")))
    histories, targets = sequences.held_out("test")
    requests, wanted = [], []
    for user in rng.permutation(len(histories)).tolist():
        history = [sequences.item_ids[item - 1] for item in histories[user][-max_history:].tolist()]
        requests.append(ask(history))
        wanted.append(str(sequences.item_ids[int(targets[user]) - 1]))
    return Traffic(requests, wanted)


def ask(history: Sequence[int | str]) -> bytes:
    """A request for recommendations after these item ids, newest last."""
    return post("/api/recommend", {"history": history, "k": 10})


def post(path: str, body: object) -> bytes:
    """A whole HTTP/1.1 request with a JSON body."""
    return http_request("POST", path, host="127.0.0.1", body=json.dumps(body).encode())
