"""Questions to a Log Analytics workspace, and their answers as columns. Failures are sentences, not exceptions.

Azure and the emulator are asked by the same client; they differ in address and credential.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.monitor.query import LogsQueryClient, LogsQueryPartialResult, LogsTable
from numpy.typing import NDArray

from console.failures import ANSWER_TIMEOUT_S, Failure, explain, said, stranger
from console.settings import Source

CONNECT_TIMEOUT_S = 2.0

Column = NDArray[Any]
_NUMBERS = ("int", "long", "real", "decimal", "bool")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"How a cell of text begins that a spreadsheet takes for a formula."
_UNIX_MS = "_unix_ms"
"How a column of numbers ends that are times, milliseconds since 1970: those of long answers, quick to read."


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The answer to a query, by column.

    Numbers are float64 with NaN for null, times are datetime64[us] in UTC with NaT, the rest are objects.
    """

    columns: tuple[str, ...] = ()
    data: tuple[Column, ...] = ()
    "One array for each of `columns`, all of the same length."

    @property
    def n_rows(self) -> int:
        return len(self.data[0]) if self.data else 0

    def __getitem__(self, column: str) -> Column:
        return self.data[self.columns.index(column)]

    def list(self, column: str) -> "Sequence[Any]":
        """Python's own values: None for null, times aware and in UTC."""
        return _plain(self[column])

    def rows(self) -> "Sequence[dict[str, Any]]":
        columns = [_plain(values) for values in self.data]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*columns, strict=True)]

    def where(self, mask: NDArray[np.bool_]) -> "Table":
        """The rows that the mask, (n_rows,), keeps."""
        return Table(self.columns, tuple(values[mask] for values in self.data))

    def csv(self) -> str:
        """As a spreadsheet reads it; cells that would be formulas there begin with an apostrophe."""
        out = io.StringIO()
        writer = csv.writer(out)  # which quotes what its own ends of lines, \r\n, are made of
        writer.writerow(self.columns)
        for row in zip(*(_plain(values) for values in self.data), strict=True):
            writer.writerow(_cell(value) for value in row)
        return out.getvalue()


class TelemetryError(Exception):
    """A question without an answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.what)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Reading:
    """What a workspace answered."""

    table: Table
    asked_at: datetime
    partial: Failure | None = None
    "Why the table lacks rows."


class Telemetry:
    """One workspace. May be shared by threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        options: dict[str, Any] = {"connection_timeout": CONNECT_TIMEOUT_S, "read_timeout": ANSWER_TIMEOUT_S}
        if source.is_local:
            # The emulator asks for no credential, and none may travel over http.
            policy: SansIOHTTPPolicy[Any, Any] = SansIOHTTPPolicy()
            options["authentication_policy"] = policy
        self._client = LogsQueryClient(
            _credential(source),
            endpoint=source.logs_url,
            # A person waits, and may ask again: throttling and broken connections are said at once.
            retry_total=0,
            **options,
        )

    def read(self, kql: str, since: datetime, until: datetime) -> Reading:
        """Ask a question about the records between two moments.

        Raises:
            TelemetryError: there is no answer.
        """
        asked_at = datetime.now(UTC)
        try:
            answer = self._client.query_workspace(
                self._source.workspace_id, kql, timespan=(since, until), server_timeout=ANSWER_TIMEOUT_S
            )
        except AzureError as err:
            raise TelemetryError(explain(err, self._source)) from err
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
        ) as err:  # what a stranger's answer raises in there
            raise TelemetryError(stranger(self._source)) from err
        if isinstance(answer, LogsQueryPartialResult):
            tables: Sequence[LogsTable] = answer.partial_data
            partial = Failure(
                "This is only a part of the answer: the workspace gave up before it was complete.",
                "Choose a shorter time range.",
                detail=said(answer.partial_error),
                kind="partial",
            )
            return Reading(_table(tables), asked_at, partial)
        if not answer.tables:
            raise TelemetryError(stranger(self._source))
        return Reading(_table(answer.tables), asked_at)


def _credential(source: Source) -> Any:
    if source.is_local:
        return _NoCredential()
    from azure.identity import DefaultAzureCredential  # slow to import, and not needed with the emulator

    return DefaultAzureCredential()


class _NoCredential:
    """The emulator asks for none."""

    def get_token(self, *scopes: str, **options: object) -> Any:
        raise AssertionError("no credential is sent over http")


def _table(tables: Sequence[LogsTable]) -> Table:
    if not tables:
        return Table()
    table = tables[0]
    columns = list(zip(*table.rows, strict=True)) if table.rows else [()] * len(table.columns)
    arrays = [_array(values, kind) for values, kind in zip(columns, table.columns_types, strict=True)]
    return Table(
        tuple(name.removesuffix(_UNIX_MS) for name in table.columns),
        tuple(
            values.astype("datetime64[ms]").astype("datetime64[us]") if name.endswith(_UNIX_MS) else values
            for name, values in zip(table.columns, arrays, strict=True)
        ),
    )


def _array(values: Sequence[Any], kind: str) -> Column:
    if kind in _NUMBERS:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if kind == "datetime":
        moments = [None if value is None else value.astimezone(UTC).replace(tzinfo=None) for value in values]
        return np.array(moments, dtype="datetime64[us]")
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _plain(values: Column) -> list[Any]:
    if values.dtype.kind == "f":
        return [None if value != value else value for value in values.tolist()]
    if values.dtype.kind == "M":
        return [None if value is None else value.replace(tzinfo=UTC) for value in values.tolist()]
    return list(values.tolist())


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    if isinstance(value, float) and value == int(value) and abs(value) < 2**53:
        return int(value)
    return value


def table_of(columns: Mapping[str, Sequence[Any]]) -> Table:
    """A table from Python's values, as an answer would hold them; for what the console computes itself."""
    return Table(tuple(columns), tuple(_array(values, _kind(values)) for values in columns.values()))


def _kind(values: Sequence[Any]) -> str:
    known: Iterator[Any] = (value for value in values if value is not None)
    match next(known, None):
        case datetime():
            return "datetime"
        case bool() | int() | float():
            return "real"
        case _:
            return "string"
