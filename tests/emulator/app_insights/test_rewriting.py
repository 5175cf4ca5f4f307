"""Which accesses become columns, and which had better not."""

import pytest

from console.queries import load_query, query_names
from emulator.app_insights.bags import Key
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


@pytest.mark.parametrize("name", query_names())
def test_no_query_of_the_console_parses_bags(name: str) -> None:
    sql = translate(load_query(name).text()).sql

    assert "->> '$" not in sql.replace(" ->> '$'", "")
