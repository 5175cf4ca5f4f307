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
    allow_repeats: bool = False
    "Whether what a user took before may be recommended, and so must be ranked when models are judged."

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

    Interactions of the same second keep the order of the dataset. Where repeats are not allowed, only a user's
    first interaction with an item counts: a later one could not have been recommended, and dropping the first
    instead would change what was known by then. Users are ordered by id.

    Raises:
        DatasetError: too little is left after users and items with fewer than `MIN_INTERACTIONS` are gone.
    """
    user_ids, user = _number(dataset.interactions["user_id"])
    item_ids, item = _number(dataset.interactions["item_id"])
    rows = pl.DataFrame({"user": user, "item": item, "timestamp": dataset.interactions["timestamp"]})
    rows = rows.sort("user", "timestamp", maintain_order=True).drop("timestamp")
    if not dataset.allow_repeats:
        pair = pl.col("user").cast(pl.Int64) * len(item_ids) + pl.col("item")
        rows = rows.filter(pair.is_first_distinct())
    users, items = _core(rows["user"].to_numpy(), rows["item"].to_numpy())
    starts = np.flatnonzero(np.diff(users)) + 1
    if not len(starts):
        raise DatasetError(
            f"{dataset.name} has {len(user_ids)} user{'s' if len(user_ids) != 1 else ''}, of whom fewer than 2 have "
            f"{MIN_INTERACTIONS} interactions with items that have {MIN_INTERACTIONS}; more data is needed"
        )
    left = np.flatnonzero(np.bincount(items))
    numbers = np.zeros(len(item_ids), np.int64)
    numbers[left] = np.arange(1, len(left) + 1)
    return Sequences(
        users=np.split(numbers[items], starts),
        item_ids=item_ids[left].to_list(),
        allow_repeats=dataset.allow_repeats,
    )


def _number(ids: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The distinct ids, sorted, and for each row the place of its id among them."""
    distinct = ids.unique().sort().alias("id")
    places = distinct.to_frame().with_row_index("place")
    return distinct, ids.alias("id").to_frame().join(places, on="id", maintain_order="left")["place"]


def _core(
    users: NDArray[np.uint32], items: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The k-core: what remains when users and items with too few interactions leave, over and over."""
    while True:
        n_rows = len(users)
        is_kept = np.bincount(items)[items] >= MIN_INTERACTIONS
        users, items = users[is_kept], items[is_kept]
        is_kept = np.bincount(users)[users] >= MIN_INTERACTIONS
        users, items = users[is_kept], items[is_kept]
        if len(users) == n_rows:
            return users, items


def pad(histories: list[NDArray[np.int64]], length: int) -> NDArray[np.int64]:
    """The newest items of each history, (n, length), zeros on the left."""
    padded = np.zeros((len(histories), length), np.int64)
    for row, history in enumerate(histories):
        newest = history[-length:]
        padded[row, length - len(newest) :] = newest
    return padded
