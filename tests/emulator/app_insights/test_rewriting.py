"""Which accesses become columns, and which had better not."""

import pytest

from console.queries import load_query, query_names
from emulator.app_insights.bags import Key
from emulator.app_insights.tables import sql_columns
from emulator.app_insights.translation import translate

K, M = Key("Properties", "k"), Key("Measurements", "m")


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("AppTraces | where tostring(Properties['k']) == 'x' | project m = todouble(Measurements.m)", [(K, M)]),
        ("AppTraces | extend k = tostring(Properties.k) | top 3 by k | take 2", [(K,)]),
        ("AppTraces | summarize m = sum(toreal(Measurements['m'])) by x = tostring(Properties.k)", [(M, K)]),
        ("AppTraces | where tostring(Properties.k) == '' | join (AppEvents | where tostring(Properties.k) == '') on Id",
         [(K,), (K,)]),
        ("let t = AppTraces | where tostring(Properties.k) == 'x'; t | take 1", [(K,)]),
        ("AppTraces | where toint(Properties.k) == 1 and tostring(Measurements.m) == '1'", []),
        ("AppTraces | where tostring(Properties.k.l) == 'x'", []),
        ("AppTraces | where tostring(Properties['\"']) == 'x'", []),
        ("AppTraces | project Properties | where tostring(Properties.k) == 'x'", []),
        ("AppTraces | extend Properties = dynamic({}) | where tostring(Properties.k) == 'x'", []),
        ("AppTraces | mv-expand Properties | where tostring(Properties.k) == 'x'", []),
        ("AppTraces | summarize count() by tostring(Properties.k)", []),
        ("let AppTraces = AppEvents; AppTraces | where tostring(Properties.k) == 'x'", []),
        ("datatable(Properties:dynamic) [dynamic({})] | where tostring(Properties.k) == 'x'", []),
        ("AppMetrics | where todouble(Measurements.m) > 1", []),
    ],
)  # fmt: skip
def test_keys_that_become_columns(query: str, keys: list[tuple[Key, ...]]) -> None:
    sources = translate(query).sources.values()

    assert [source.keys for source in sources if source.keys] == keys


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("AppTraces | where SeverityLevel > 1 | extend m = Message | project m, Id = OperationId",
         {"SeverityLevel", "Message", "OperationId"}),
        ("AppTraces | summarize count()", {"TimeGenerated"}),
        ("AppTraces | top 2 by TimeGenerated | summarize x = max(ItemCount) by AppRoleName",
         {"TimeGenerated", "ItemCount", "AppRoleName"}),
        ("AppTraces | where tostring(Properties.k) == 'x' | project Message", {"Message"}),
        ("AppTraces | project Properties", {"Properties"}),
    ],
)  # fmt: skip
def test_columns_that_are_read(query: str, columns: set[str]) -> None:
    [source] = translate(query).sources.values()

    assert set(source.columns) == columns


@pytest.mark.parametrize(
    "query",
    [
        "AppTraces | where Message == 'x'",
        "AppTraces | summarize arg_max(TimeGenerated, *)",
        "AppTraces | extend x = 1 | join kind=inner (AppTraces | take 1) on OperationId",
        "AppTraces | project-away Message",
    ],
)
def test_all_columns_are_read_where_all_may_be_wanted(query: str) -> None:
    sources = translate(query).sources.values()

    assert all(set(source.columns) == set(sql_columns("AppTraces")) for source in sources)


@pytest.mark.parametrize(
    ("query", "conditions"),
    [
        ('where Message == "it\'s"', [("Message", ("it's",))]),
        ("where Message in ('a', 'b') and SeverityLevel > 1", [("Message", ("a", "b"))]),
        ("where tostring(Properties.k) == 'x' | where Message == 'y'",
         [("Properties.k", ("x",)), ("Message", ("y",))]),
        ("where Message == strcat('x', '/', 'y')", [("Message", ("x/y",))]),
        ("where Message == strcat('x', AppRoleName)", []),
        ("where Message == 'x' or Message == 'y'", []),
        ("where Message != 'x' and Message =~ 'y' and Message in~ ('z')", []),
        ("where SeverityLevel == 1 and todouble(Measurements.m) == 2", []),
        ("where tostring(Properties) == 'x'", []),
        ("extend Message = 'x' | where Message == 'x'", []),
        ("take 1 | where Message == 'x'", []),
    ],
)  # fmt: skip
def test_conditions_that_files_are_read_with(
    query: str, conditions: list[tuple[str, tuple[str, ...]]]
) -> None:
    sources = translate(f"AppTraces | {query}").sources.values()

    found = [(each.column, each.texts) for source in sources for each in source.conditions]
    assert found == conditions


@pytest.mark.parametrize("name", query_names())
def test_no_query_of_the_console_parses_bags(name: str) -> None:
    sql = translate(load_query(name).text()).sql

    assert "->> '$" not in sql.replace(" ->> '$'", "")
