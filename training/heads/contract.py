"""What a head is and what may go into one."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

OPSET = 20


class HeadError(TrainingError):
    """A head that cannot be built, read or attached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadInfo:
    """What a head's graph says of itself, in its metadata."""

    kind: str
    "`flat`, `exact_int8` or `inverted_file`."
    n_items: int
    dim: int
    block_size: int
    n_blocks: int
    prepack: bool
    "Whether ONNX Runtime should reorder weights at load: it costs load time and memory, and can pay in latency."
    rerank: bool
    "Whether the best candidates are scored again, from float16 rows."
    recall_10: float | None = None
    "Measured against exact float32 when `nprobe` was chosen; None where it was not measured."
    n_queries: int = 0
    "Queries that `recall_10` was measured on."

    def session_config(self) -> dict[str, str]:
        """Entries for `SessionOptions.add_session_config_entry`."""
        return {"session.disable_prepacking": "0" if self.prepack else "1"}

    def to_metadata(self) -> dict[str, str]:
        return {f"recserve.{name}": str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> "HeadInfo":
        """Read what `to_metadata` wrote.

        Raises:
            HeadError: this is the metadata of some other graph.
        """
        try:
            found = {name: metadata[f"recserve.{name}"] for name in cls.__dataclass_fields__}
        except KeyError as err:
            raise HeadError(f"not a head: its metadata lacks {err}; write it with training.heads") from err
        return cls(
            kind=found["kind"],
            n_items=int(found["n_items"]),
            dim=int(found["dim"]),
            block_size=int(found["block_size"]),
            n_blocks=int(found["n_blocks"]),
            prepack=found["prepack"] == "True",
            rerank=found["rerank"] == "True",
            recall_10=None if found["recall_10"] == "None" else float(found["recall_10"]),
            n_queries=int(found["n_queries"]),
        )


def check_items(vectors: NDArray[np.float32], *, k: int) -> None:
    """Refuse an item matrix that no head can serve.

    Args:
        vectors: item i is row i - 1, (n_items, dim).
        k: how many items answers will have.

    Raises:
        HeadError: says what is wrong and where.
    """
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise HeadError(
            f"the item matrix has shape {vectors.shape}; (n_items, dim) is needed, neither of them 0"
        )
    if vectors.dtype != np.float32:
        raise HeadError(f"the item matrix is {vectors.dtype}; convert it to float32")
    if k < 1:
        raise HeadError(f"k is {k}; a head answers with at least 1 item")
    if len(vectors) < k:
        raise HeadError(f"the item matrix has {len(vectors)} items, answers are to have k = {k}; lower k")
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise HeadError(
            f"{len(wrong)} items have vectors that are not finite, the first is item {wrong[0] + 1}; "
            "the model that made them did not converge, or a row was never written"
        )


def check_queries(queries: NDArray[np.float32], *, dim: int) -> None:
    """Refuse query vectors that do not fit a catalogue.

    Raises:
        HeadError: the shape is not (n, dim), or a number is not finite.
    """
    if queries.ndim != 2 or queries.shape[1] != dim or len(queries) == 0:
        raise HeadError(
            f"queries have shape {queries.shape}; the items have {dim} dimensions, so (n, {dim}) is needed"
        )
    if not np.isfinite(queries).all():
        raise HeadError("queries are not finite; the encoder that made them did not converge")
