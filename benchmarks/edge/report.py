"""What docs/edge.md shows of measurements: a column for each client that was measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import machine_line, read_result
from benchmarks.results import RESULTS_DIR

EDGE = Path(__file__).parents[2] / "docs" / "edge.md"
CLIENTS = {"edge_browser": "in Chromium", "edge_parity": "in Python"}
"Heading by result file."
FOR_CLOUD = 0.1
"Share of requests that edge cannot answer, in the rows of round trips."


def edge_table() -> str:
    results = {name: read_result(name) for name in CLIENTS if (RESULTS_DIR / f"{name}.json").exists()}
    columns = [_column(result["figures"]) for result in results.values()]
    titles = list(dict.fromkeys(title for column in columns for title in column))
    rows = [f"| {title} | {' | '.join(column.get(title, '-') for column in columns)} |" for title in titles]
    head = [
        f"| | {' | '.join(CLIENTS[name] for name in results)} |",
        f"| --- {'| --- ' * len(results)}|",
    ]
    notes = [f"{CLIENTS[name][3:]}: {machine_line(result)}" for name, result in results.items()]
    note = f"Of the requests in the rows of round trips edge cannot answer {FOR_CLOUD:.0%}; times are p50 and p95."
    return "\n".join(head + rows) + "\n\n" + " ".join([note, *notes])


def _column(figures: dict[str, Any]) -> dict[str, str]:
    """What one client came to, by title of the row."""
    parity, local, ndcg, offline = (figures[name] for name in ("parity", "local", "ndcg", "offline"))
    column = {
        "the service's first ten, in their order": f"{parity['identical']:.2%} of {parity['n']:,} histories",
        "a local answer": f"p50 {local['p50_ms']:.2f} ms, p95 {local['p95_ms']:.2f} ms",
    }
    if starts := figures.get("starts"):
        column["first answer of a page, cold and from its cache"] = (
            f"{starts['cold']['median_ms']:.0f} ms, {starts['from_cache']['median_ms']:.0f} ms"
        )
    column |= {
        "bundle on the wire": f"{figures['wire_bytes'] / 1e3:.0f} kB",
        "NDCG@10, edge and cloud": f"{ndcg['edge']:.4f}, {ndcg['cloud']:.4f}",
        "lost, 95 % interval": f"{ndcg['lost']:.4f} ({ndcg['lost_low']:.4f} to {ndcg['lost_high']:.4f})",
    }
    for each in figures["round_trips"]:
        if each.get("for_cloud", FOR_CLOUD) == FOR_CLOUD:
            device, cloud = (
                f"{of_side['p50_ms']:.1f} and {of_side['p95_ms']:.1f} ms"
                for of_side in (each["device"], each["cloud_only"])
            )
            column[f"round trip {each['round_trip_ms']:.0f} ms"] = (
                f"{each['share_local']:.1%} local; {device}, all by the cloud {cloud}"
            )
    column["without a network"] = (
        f"{offline['n']} answers, {offline['n_delivered_once']} of {offline['n_waiting']} events kept once afterwards"
    )
    return column


EDGE_BLOCKS: dict[str, Callable[[], str]] = {"edge": edge_table}
"Of `docs/edge.md`."
