"""The benchmark of the console's queries, small."""

from benchmarks.kql import KqlBench, format_table, run
from console.queries import query_names


def test_every_query_finds_rows_and_is_timed() -> None:
    figures = run(KqlBench(n_requests=6_000, n_hours=2, n_rounds=1))

    assert figures["rows"] > 2 * 6_000
    assert list(figures["queries"]) == query_names()
    assert all(of_query["n"] == 1 and of_query["p50_ms"] > 0 for of_query in figures["queries"].values())
    assert [name for name, of_query in figures["queries"].items() if not of_query["rows_answered"]] == []
    assert "latency_percentiles" in format_table(figures)
