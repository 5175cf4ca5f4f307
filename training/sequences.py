"""What every user did, in order, as item numbers: the form that models read."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.datasets import Dataset, DatasetError

MIN_INTERACTIONS = 5
"Users and items with fewer are left out, as published evaluations do."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Each user's items, oldest first, and the catalogue they come from.

    Item number i is `item_ids[i - 1]`; 0 is padding. The last item of each user is for testing, the one
    before for validation, all others for fitting.
    """

    users: list[NDArray[np.int64]]
    item_ids: list[int | str]

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    def fitting(self) -> list[NDArray[np.int64]]:
        return [items[:-2] for items in self.users]

    def held_out(self, split: str) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        """What a model may see, and the item it should find.

        Args:
            split: `validation` or `test`.

        Returns:
            Histories, oldest first, and targets, (n_users,).
        """
        last = {"validation": -2, "test": -1}[split]
        return [items[:last] for items in self.users], np.array([items[last] for items in self.users])


def read_sequences(dataset: Dataset) -> Sequences:
    """Order a dataset's interactions by user and time.

    Interactions of the same second keep the order of the file.

    Raises:
        DatasetError: too little is left after users and items with fewer than `MIN_INTERACTIONS` are gone.
    """
    core = _core(dataset.interactions.with_row_index("row"))
    if core["user_id"].n_unique() < 2:
        raise DatasetError(
            f"{dataset.name} has {dataset.interactions['user_id'].n_unique()} users, of whom fewer than 2 have "
            f"{MIN_INTERACTIONS} interactions with items that have {MIN_INTERACTIONS}; more data is needed"
        )
    item_ids = core["item_id"].unique().sort()
    numbers = pl.DataFrame({"item_id": item_ids, "number": np.arange(1, len(item_ids) + 1)})
    ordered = core.join(numbers, on="item_id").sort("user_id", "timestamp", "row")
    grouped = ordered.group_by("user_id", maintain_order=True).agg("number")
    return Sequences(
        users=[items.to_numpy() for items in grouped["number"]],
        item_ids=item_ids.to_list(),
    )


def _core(interactions: pl.DataFrame) -> pl.DataFrame:
    """The k-core: what remains when users and items with too few interactions leave, over and over."""
    while True:
        kept = interactions.filter(pl.len().over("item_id") >= MIN_INTERACTIONS).filter(
            pl.len().over("user_id") >= MIN_INTERACTIONS
        )
        if kept.height == interactions.height:
            return kept
        interactions = kept


def pad(histories: list[NDArray[np.int64]], length: int) -> NDArray[np.int64]:
    """The newest items of each history, (n, length), zeros on the left."""
    padded = np.zeros((len(histories), length), np.int64)
    for row, history in enumerate(histories):
        newest = history[-length:]
        padded[row, length - len(newest) :] = newest
    return padded
