"""SQL in fewer words, of the same meaning."""

from datetime import datetime

import duckdb
import duckdb_kql
import pytest

from emulator.app_insights.shortcuts import shorten

VALUES = """datatable(r:real, l:long, i:int, s:string, b:bool, d:datetime, t:timespan, j:dynamic) [
    1.5, 7, -3, "12", true, datetime(2026-11-22), 90s, dynamic({"r": 2.5, "s": "3", "a b": "x_v"}),
    -2.7, 5000000000, 1, " 0x1f ", false, datetime(1970-01-01), time(-1.00:00:00), dynamic({"r": 7, "s": null}),
    1e300, -5000000000, 0, "none", true, datetime(null), timespan(null), dynamic({}),
    real(nan), long(null), int(null), "", bool(null), datetime(2026-11-22 14:00), 1ms, dynamic(null),
]"""


@pytest.mark.parametrize("cast", ["toint", "tolong", "todouble", "tostring"])
@pytest.mark.parametrize(
    "value",
    [
        "r",
        "l",
        "i",
        "s",
        "b",
        "d",
        "t",
        "j.r",
        "j.s",
        "ceiling(r)",
        "log(r) / log(2)",
        'strcat(s, "_v", "]")',
        "-r",
    ],
)
def test_conversions_give_the_same(cast: str, value: str) -> None:
    sql = str(duckdb_kql.to_sql(f"{VALUES} | project x = {cast}({value}), y = tolong(i) + toint({cast}(l))"))

    assert repr(duckdb.execute(shorten(sql)).fetchall()) == repr(duckdb.execute(sql).fetchall())


def test_number_of_a_column_is_converted_without_a_list() -> None:
    sql = str(duckdb_kql.to_sql("T | project bucket = toint(ceiling(log(ms)))"))

    assert "list_transform([ceil" in sql
    assert "list_transform([ceil" not in shorten(sql)


def test_what_is_costly_is_written_once() -> None:
    sql = shorten(str(duckdb_kql.to_sql("T | project n = toint(C.key)")))

    assert sql.count("""json_extract("C", '$.key')""") == 1


@pytest.mark.parametrize("width", ["1s", "5m", "7d", "100ms", "2500microseconds"])
@pytest.mark.parametrize("moment", ["d", "d - 1m", "d + 36h"])
def test_bins_of_time_are_the_same(moment: str, width: str) -> None:
    sql = str(duckdb_kql.to_sql(f"{VALUES} | project x = bin({moment}, {width})"))
    shortened = shorten(sql)

    assert duckdb.execute(shortened).fetchall() == duckdb.execute(sql).fetchall()
    assert "floor(epoch(" not in shortened


def test_bin_of_a_moment_before_1970_begins_before_it() -> None:
    sql = shorten(
        str(
            duckdb_kql.to_sql(
                "datatable(d:datetime) [datetime(1969-12-31 23:59:59)] | project x = bin(d, 1h)"
            )
        )
    )

    assert duckdb.execute(sql).fetchall() == [(datetime(1969, 12, 31, 23),)]
