"""`docs/models.md`: what each rung of the ladder costs and gives, from the result files of all runs."""

import io
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from recserve.inference.manifest import Manifest, Metrics, Variant
from training.results import RunResult, read_results
from training.writing import write_whole

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

TARGET_SMALLER, TARGET_FASTER, TARGET_QUALITY = 8.0, 3.0, 0.97
"What int8 should reach against the teacher: bytes, one run for one user, NDCG@10."

PICTURE: Any = {"figure.figsize": (9, 4), "svg.fonttype": "none", "svg.hashsalt": "recserve", "font.size": 9}


def write_report(results_dir: Path, page: Path) -> None:
    """Write the page, and one picture a dataset beside it.

    Raises:
        ResultError: a result file is none.
        OSError: the disk refuses.
    """
    parts = [HEAD]
    for result in read_results(results_dir):
        picture = page.with_name(f"models-{result.manifest.dataset.name}.svg")
        draw(result, picture)
        parts.append(describe(result, picture.name))
    write_whole(page, "\n".join(parts).encode())


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

{_lines(_description_row(variant) for variant in manifest.ladder)}

{_int8_targets(manifest.ladder)}

{_served(manifest)} Measured and not shipped:

{_lines(_unshipped_row(name, model.metrics, model.reason) for name, model in manifest.unshipped.items())}

Identical is the share of test users whose first ten are those of the PyTorch model, in the same order; overlap the mean
share of the first ten that are also among that model's. Of equal scores, both put the lower item number first.

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
        picture = io.BytesIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    write_whole(path, picture.getvalue())


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


def _description_row(variant: Variant) -> str:
    return (
        f"- **{variant.name}**: {variant.description}; {variant.parameters} parameters, "
        f"SHA-256 `{variant.file.sha256[:12]}`."
    )


def _int8_targets(ladder: list[Variant]) -> str:
    """What int8 reaches against the teacher, and what each step on the way to it gives."""
    steps = [variant for variant in ladder if variant.is_neural]
    if {"teacher", "int8"} - {variant.name for variant in steps}:
        return "The targets of int8 against the teacher have no figures here: one of the two is not shipped."
    first = next(variant for variant in steps if variant.name == "teacher")
    int8 = next(variant for variant in steps if variant.name == "int8")
    smaller, faster, quality = _gains(int8, first)
    floor = next(variant for variant in ladder if variant.name == "counts").measurement.latency_ms["1"]
    first_ms = first.measurement.latency_ms["1"]
    return f"""\
| target for int8 against the teacher | measured | |
| --- | --- | --- |
| at least {TARGET_SMALLER:g} x smaller | {smaller:.2f} x | {_verdict(smaller >= TARGET_SMALLER)} |
| at least {TARGET_FASTER:g} x faster at batch 1 | {faster:.2f} x | {_verdict(faster >= TARGET_FASTER)} |
| at least {TARGET_QUALITY:.0%} of its NDCG@10 | {quality:.1%} | {_verdict(quality >= TARGET_QUALITY)} |

Where that comes from, each step against the one before:

| step | smaller | faster at batch 1 | NDCG@10 |
| --- | --- | --- | --- |
{_lines(_step_row(after, before) for before, after in pairwise(steps))}

The target leaves {first_ms / TARGET_FASTER:.3f} ms for one run. Counts alone, which every blend has inside, take
{floor:.3f} ms; [decisions](decisions.md) tells where the rest goes."""


def _step_row(after: Variant, before: Variant) -> str:
    smaller, faster, quality = _gains(after, before)
    return f"| {before.name} to {after.name} | {smaller:.2f} x | {faster:.2f} x | {quality:.1%} |"


def _served(manifest: Manifest) -> str:
    served = f"Served: {', '.join(manifest.serving)}."
    on_validation = [
        f"{variant.name} {variant.validation_ndcg_10:.4f}"
        for variant in manifest.ladder
        if variant.is_neural and variant.validation_ndcg_10 is not None
    ]
    if not on_validation:
        return served
    figures = ", ".join(on_validation)
    return f"{served} The first is the cheapest that keeps most of the best NDCG@10 on validation: {figures}."


def _gains(variant: Variant, other: Variant) -> tuple[float, float, float]:
    """How much smaller and faster a rung is than another, and the share of its NDCG@10 that is left."""
    return (
        other.file.bytes / variant.file.bytes,
        other.measurement.latency_ms["1"] / variant.measurement.latency_ms["1"],
        variant.metrics.ndcg["10"] / other.metrics.ndcg["10"],
    )


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _unshipped_row(name: str, metrics: Metrics, reason: str) -> str:
    return (
        f"- {name}: NDCG@10 {metrics.ndcg['10']:.4f} "
        f"[{metrics.ndcg_10_low:.4f}, {metrics.ndcg_10_high:.4f}]; {reason}."
    )
