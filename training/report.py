"""`docs/models.md`: what each rung of the ladder costs and gives, from the result files of all runs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from recserve.inference.manifest import Metrics, Variant
from training.results import RunResult, read_results

HEAD = """\
# The model ladder, measured

Written by `python -m training report` from `training/results/`. Every figure is leave-one-out by time over the whole
catalogue, judged by the lists that the exported graphs answer with; latency is the median of one run on one
thread, rungs in turns, histories as long as the model reads. NDCG@10 has its bootstrap 95 % interval over users.
[The evaluation](../training/evaluation.py) defines each figure.
"""

COST_HEAD = """\
| rung | NDCG@10 | 95 % interval | of the first | size | smaller | batch 1 | faster | batch 8 | batch 32 | load | RSS |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""

PICTURE: Any = {"figure.figsize": (9, 4), "svg.fonttype": "none", "svg.hashsalt": "recserve", "font.size": 9}


def write_report(results_dir: Path, page: Path) -> None:
    """Write the page, and one picture a dataset beside it."""
    parts = [HEAD]
    for result in read_results(results_dir):
        picture = page.with_name(f"models-{result.manifest.dataset.name}.svg")
        draw(result, picture)
        parts.append(describe(result, picture.name))
    page.write_text("\n".join(parts), encoding="utf-8")


def describe(result: RunResult, picture: str) -> str:
    """The section of one dataset."""
    manifest = result.manifest
    dataset, provenance = manifest.dataset, manifest.provenance
    return f"""
## {dataset.name}

{dataset.n_users} users, {dataset.n_items} items, {dataset.n_interactions} interactions. Licence: {dataset.licence}.

![Quality against latency and size, and how the fits went]({picture})

{COST_HEAD}
{_lines(_cost_row(variant, manifest.ladder[0]) for variant in manifest.ladder)}

| rung | HR@5 / 10 / 20 | NDCG@5 / 10 / 20 | MRR@5 / 10 / 20 | coverage | novelty | diversity | identical | overlap |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{_lines(_quality_row(variant) for variant in manifest.ladder)}

NDCG@10 by the length of the history:

{_length_table(manifest.ladder)}

{_lines(f"- **{variant.name}**: {variant.description}." for variant in manifest.ladder)}

Served: {", ".join(manifest.serving)}. Measured and not shipped:

{_lines(_unshipped_row(name, model.metrics, model.reason) for name, model in manifest.unshipped.items())}

Identical is the share of test users whose first ten are those of the PyTorch model, in the same order; overlap the mean
share of the first ten that are also among that model's. Counts and popularity have ties, which the two put in
different orders.

    {provenance.command}

Commit `{provenance.commit}`, {provenance.machine}, seed {provenance.seed},
{", ".join(f"{name} {version}" for name, version in provenance.packages.items())}.
"""


def draw(result: RunResult, path: Path) -> None:
    """Quality against latency, size as area; beside it the looks at validation of every fit."""
    with rc_context(PICTURE):
        figure = Figure(layout="constrained")
        frontier, curves = figure.subplots(1, 2)
        _draw_frontier(frontier, result.manifest.ladder)
        for name, looks in result.looks.items():
            curves.plot([look.epoch for look in looks], [look.ndcg_10 for look in looks], label=name)
        curves.set_xlabel("epoch")
        curves.set_ylabel("NDCG@10 on validation, without counts")
        curves.set_title("How the fits went", loc="left")
        curves.legend(frameon=False)
        for axes in (frontier, curves):
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, metadata={"Date": None})


def _draw_frontier(axes: Axes, ladder: list[Variant]) -> None:
    largest = max(variant.file.bytes for variant in ladder)
    for variant in ladder:
        metrics, latency_ms = variant.metrics, variant.measurement.latency_ms["1"]
        quality = metrics.ndcg["10"]
        spread = [[quality - metrics.ndcg_10_low], [metrics.ndcg_10_high - quality]]
        axes.errorbar(latency_ms, quality, yerr=spread, color="#9aa5b1", linewidth=1, zorder=1)
        area = 15 + 40 * variant.file.bytes / largest * 4
        label = f"{variant.name}, {variant.file.bytes / 1e6:.2f} MB"
        axes.scatter(latency_ms, quality, s=area, label=label, alpha=0.85, zorder=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, loc="lower right")
    axes.set_xlabel("one run for one user, ms (log)")
    axes.set_ylabel("NDCG@10 on test, 95 % interval")
    axes.set_title("What a millisecond buys; area is size", loc="left")


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _cost_row(variant: Variant, first: Variant) -> str:
    metrics, measurement = variant.metrics, variant.measurement
    latency, first_latency = measurement.latency_ms, first.measurement.latency_ms
    return (
        f"| {variant.name} | {metrics.ndcg['10']:.4f} | {metrics.ndcg_10_low:.4f} to {metrics.ndcg_10_high:.4f} "
        f"| {metrics.ndcg['10'] / first.metrics.ndcg['10']:.1%} | {variant.file.bytes / 1e6:.2f} MB "
        f"| {first.file.bytes / variant.file.bytes:.1f} x | {latency['1']:.3f} ms "
        f"| {first_latency['1'] / latency['1']:.1f} x | {latency['8']:.3f} ms | {latency['32']:.3f} ms "
        f"| {measurement.load_ms:.1f} ms | {measurement.rss_mib:.1f} MiB |"
    )


def _quality_row(variant: Variant) -> str:
    metrics = variant.metrics
    triples = " | ".join(
        " / ".join(f"{of_name[cutoff]:.4f}" for cutoff in ("5", "10", "20"))
        for of_name in (metrics.hr, metrics.ndcg, metrics.mrr)
    )
    diversity = "-" if metrics.diversity_10 is None else f"{metrics.diversity_10:.3f}"
    return (
        f"| {variant.name} | {triples} | {metrics.coverage_10:.1%} | {metrics.novelty_10:.2f} bits | {diversity} "
        f"| {variant.identical:.2%} | {variant.overlap:.2%} |"
    )


def _length_table(ladder: list[Variant]) -> str:
    bands = list(ladder[0].metrics.ndcg_10_by_length)
    rows = [
        f"| {variant.name} | "
        + " | ".join(f"{variant.metrics.ndcg_10_by_length[band]:.4f}" for band in bands)
        + " |"
        for variant in ladder
    ]
    return _lines([f"| rung | {' | '.join(bands)} |", "| --- " * (len(bands) + 1) + "|", *rows])


def _unshipped_row(name: str, metrics: Metrics, reason: str) -> str:
    return (
        f"- {name}: NDCG@10 {metrics.ndcg['10']:.4f} "
        f"[{metrics.ndcg_10_low:.4f}, {metrics.ndcg_10_high:.4f}]; {reason}."
    )
