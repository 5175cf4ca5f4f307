"""Requests as they come: real users' histories, each with the item that its user took next."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort

from emulator.load.audience import RecordedAudience, Transitions
from emulator.load.client import http_request
from recserve.errors import InvalidModels
from recserve.inference.manifest import read_manifest, read_verified
from training.datasets import read_dataset
from training.sequences import read_sequences

N_FOLLOWERS = 100
"Items that may follow an item, at most."


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


def recorded_audience(source: str, *, max_history: int, rng: np.random.Generator) -> RecordedAudience:
    """The test users of a dataset, shuffled, each with the item that was held out."""
    sequences = read_sequences(read_dataset(source, cache_dir=Path(".local/datasets")))
    histories, targets = sequences.held_out("test")
    ids = sequences.item_ids
    return RecordedAudience(
        [
            ([ids[item - 1] for item in histories[user][-max_history:].tolist()], ids[int(targets[user]) - 1])
            for user in rng.permutation(len(histories)).tolist()
        ]
    )


def model_transitions(models_dir: Path) -> Transitions:
    """What people take after each item, as the counts of a models directory have it.

    The counts are asked for the followers of every item alone; their scores are the weights of the pairs.

    Raises:
        InvalidModels: the directory is damaged, or its ladder has no `counts`.
    """
    manifest = read_manifest(models_dir)
    found = next((variant for variant in manifest.ladder if variant.name == "counts"), None)
    if found is None:
        raise InvalidModels(
            f"{models_dir} has no variant `counts`, whose transitions users follow; name another"
        )
    catalogue = msgspec.json.decode(read_verified(models_dir, manifest.catalogue), type=_Catalogue)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    graph = read_verified(models_dir, found.file)
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    items, scores = [], []
    for part in np.array_split(
        np.arange(1, manifest.dataset.n_items + 1), -(-manifest.dataset.n_items // 256)
    ):
        seen = part[:, None] if not manifest.dataset.allow_repeats else np.zeros((len(part), 1), np.int64)
        of_part = session.run(
            ["items", "scores"],
            {"history": part[:, None], "seen": seen, "k": np.array([N_FOLLOWERS], np.int64)},
        )
        items.append(of_part[0])
        scores.append(of_part[1])
    weights = np.maximum(np.concatenate(scores), 0).astype(np.float64)
    return Transitions(
        item_ids=catalogue.ids,
        followers=np.maximum(np.concatenate(items) - 1, 0),
        weights=weights,
        popularity=np.array(catalogue.n_interactions, np.float64),
        allow_repeats=manifest.dataset.allow_repeats,
    )


class _Catalogue(msgspec.Struct):
    ids: list[int | str]
    n_interactions: list[int]
