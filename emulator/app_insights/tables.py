"""The tables of a workspace-based Application Insights resource: every column, its type and its source.

Names and types are those of the Azure Monitor table reference, with the standard columns of Azure Monitor
Logs. What ingestion stores, what Parquet files hold, what queries see and what the Kusto checker of the tests
knows all come from `TABLES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from emulator.app_insights.readings import (
    duration_ms,
    flag,
    masked_ip,
    measurements,
    number,
    performance_bucket,
    performance_counter,
    severity,
    text,
    timestamp,
)

INSTRUMENTATION_KEY = "3c1d1a2e-5f0b-4d0e-8a53-9a4f2d0c7b11"
"The key that every emulator has; it is no secret."
WORKSPACE_ID = "9a6f2c9e-2f43-4c52-9d3b-64d1f7f0a2e8"
"Shown as TenantId; queries for any other workspace are answered too."
RESOURCE_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/local"
    "/providers/microsoft.insights/components/emulator"
)

KustoType: TypeAlias = Literal["string", "int", "real", "bool", "datetime", "dynamic"]
SQL_TYPES: dict[KustoType, str] = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "real": "DOUBLE",
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
}
BAGS: dict[str, KustoType] = {"Properties": "string", "Measurements": "real"}
"Columns that are bags of one level, and the type of their values."


def connection_string(url: str) -> str:
    """What an app that sends to the emulator at this address needs to know."""
    return f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint={url}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One telemetry item, as far as columns read it."""

    table: str
    time: datetime
    "When the sender says that it happened, UTC."
    received: datetime
    key: str
    tags: dict[str, Any]
    data: dict[str, Any]
    "The envelope's baseData; for metrics with the data point's fields beside."
    item_count: int
    "How many items it stands for: round(100 / sampleRate)."
    n_bytes: int
    item_id: str


Read: TypeAlias = Callable[[Item], object]


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and how an item's value for it is read; None leaves it empty."""

    name: str
    type: KustoType
    read: Read


def _tag(name: str) -> Read:
    return lambda item: text(item.tags.get(name))


def _text(name: str) -> Read:
    return lambda item: text(item.data.get(name))


def _real(name: str) -> Read:
    return lambda item: number(item.data.get(name))


def _ms(name: str) -> Read:
    return lambda item: duration_ms(item.data.get(name))


def _bag(name: str) -> Read:
    return lambda item: item.data.get(name) or {}


def _measurements(item: Item) -> object:
    return measurements(item.data.get("measurements"))


def _exception(index: int, name: str) -> Read:
    """A field of one of the exceptions: 0 is the outermost, -1 the innermost."""

    def read(item: Item) -> object:
        exceptions = item.data.get("exceptions") or [{}]
        return text(exceptions[index].get(name))

    return read


def _frame(index: int, name: str) -> Read:
    """A field of the newest stack frame of one of the exceptions."""

    def read(item: Item) -> object:
        exceptions = item.data.get("exceptions") or [{}]
        frames = exceptions[index].get("parsedStack") or [{}]
        return text(frames[0].get(name))

    return read


def _counter(part: str) -> Read:
    return lambda item: performance_counter(item.data.get("name")).get(part)


def _empty(_: Item) -> None:
    return None


