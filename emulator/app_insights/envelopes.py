"""What an exporter posts to `/v2.1/track`, to rows.

A body is a JSON array of envelopes, one envelope, or one a line, gzipped or not. What is wrong with one
envelope is told of that one, in the service's words where they are known; the others are taken.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from emulator.app_insights.errors import BadItem, BadRequest, TooLarge
from emulator.app_insights.faults import FAULT_MESSAGE
from emulator.app_insights.readings import MAX_INT, number
from emulator.app_insights.tables import BASE_TYPES, Item, row_of

OLDEST = timedelta(hours=48)
NEWEST = timedelta(hours=2)
_INFLATE_STEP = 256 * 1024


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one item of a batch was not taken."""

    index: int
    message: str
    status: int = 400


@dataclass(slots=True)
class Batch:
    """A body that was read.

    Attributes:
        lines: rows of the items that can be taken, each one line of JSON with its newline.
    """

    n_received: int = 0
    lines: list[bytes] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def n_accepted(self) -> int:
        return self.n_received - len(self.refusals)


class Part(msgspec.Struct, rename="camel"):
    """An envelope's `data`."""

    base_type: str = ""
    base_data: dict[str, Any] = {}


class Envelope(msgspec.Struct, rename="camel"):
    """The outer form of every item; what it lacks is checked afterwards, to say it in the service's words."""

    time: str = ""
    i_key: str = ""
    sample_rate: float | None = None
    tags: dict[str, Any] = {}
    data: Part | None = None


_envelopes = msgspec.json.Decoder(Envelope)
_parts = msgspec.json.Decoder(list[msgspec.Raw])
_rows = msgspec.json.Encoder()


def inflate(body: bytes, *, limit_bytes: int) -> bytes:
    """Undo gzip, and never hold more than the limit of what comes out.

    Raises:
        BadRequest: it is no gzip, or ends early.
        TooLarge: more than `limit_bytes` would come out.
    """
    stream, pieces, n_bytes = zlib.decompressobj(wbits=31), [], 0
    try:
        while not stream.eof:
            piece = stream.decompress(body, _INFLATE_STEP)
            body = stream.unconsumed_tail
            if not piece and not body:
                raise BadRequest("the gzip body ends early; it was cut off on its way")
            n_bytes += len(piece)
            if n_bytes > limit_bytes:
                raise TooLarge(f"the body inflates to more than {limit_bytes} bytes; send smaller batches")
            pieces.append(piece)
    except zlib.error as err:
        raise BadRequest(f"the body is not gzip: {err}") from err
    return b"".join(pieces)


def read_batch(
    body: bytes, *, now: datetime, refuse: Callable[[int], int | None] = lambda index: None
) -> Batch:
    """Read a body that was inflated.

    Args:
        now: when it was received, UTC.
        refuse: status of an item that is refused for no fault of its own, by its place; None takes it.

    Raises:
        BadRequest: it is neither a JSON array nor lines of JSON.
    """
    batch = Batch()
    for index, part in enumerate(_split(body)):
        batch.n_received += 1
        if status := refuse(index):
            batch.refusals.append(Refusal(index, FAULT_MESSAGE, status))
            continue
        try:
            rows = _rows_of(part, now)
        except BadItem as err:
            batch.refusals.append(Refusal(index, str(err)))
            continue
        batch.lines += rows
    if not batch.n_received:
        raise BadRequest("the body holds no items; send a JSON array of envelopes, or one a line")
    return batch


def _split(body: bytes) -> Iterator[bytes | msgspec.Raw]:
    start = body.lstrip()[:1]
    if start == b"[":
        try:
            yield from _parts.decode(body)
        except (msgspec.DecodeError, RecursionError) as err:
            raise BadRequest(f"the body is not a JSON array: {err}") from err
    elif start == b"{":
        yield from (line for line in body.splitlines() if line.strip())
    elif start:
        raise BadRequest("the body is not JSON; send an array of envelopes, or one a line")


