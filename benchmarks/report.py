"""Writes the README's tables from result files and the manifest, between their markers."""

import json
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS_DIR

README = Path(__file__).parent.parent / "README.md"
MANIFEST = Path(__file__).parent.parent / "models" / "manifest.json"


def ladder_table() -> str:
    manifest = json.loads(MANIFEST.read_text())
    measured = [(name, metrics, None) for name, metrics in manifest["measured"].items()]
    shipped = [(v["name"], v["metrics"], v["file"]["bytes"]) for v in manifest["ladder"]]
    rows = [
        f"| {name} | {m['ndcg_10']:.4f} | {m['ndcg_10_low']:.4f} to {m['ndcg_10_high']:.4f} "
        f"| {m['hr_10']:.4f} | {f'{size / 1e6:.2f} MB' if size else 'not shipped'} |"
        for name, m, size in sorted(shipped + measured, key=lambda row: -row[1]["ndcg_10"])
    ]
    head = ["| model | NDCG@10 | 95 % interval | HR@10 | size |", "| --- | --- | --- | --- | --- |"]
    return "\n".join(head + rows)


def overhead_table() -> str:
    result = _read("overhead")
    rows = [
        f"| {label} | {f['p50_ms']:.3f} ms | {f['p95_ms']:.3f} ms | {f['p99_ms']:.3f} ms |"
        for label, f in (
            ("`session.run` alone", result["figures"]["session_run"]),
            ("`service.recommend`", result["figures"]["service_recommend"]),
            ("overhead, pair by pair", result["figures"]["overhead"]),
        )
    ]
    head = ["| | p50 | p95 | p99 |", "| --- | --- | --- | --- |"]
    machine = result["machine"]
    note = (
        f"\n{result['figures']['overhead']['n']} pairs, interleaved, {result['date'][:10]}, commit "
        f"{result['commit']}, {machine['cores']} shared cores, Python {machine['python']}."
    )
    return "\n".join(head + rows) + "\n" + note


TABLES = {"ladder": ladder_table, "overhead": overhead_table}


def update_readme(readme: Path = README) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->` for every table."""
    text = readme.read_text()
    for name, table in TABLES.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not closing:
            raise ValueError(f"{readme} has no table <!-- {name} --> ... <!-- /{name} -->")
        text = before + opening + table() + "\n" + closing + after
    readme.write_text(text)


def _read(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS_DIR / f"{name}.json").read_text())
    return result
