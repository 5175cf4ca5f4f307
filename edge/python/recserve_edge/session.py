"""One ONNX Runtime session, the same graph and the same runtime as in the cloud."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from recserve_edge.errors import InvalidBundle

NO_HISTORY = (0,)
"What a graph that needs no history is given: padding alone."


class Ranked(NamedTuple):
    """A list of items, best first, no longer than there are items."""

    items: NDArray[np.int64]
    "Item numbers, different and not 0."
    scores: NDArray[np.float32]


class Session:
    """A graph of the bundle, loaded and run once.

    Args:
        name: of its file, for messages.
        content: verified.
        n_items: what the catalogue holds.
        n_threads: threads that one run may use.

    Raises:
        InvalidBundle: it does not load, or knows another number of items.
    """

    def __init__(self, name: str, content: bytes, *, n_items: int, n_threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            everything = self.recommend((1,), (), n_items + 1)
        except Exception as err:  # ONNX Runtime's own exception classes are not public
            raise InvalidBundle(
                "unreadable", f"{name} does not load: {err}; update onnxruntime if it is old"
            ) from err
        if len(everything.items) != n_items:
            raise InvalidBundle(
                "unreadable", f"{name} knows {len(everything.items)} items; the manifest says {n_items}"
            )

    def recommend(self, history: Sequence[int], seen: Sequence[int], k: int) -> Ranked:
        """The best items for one user.

        Args:
            history: item numbers, newest last.
            seen: item numbers that must not come back.
            k: items.
        """
        feeds = {
            "history": np.asarray([history], np.int64),
            "seen": np.asarray([seen], np.int64),
            "k": np.array([k], np.int64),
        }
        items, scores = self._session.run(["items", "scores"], feeds)
        n_left = int(np.count_nonzero(items[0]))
        return Ranked(items[0, :n_left], scores[0, :n_left])
