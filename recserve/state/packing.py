"""One user's events as few bytes: columns in MessagePack, deflated.

A thousand events with random ids come to about 50 kB.
"""

import zlib
from collections.abc import Sequence
from typing import get_args

import msgspec

from recserve.state.store import Event, EventKind

KINDS: tuple[EventKind, ...] = get_args(EventKind)
"A kind is stored as its place here: append only."
FORMAT = b"\x01"
"First byte of what `pack` makes."


class Unreadable(ValueError):
    """Bytes that `pack` did not make."""


class _Columns(msgspec.Struct, array_like=True):
    event_ids: list[str]
    item_ids: list[str]
    kinds: list[int]
    at_s: list[float]
    recommendation_ids: list[str]


def pack(events: Sequence[Event], *, max_bytes: int) -> bytes:
    """Pack one user's events, oldest first; the oldest are left out until the rest fits.

    The user's id is not among the bytes.
    """
    packed = _pack(events)
    while len(packed) > max_bytes:
        events = events[len(events) // 8 + 1 :]
        packed = _pack(events)
    return packed


def _pack(events: Sequence[Event]) -> bytes:
    columns = _Columns(
        [event.event_id for event in events],
        [event.item_id for event in events],
        [KINDS.index(event.kind) for event in events],
        [event.at_s for event in events],
        [event.recommendation_id for event in events],
    )
    return FORMAT + zlib.compress(msgspec.msgpack.encode(columns), 1)


def unpack(packed: bytes, user_id: str) -> list[Event]:
    """The events that were packed.

    Raises:
        Unreadable: `pack` did not make these bytes.
    """
    if packed[:1] != FORMAT:
        raise Unreadable(f"format {packed[:1]!r}; this release reads {FORMAT!r}")
    try:
        columns = msgspec.msgpack.decode(zlib.decompress(packed[1:]), type=_Columns)
        return [
            Event(event_id, user_id, item_id, KINDS[kind], at_s, recommendation_id)
            for event_id, item_id, kind, at_s, recommendation_id in zip(
                columns.event_ids,
                columns.item_ids,
                columns.kinds,
                columns.at_s,
                columns.recommendation_ids,
                strict=True,
            )
        ]
    except (zlib.error, msgspec.DecodeError, IndexError, ValueError) as err:
        raise Unreadable(str(err)) from err