def _rows_of(part: bytes | msgspec.Raw, now: datetime) -> list[bytes]:
    """An envelope's rows, as lines: one, or as many as it has metrics.

    Raises:
        BadItem: it cannot be taken.
    """
    try:
        envelope = _envelopes.decode(part)
    except (msgspec.DecodeError, RecursionError) as err:
        raise BadItem(f"100: the item is no envelope: {err}") from err
    time = _time(envelope.time, now)
    key = _key(envelope.i_key)
    if envelope.data is None or not envelope.data.base_type:
        raise BadItem("101: Field 'data' on type 'Envelope' is required but missing or empty")
    table = BASE_TYPES.get(envelope.data.base_type)
    if table is None:
        known = ", ".join(BASE_TYPES)
        raise BadItem(
            f"102: Field 'baseType' on type 'Data' is {envelope.data.base_type!r}; known are {known}"
        )
    weight = _item_count(envelope.sample_rate)
    tags, n_bytes = envelope.tags, len(bytes(part))
    items = (
        Item(
            table=_counter_table(table, data),
            time=time,
            received=now,
            key=key,
            tags=tags,
            data=data,
            item_count=_count(data.get("count")) or weight if table == "AppMetrics" else weight,
            n_bytes=n_bytes,
            item_id=str(uuid4()),
        )
        for data in _data_of(table, envelope.data.base_data)
    )
    try:
        return [_rows.encode(row_of(item)) + b"\n" for item in items]
    except (AttributeError, TypeError, ValueError, IndexError, RecursionError) as err:
        # A field of another shape than the exporters give it: a list for text, text for a list.
        raise BadItem(f"105: baseData does not have the form of {envelope.data.base_type}: {err}") from err


def _data_of(table: str, base: dict[str, Any]) -> list[dict[str, Any]]:
    if table != "AppMetrics":
        return [base]
    points = base.get("metrics")
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points) or not points:
        raise BadItem("101: Field 'metrics' on type 'MetricData' is required but missing or empty")
    return [_point(base, point) for point in points]


def _point(base: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    """A data point with what it shares; one measurement is its own smallest and largest."""
    value = point.get("value")
    extremes = {name: value if point.get(name) is None else point[name] for name in ("min", "max")}
    return {**base, **point, **extremes}


def _counter_table(table: str, data: dict[str, Any]) -> str:
    """Metrics that are named like Windows' performance counters have a table of their own."""
    is_counter = table == "AppMetrics" and str(data.get("name", "")).startswith("\\")
    return "AppPerformanceCounters" if is_counter else table


def _time(text: str, now: datetime) -> datetime:
    """The item's own time: the service keeps it unless it is too far from its own."""
    if not text:
        raise BadItem("101: Field 'time' on type 'Envelope' is required but missing or empty")
    try:
        time = datetime.fromisoformat(text)
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as err:
        raise BadItem(f"102: Field 'time' on type 'Envelope' is not a date: {text!r}") from err
    if time < now - OLDEST:
        raise BadItem(
            "103: Field 'time' on type 'Envelope' is older than the allowed min date. "
            f"Expected: now - {OLDEST // timedelta(milliseconds=1)}ms"
        )
    if time > now + NEWEST:
        raise BadItem(
            "104: Field 'time' on type 'Envelope' is newer than the allowed max date. "
            f"Expected: now + {NEWEST // timedelta(milliseconds=1)}ms"
        )
    return time


def _key(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as err:
        raise BadItem(f"Invalid instrumentation key {text!r}") from err


def _item_count(sample_rate: float | None) -> int:
    """How many items one stands for that was kept at a rate in percent."""
    return min(max(1, round(100 / sample_rate)), MAX_INT) if sample_rate and 0 < sample_rate <= 100 else 1


def _count(value: object) -> int:
    """How many values a metric stands for; 0 where it does not say."""
    return min(max(0, round(number(value) or 0)), MAX_INT)
