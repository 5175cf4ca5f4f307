"""One ONNX Runtime session that scores histories."""

from typing import cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from recserve.errors import InvalidModels


class ScoringSession:
    """A model variant, loaded and warm.

    Args:
        name: the variant.
        content: the ONNX graph, verified.
        n_items: what the catalogue holds; a graph that scores another number is refused.
        n_threads: threads one run may use.
    """

    def __init__(self, name: str, content: bytes, *, n_items: int, n_threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self.name = name
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            n_scored = self.score(np.ones((1, 1), np.int64)).shape[1]
        except Exception as err:  # ONNX Runtime's own exception classes are not public
            raise InvalidModels(f"model variant {name!r} does not load: {err}") from err
        if n_scored != n_items:
            raise InvalidModels(
                f"model variant {name!r} scores {n_scored} items; the catalogue has {n_items}"
            )

    def score(self, history: NDArray[np.int64]) -> NDArray[np.float32]:
        """Score every catalogue item for a batch of users.

        Args:
            history: item numbers, newest last, (batch, length); 0 pads on the left.

        Returns:
            Unnormalised scores, (batch, n_items); column j is item number j + 1.
        """
        return cast(NDArray[np.float32], self._session.run(["scores"], {"history": history})[0])
