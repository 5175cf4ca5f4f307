"""The benchmark of the console's queries, small."""

from benchmarks.kql import KqlBench, format_table, run
from console.queries import query_names


def test_every_query_is_answered_and_timed() -> None:
    figures = run(KqlBench(n_spans=60_000, n_hours=2, n_rounds=1))

    assert figures["rows"] == 60_000 + 2 * 60 * 4 * 8
    assert list(figures["queries"]) == query_names()
    assert all(of_query["n"] == 1 and of_query["p50_ms"] > 0 for of_query in figures["queries"].values())
    has_rows = {name for name, of_query in figures["queries"].items() if of_query["rows_answered"]}
    assert has_rows == set(query_names()) - {"cold_start_phases"}
    assert "latency_percentiles" in format_table(figures)
