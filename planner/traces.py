"""Traces: when requests arrived at somebody's service, from files of three schemas.

    azure-llm              TIMESTAMP,ContextTokens,GeneratedTokens      Azure's traces of LLM inference
    azure-functions-2021   app,func,end_timestamp,duration              Azure's traces of function invocations
    timestamps             one instant a line, with or without a header `timestamp`

Instants are seconds, or dates with times (UTC where they name no offset). Invocations are listed in the
order in which they ended; they arrived at `end_timestamp - duration`, and are put in that order here.
The others must be in order already, since a line out of place means that the file is not what it seems.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Schema = Literal["azure-llm", "azure-functions-2021", "timestamps"]

COLUMNS: dict[Schema, tuple[str, ...]] = {
    "azure-llm": ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    "azure-functions-2021": ("app", "func", "end_timestamp", "duration"),
    "timestamps": ("timestamp",),
}
NS_PER_S = 10**9
DATE = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")


class TraceError(ValueError):
    """A trace that cannot be read; the message names file, line, value and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Arrivals as they were."""

    name: str
    "Of the file, without its suffix."
    schema: Schema
    arrivals_s: NDArray[np.float64]
    "From the first arrival, ascending, (n_arrivals,); at least one."
    durations_s: NDArray[np.float64] | None
    "How long each took, (n_arrivals,); None where the schema does not say."

    @property
    def span_s(self) -> float:
        """From the first arrival to the last."""
        return float(self.arrivals_s[-1])


def read_trace(path: Path) -> Trace:
    """Read a trace; its first line tells the schema.

    Raises:
        TraceError: there is no such file, it is empty or out of order, or a line cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise TraceError(f"cannot read trace {str(path)!r}: {_reason(err)}; name a CSV file") from err
    if not lines:
        raise TraceError(f"trace {str(path)!r} is empty; name a file with one arrival a line")
    schema, rows = _recognise(path, lines)
    if not rows:
        raise TraceError(
            f"trace {str(path)!r} has a header and no arrivals; name a file with one arrival a line"
        )
    instants_ns, durations_ns = [], []
    for number, row in rows:
        if len(row) != len(COLUMNS[schema]):
            wanted = ",".join(COLUMNS[schema])
            raise TraceError(f"{path}:{number}: {len(row)} columns; send {len(COLUMNS[schema])}: {wanted}")
        if schema == "azure-functions-2021":
            durations_ns.append(_duration_ns(row[3], path, number))
            instants_ns.append(_instant_ns(row[2], path, number) - durations_ns[-1])
        else:
            instants_ns.append(_instant_ns(row[0], path, number))
    if schema == "azure-functions-2021":
        order = sorted(range(len(rows)), key=instants_ns.__getitem__)
        instants_ns = [instants_ns[i] for i in order]
        durations_ns = [durations_ns[i] for i in order]
    else:
        _check_order(instants_ns, path, rows)
    return Trace(
        name=path.stem,
        schema=schema,
        arrivals_s=_seconds(instant_ns - instants_ns[0] for instant_ns in instants_ns),
        durations_s=_seconds(durations_ns) if durations_ns else None,
    )


def _recognise(
    path: Path, lines: Sequence[tuple[int, list[str]]]
) -> tuple[Schema, Sequence[tuple[int, list[str]]]]:
    """The schema, and the lines without the header."""
    first = [name.strip().lower() for name in lines[0][1]]
    for schema, columns in COLUMNS.items():
        if first == [column.lower() for column in columns]:
            return schema, lines[1:]
    if len(first) == 1 and (first[0][:1].isdigit() or first[0][:1] in ("-", "+", ".")):
        return "timestamps", lines
    known = "; ".join(",".join(columns) for columns in COLUMNS.values())
    raise TraceError(
        f"{path}:1: unknown columns {','.join(lines[0][1])[:80]!r}; known are {known}; or send one instant a line"
    )


def _instant_ns(text: str, path: Path, line: int) -> int:
    text = text.strip()
    if found := DATE.fullmatch(text):
        date, fraction, offset = found.groups()
        try:
            moment = datetime.fromisoformat(date + (offset or ""))
        except ValueError as err:
            raise TraceError(f"{path}:{line}: {text!r} is no date: {err}; mend the line") from err
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * NS_PER_S + int((fraction or "0").ljust(9, "0"))
    try:
        return _decimal_ns(text)
    except ValueError:
        raise TraceError(
            f"{path}:{line}: {text!r} is no instant; send seconds, or a date and time as 2023-11-16 18:15:46.68"
        ) from None


def _duration_ns(text: str, path: Path, line: int) -> int:
    try:
        duration_ns = _decimal_ns(text.strip())
    except ValueError:
        duration_ns = -1
    if duration_ns < 0:
        raise TraceError(f"{path}:{line}: {text!r} is no duration; send seconds, 0 or more")
    return duration_ns


def _decimal_ns(text: str) -> int:
    """Exactly, which a float is not once seconds are counted from 1970."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite() or abs(number) > 10**12:
        raise ValueError(text)
    return round(number * NS_PER_S)


def _check_order(instants_ns: Sequence[int], path: Path, rows: Sequence[tuple[int, list[str]]]) -> None:
    for i in range(1, len(instants_ns)):
        if instants_ns[i] < instants_ns[i - 1]:
            raise TraceError(
                f"{path}:{rows[i][0]}: {rows[i][1][0]!r} is before {rows[i - 1][1][0]!r} of line {rows[i - 1][0]}; "
                "sort the file by time"
            )


def _seconds(values_ns: Sequence[int] | Iterator[int]) -> NDArray[np.float64]:
    return np.array(list(values_ns), np.int64) / NS_PER_S


def _reason(err: Exception) -> str:
    return (err.strerror or type(err).__name__) if isinstance(err, OSError) else str(err)
