"""Because you watched X: the item of a user's history that a shown item is tied to most.

The ties are those of the variant that answers 'similar to this item': asked with one item of the history,
its score of another item is how many people went on from the one to the other, weighed by distance. Each
history item is a row of its own, `N_HISTORY` rows of the `N_TIES` best, with nothing left out as seen.

It misbehaves on an item of the history that everybody took: it has the largest counts with everything. That
is the truth of the counts model, which recommends by the same sums.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

N_HISTORY = 10
"Newest different items of the history that are asked about."
N_TIES = 100
"Items to ask for with each; a counts table keeps no more neighbours of an item."

Ties = tuple[NDArray[np.int64], NDArray[np.float32]]
"Item numbers and scores that the variant answered for one item of the history."


def history_to_explain(history: Sequence[int]) -> list[int]:
    """The item numbers to ask about, newest first, from a history that is oldest first."""
    return list(dict.fromkeys(reversed(history)))[:N_HISTORY]


def choose_reasons(
    shown: Sequence[int], history: Sequence[int], ties: Sequence[Ties]
) -> dict[int, int | None]:
    """The history item that each shown item is tied to most, by item number.

    None stands where no item of the history is tied to it, as for items that are explored or pinned; an
    item is no reason for itself. Of equal ties the newest is taken.

    Args:
        shown: item numbers on the list.
        history: the item numbers that were asked about, newest first.
        ties: what was answered for each of them, in the same order.
    """
    if not history:
        return dict.fromkeys(shown)
    wanted = np.array(shown, np.int64)[:, None]
    strength = np.zeros((len(shown), len(history)))
    for column, (asked, (items, scores)) in enumerate(zip(history, ties, strict=True)):
        counts = (wanted == items) & (wanted != asked) & (scores > 0)
        strength[:, column] = np.where(counts, scores, 0).max(axis=1, initial=0)
    strongest = strength.argmax(axis=1)
    return {
        item: history[column] if strength[row, column] > 0 else None
        for row, (item, column) in enumerate(zip(shown, strongest.tolist(), strict=True))
    }
