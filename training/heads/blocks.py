"""A catalogue cut into blocks of equal size, in float32 or int8.

A block is the unit of all heads: scores of one block lie side by side, its largest is found by one pass,
and an inverted list is a block. Where items do not fill a block, its last item is repeated under the
number 0, so that no padding ever beats an item.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
"Largest magnitude in an int8 row; -128 is left out so that rows are symmetric."


@dataclass(frozen=True, slots=True)
class Blocks:
    """Which item lies where.

    Attributes:
        rows: rows of the item matrix, (n_blocks, block_size).
        numbers: item numbers, the same shape; 0 where an item only fills up.
    """

    rows: NDArray[np.int64]
    numbers: NDArray[np.int32]

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> int:
        return self.rows.shape[1]


def fill_blocks(groups: list[NDArray[np.int64]], block_size: int) -> Blocks:
    """Blocks of the given groups of rows, none empty and none larger than `block_size`."""
    rows = np.empty((len(groups), block_size), np.int64)
    numbers = np.zeros((len(groups), block_size), np.int32)
    for block, group in enumerate(groups):
        rows[block, : len(group)] = group
        rows[block, len(group) :] = group[-1]
        numbers[block, : len(group)] = group + 1
    return Blocks(rows, numbers)


def cut_in_order(order: NDArray[np.int64], block_size: int) -> Blocks:
    """Blocks of consecutive rows of `order`; only the last is not full."""
    return fill_blocks(np.split(order, range(block_size, len(order), block_size)), block_size)


def row_scales(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """What one step of int8 is worth in each row, (n,); 1 for rows of zeros."""
    largest = np.abs(vectors).max(axis=1)
    return np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)


def quantise(vectors: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.int8]:
    """Rows in steps of their scale, rounded to even; scales broadcast over (n, dim)."""
    return np.rint(vectors / scales).astype(np.int8)


def as_columns(values: NDArray[np.generic], blocks: Blocks) -> NDArray[np.generic]:
    """Rows of an item matrix by block, items as columns, (n_blocks, dim, block_size)."""
    columns = np.empty((blocks.count, values.shape[1], blocks.size), values.dtype)
    for block, rows in enumerate(blocks.rows):
        columns[block] = values[rows].T
    return columns
