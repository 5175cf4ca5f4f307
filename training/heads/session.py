"""A head, loaded."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from training.heads.contract import HeadError, HeadInfo, check_queries
from training.heads.graph import read_graph


class Found(NamedTuple):
    """An answer; see the contract in `training.heads`."""

    items: NDArray[np.int64]
    scores: NDArray[np.float32]


class Head:
    """A head's session, and what it says of itself."""

    def __init__(self, session: ort.InferenceSession, info: HeadInfo) -> None:
        self.session = session
        self.info = info

    def find(
        self,
        query: NDArray[np.float32],
        *,
        k: int,
        seen: NDArray[np.int64] | None = None,
        nprobe: int | None = None,
    ) -> Found:
        """The best items for each query.

        Args:
            query: (batch, dim).
            k: how many items.
            seen: item numbers to leave out, (batch, n_seen); 0 pads.
            nprobe: blocks to look into, where the head is an inverted file; None is its default.
        """
        if k < 1:
            raise HeadError(f"k is {k}; a head answers with at least 1 item")
        check_queries(query, dim=self.info.dim)
        feed = {
            "query": query,
            "seen": np.zeros((len(query), 0), np.int64) if seen is None else seen,
            "k": np.array([k]),
        }
        if nprobe is not None:
            feed["nprobe"] = np.array([nprobe])
        items, scores = self.session.run(["items", "scores"], feed)
        return Found(items, scores)


def load_head(path: Path, *, n_threads: int = 1, prepack: bool | None = None) -> Head:
    """Load a head, with the session settings that it recommends.

    Args:
        path: of the graph; its weights must be beside it.
        n_threads: threads one run may use.
        prepack: whether ONNX Runtime reorders weights at load; None does as the head says.

    Raises:
        HeadError: not a head, or its weights are missing or short.
    """
    metadata = {entry.key: entry.value for entry in read_graph(path).metadata_props}
    info = HeadInfo.from_metadata(metadata)
    config = info.session_config()
    if prepack is not None:
        config["session.disable_prepacking"] = "0" if prepack else "1"
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for key, value in (config | {"session.intra_op.allow_spinning": "0"}).items():
        options.add_session_config_entry(key, value)
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # ONNX Runtime's own exception classes are not public
        raise HeadError(f"{path} does not load: {err}; write the head again") from err
    return Head(session, info)
