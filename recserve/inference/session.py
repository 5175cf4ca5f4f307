"""One ONNX Runtime session that answers histories with items."""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from recserve.errors import InvalidModels

NO_FOLDER = os.devnull
"Where files lie that a graph names beside itself: none does."


class Ranked(NamedTuple):
    """Lists of items, best first; item 0 with score -inf where fewer remain than were asked for."""

    items: NDArray[np.int64]
    "Item numbers, (batch, at most k)."
    scores: NDArray[np.float32]


class ScoringSession:
    """A model variant, loaded and warm.

    Args:
        name: the variant.
        content: the ONNX graph, verified.
        n_items: what the catalogue holds; a graph that knows another number is refused.
        n_threads: threads one run may use.
        mark: told when it is loaded, before its first run.

    Raises:
        InvalidModels: the graph cannot be loaded, or is not of the kind that `manifest.Variant` describes.
    """

    def __init__(
        self,
        name: str,
        content: bytes,
        *,
        n_items: int,
        n_threads: int = 1,
        mark: Callable[[str], None] = lambda _: None,
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # A graph could otherwise take its numbers from any file of the working directory.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", NO_FOLDER)
        self.name = name
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            mark(f"session {name}")
            everything = self.recommend(np.ones((2, 1), np.int64), np.zeros((2, 0), np.int64), n_items + 1)
        except Exception as err:  # ONNX Runtime's own exception classes are not public
            raise InvalidModels(f"model variant {name!r} does not load: {err}") from err
        n_known = int(np.count_nonzero(everything.items[0]))
        if everything.items.shape[0] != 2 or n_known != n_items:
            raise InvalidModels(f"model variant {name!r} knows {n_known} items; the catalogue has {n_items}")

    def recommend(self, history: NDArray[np.int64], seen: NDArray[np.int64], k: int) -> Ranked:
        """The best items for a batch of users.

        Args:
            history: item numbers, newest last, (batch, length); 0 pads on the left.
            seen: item numbers that must not come back, (batch, n_seen); 0 pads.
            k: items a user.
        """
        feeds = {"history": history, "seen": seen, "k": np.array([k])}
        return Ranked(*self._session.run(["items", "scores"], feeds))
