"""Scoring heads for large catalogues: a query vector in, the best items out, in one plain ONNX graph.

Every head, and every graph that `attach_head` makes of an encoder and a head, keeps one contract:

    query   float32 (batch, dim)      what to look for; a row's answer does not depend on the other rows
    seen    int64   (batch, n_seen)   item numbers to leave out; 0 pads, n_seen may be 0
    k       int64   (1,)              how many items to answer with, at least 1
    items   int64   (batch, k)        item numbers, best first; item i is row i - 1 of the item matrix
    scores  float32 (batch, k)        inner products of query and item, as exact as the head is

When fewer than k items remain, the answer ends in item 0 with score -inf. The inverted file looks at the
probed blocks only, so that less may remain there; its optional input `nprobe`, int64 (1,), says how many
blocks that are, and has the chosen number as its default.

    write_flat           every item in float32: the control
    write_exact_int8     every item in int8
    write_inverted_file  items of the blocks whose centroids are nearest, in int8, the best again in float16

All three cut the catalogue into blocks of equal size (`blocks`), so that one tail (`selection`) serves
them. Weights lie beside the graph as external data, which ONNX Runtime maps instead of reading.
"""

from training.heads.attach import attach_head
from training.heads.contract import HeadError, HeadInfo
from training.heads.inverted_file import InvertedFileConfig, write_inverted_file
from training.heads.probing import Probing, choose_nprobe, exact_items, recall
from training.heads.scan import write_exact_int8, write_flat
from training.heads.session import Found, Head, load_head

__all__ = [
    "Found",
    "Head",
    "HeadError",
    "HeadInfo",
    "InvertedFileConfig",
    "Probing",
    "attach_head",
    "choose_nprobe",
    "exact_items",
    "load_head",
    "recall",
    "write_exact_int8",
    "write_flat",
    "write_inverted_file",
]
