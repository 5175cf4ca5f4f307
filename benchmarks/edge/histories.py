"""The histories that parity between devices and the service is measured on, the same for every client.

Seven in ten are prefixes of real users' histories; the others are drawn from the catalogue at random, which
no model has been fitted to, and some of them hold what devices also meet: repeats, items that the catalogue
lacks, and more items than any model reads.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.datasets import read_dataset
from training.sequences import Sequences, read_sequences

SOURCE = "../shared/data/ml-latest-small"
PREFIX_SHARE = 0.7
ODD_SHARE = 0.05
LONGEST_PREFIX = 200
"Longer histories differ in what is left out as seen only."
LONGEST_RANDOM = 60
MOST_SENT = 1000
"Items of a history that the API takes."
UNKNOWN_IDS = (-1, 10**9, "no such item")


class EdgeHistory(NamedTuple):
    """What a device is asked with."""

    kind: str
    "prefix, random or odd; held_out for `held_out_histories`."
    item_ids: list[int | str]
    "Oldest first, at least one."
    target: int | str | None
    "What the user took next; None where nobody did."


def draw_histories(n: int = 5000, *, source: str = SOURCE, seed: int = 0) -> list[EdgeHistory]:
    """Histories of all kinds, mixed.

    Args:
        n: how many.
        source: a dataset that `training` reads, the one that the models were made from.
        seed: the same seed draws the same.
    """
    sequences = _read(source)
    rng = np.random.default_rng(seed)
    n_prefixes, n_odd = round(PREFIX_SHARE * n), round(ODD_SHARE * n)
    drawn = [_prefix(sequences, rng) for _ in range(n_prefixes)]
    drawn += [_random(sequences.item_ids, rng) for _ in range(n - n_prefixes - n_odd)]
    drawn += [_odd(sequences.item_ids, rng) for _ in range(n_odd)]
    return [drawn[place] for place in rng.permutation(n).tolist()]


def held_out_histories(*, source: str = SOURCE) -> list[EdgeHistory]:
    """Each test user's newest items and the one that no model was fitted to: what NDCG is measured on."""
    sequences = _read(source)
    histories, targets = sequences.held_out("test")
    ids = sequences.item_ids
    return [
        EdgeHistory(
            "held_out", [ids[number - 1] for number in history[-MOST_SENT:].tolist()], ids[int(target) - 1]
        )
        for history, target in zip(histories, targets, strict=True)
    ]


def _read(source: str) -> Sequences:
    return read_sequences(read_dataset(source, cache_dir=Path(".local/datasets")))


def _prefix(sequences: Sequences, rng: np.random.Generator) -> EdgeHistory:
    numbers = sequences.users[int(rng.integers(len(sequences.users)))]
    length = int(rng.integers(1, min(len(numbers), LONGEST_PREFIX + 1)))
    ids = [sequences.item_ids[number - 1] for number in numbers[: length + 1].tolist()]
    return EdgeHistory("prefix", ids[:-1], ids[-1])


def _random(item_ids: Sequence[int | str], rng: np.random.Generator) -> EdgeHistory:
    length = int(rng.integers(1, LONGEST_RANDOM + 1))
    columns = rng.choice(len(item_ids), length, replace=False)
    return EdgeHistory("random", [item_ids[column] for column in columns.tolist()], None)


def _odd(item_ids: Sequence[int | str], rng: np.random.Generator) -> EdgeHistory:
    """Drawn with repeats, ids as text or unknown among them; some of unknown items alone, some very long."""
    length = int(rng.choice([1, 3, 20, 400]))
    share_unknown = float(rng.choice([0.0, 0.3, 1.0]))
    ids: list[int | str] = []
    for column in rng.integers(len(item_ids), size=length).tolist():
        if rng.random() < share_unknown:
            ids.append(UNKNOWN_IDS[int(rng.integers(len(UNKNOWN_IDS)))])
        else:
            known = item_ids[column]
            ids.append(str(known) if rng.random() < 0.5 else known)
    return EdgeHistory("odd", ids, None)


def write_histories(path: Path, histories: Sequence[EdgeHistory]) -> None:
    """Write them as a JSON list of `{"kind", "history", "target"}`, for a client in another language."""
    rows = [{"kind": kind, "history": ids, "target": target} for kind, ids, target in histories]
    path.write_text(json.dumps(rows))


if __name__ == "__main__":  # python -m benchmarks.edge.histories FILE [N]
    write_histories(Path(sys.argv[1]), draw_histories(*map(int, sys.argv[2:3])))