_STANDARD = (
    Column("TimeGenerated", "datetime", lambda item: timestamp(item.time)),
    Column("TenantId", "string", lambda _: WORKSPACE_ID),
    Column("SourceSystem", "string", lambda _: "Azure"),
    Column("Type", "string", lambda item: item.table),
    Column("_BilledSize", "real", lambda item: item.n_bytes),
    Column("_IsBillable", "string", lambda _: "True"),
    Column("_ItemId", "string", lambda item: item.item_id),
    Column("_ResourceId", "string", lambda _: RESOURCE_ID),
    Column("_SubscriptionId", "string", lambda _: RESOURCE_ID.split("/")[2]),
    Column("_TimeReceived", "datetime", lambda item: timestamp(item.received)),
)
_CONTEXT = (
    Column("AppRoleInstance", "string", _tag("ai.cloud.roleInstance")),
    Column("AppRoleName", "string", _tag("ai.cloud.role")),
    Column("AppVersion", "string", _tag("ai.application.ver")),
    Column("ClientBrowser", "string", _empty),
    Column("ClientCity", "string", _empty),
    Column("ClientCountryOrRegion", "string", _empty),
    Column("ClientIP", "string", lambda item: masked_ip(item.tags.get("ai.location.ip"))),
    Column("ClientModel", "string", _tag("ai.device.model")),
    Column("ClientOS", "string", _tag("ai.device.osVersion")),
    Column("ClientStateOrProvince", "string", _empty),
    Column("ClientType", "string", lambda item: text(item.tags.get("ai.device.type")) or "PC"),
    Column("IKey", "string", lambda item: item.key),
    Column("OperationId", "string", _tag("ai.operation.id")),
    Column("OperationName", "string", _tag("ai.operation.name")),
    Column("ParentId", "string", _tag("ai.operation.parentId")),
    Column("Properties", "dynamic", _bag("properties")),
    Column("ResourceGUID", "string", lambda item: item.key),
    Column("SDKVersion", "string", _tag("ai.internal.sdkVersion")),
    Column("SessionId", "string", _tag("ai.session.id")),
    Column("SyntheticSource", "string", _tag("ai.operation.syntheticSource")),
    Column("UserAccountId", "string", _tag("ai.user.accountId")),
    Column("UserAuthenticatedId", "string", _tag("ai.user.authUserId")),
    Column("UserId", "string", _tag("ai.user.id")),
)
_SAMPLED = (
    Column("ItemCount", "int", lambda item: item.item_count),
    Column("Measurements", "dynamic", _measurements),
)
_REFERENCES = (
    Column("ReferencedItemId", "string", _empty),
    Column("ReferencedType", "string", _empty),
)
_TIMED = (
    Column("Id", "string", _text("id")),
    Column("Name", "string", _text("name")),
    Column("DurationMs", "real", _ms("duration")),
    # In the service, in its sample queries, and missing in the table reference.
    Column("PerformanceBucket", "string", lambda item: performance_bucket(item.data.get("duration"))),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "AppRequests": (
        *(_STANDARD + _TIMED + _CONTEXT + _SAMPLED + _REFERENCES),
        Column("ResultCode", "string", _text("responseCode")),
        Column("Source", "string", _text("source")),
        Column("Success", "bool", lambda item: flag(item.data.get("success", True))),
        Column("Url", "string", _text("url")),
    ),
    "AppDependencies": (
        *(_STANDARD + _TIMED + _CONTEXT + _SAMPLED + _REFERENCES),
        Column("Data", "string", _text("data")),
        Column("DependencyType", "string", _text("type")),
        Column("ResultCode", "string", _text("resultCode")),
        Column("Success", "bool", lambda item: flag(item.data.get("success", True))),
        Column("Target", "string", _text("target")),
    ),
    "AppTraces": (
        *(_STANDARD + _CONTEXT + _SAMPLED + _REFERENCES),
        Column("Message", "string", _text("message")),
        Column("SeverityLevel", "int", lambda item: severity(item.data.get("severityLevel"))),
    ),
    "AppExceptions": (
        *(_STANDARD + _CONTEXT + _SAMPLED),
        Column("Assembly", "string", _frame(0, "assembly")),
        Column("Details", "dynamic", _bag("exceptions")),
        Column("ExceptionType", "string", _exception(0, "typeName")),
        Column("HandledAt", "string", _empty),
        Column("InnermostAssembly", "string", _frame(-1, "assembly")),
        Column("InnermostMessage", "string", _exception(-1, "message")),
        Column("InnermostMethod", "string", _frame(-1, "method")),
        Column("InnermostType", "string", _exception(-1, "typeName")),
        Column("Message", "string", _exception(0, "message")),
        Column("Method", "string", _frame(0, "method")),
        Column("OuterAssembly", "string", _frame(0, "assembly")),
        Column("OuterMessage", "string", _exception(0, "message")),
        Column("OuterMethod", "string", _frame(0, "method")),
        Column("OuterType", "string", _exception(0, "typeName")),
        Column("ProblemId", "string", _text("problemId")),
        Column("SeverityLevel", "int", lambda item: severity(item.data.get("severityLevel"))),
    ),
    "AppMetrics": (
        *(_STANDARD + _CONTEXT),
        Column("ItemCount", "int", lambda item: item.item_count),
        Column("Max", "real", _real("max")),
        Column("Min", "real", _real("min")),
        Column("Name", "string", _text("name")),
        Column("Sum", "real", _real("value")),
    ),
    "AppPerformanceCounters": (
        *(_STANDARD + _CONTEXT),
        Column("Category", "string", _counter("category")),
        Column("Counter", "string", _counter("counter")),
        Column("Instance", "string", _counter("instance")),
        Column("Name", "string", _counter("counter")),
        Column("Value", "real", _real("value")),
    ),
    "AppEvents": (
        *(_STANDARD + _CONTEXT + _SAMPLED),
        Column("Name", "string", _text("name")),
    ),
    "AppAvailabilityResults": (
        *(_STANDARD + _TIMED + _CONTEXT + _SAMPLED),
        Column("Location", "string", _text("runLocation")),
        Column("Message", "string", _text("message")),
        Column("Success", "bool", lambda item: flag(item.data.get("success", True))),
    ),
    "AppPageViews": (
        *(_STANDARD + _TIMED + _CONTEXT + _SAMPLED),
        Column("Url", "string", _text("url")),
    ),
    "AppBrowserTimings": (
        *(_STANDARD + _CONTEXT + _SAMPLED),
        Column("Name", "string", _text("name")),
        Column("NetworkDurationMs", "real", _ms("networkConnect")),
        Column("ProcessingDurationMs", "real", _ms("domProcessing")),
        Column("ReceiveDurationMs", "real", _ms("receivedResponse")),
        Column("SendDurationMs", "real", _ms("sentRequest")),
        Column("TotalDurationMs", "real", _ms("perfTotal")),
        Column("Url", "string", _text("url")),
    ),
    "AppSystemEvents": (
        *_STANDARD,
        Column("EventType", "string", _empty),
        Column("Measurements", "dynamic", _measurements),
        Column("Name", "string", _text("name")),
        Column("Properties", "dynamic", _bag("properties")),
    ),
}
BASE_TYPES = {
    "RequestData": "AppRequests",
    "RemoteDependencyData": "AppDependencies",
    "MessageData": "AppTraces",
    "ExceptionData": "AppExceptions",
    "MetricData": "AppMetrics",
    "EventData": "AppEvents",
    "AvailabilityData": "AppAvailabilityResults",
    "PageViewData": "AppPageViews",
    "PageViewPerfData": "AppBrowserTimings",
}


def row_of(item: Item) -> dict[str, object]:
    """An item as its table's row; columns without a value are left out."""
    values = ((column.name, column.read(item)) for column in TABLES[item.table])
    return {name: value for name, value in values if value is not None}


def sql_columns(table: str) -> dict[str, str]:
    """SQL type by column, in the table's order."""
    return {column.name: SQL_TYPES[column.type] for column in TABLES[table]}


def kusto_schema() -> dict[str, dict[str, str]]:
    """Kusto type by column by table: what a checker of queries has to know."""
    return {table: {column.name: column.type for column in columns} for table, columns in TABLES.items()}
