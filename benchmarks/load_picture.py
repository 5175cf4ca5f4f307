"""A load in one picture: latency, arrivals and instances over time."""

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "recserve", "font.size": 9}
ABOVE: Any = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1, "frameon": False}
OUTCOMES = (
    ("n_200", "answered", "#4c8c4a"),
    ("n_429", "refused", "#d9a441"),
    ("n_failed", "failed", "#b3423a"),
)


def draw(result: dict[str, Any], picture: Path) -> None:
    """Draw the course of a result of `python -m benchmarks load`; the suffix of the path tells the format."""
    course = result["figures"]["course"]
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 7), layout="constrained")
        latency, arrivals, instances = figure.subplots(3, sharex=True, height_ratios=(3, 2, 2))
        _draw_latency(latency, course)
        _draw_arrivals(arrivals, course)
        _draw_instances(instances, course)
        instances.set_xlabel("seconds from the start, by scheduled instant")
        figure.suptitle(_title(result), fontsize=10)
        figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)


def _title(result: dict[str, Any]) -> str:
    answered = result["figures"]["answered"]
    said = f"{result['settings']['shape']}, {result['figures']['n_sent']} requests"
    if answered["n"]:
        p50_ms, p99_ms, p99_9_ms = (answered[f"{name}_ms"] for name in ("p50", "p99", "p99_9"))
        said += f", p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, p99.9 {p99_9_ms:.1f} ms"
    return said if result["valid"] else f"{said}\nINVALID: {result['reasons'][0]}"


def _draw_latency(axes: Axes, course: list[dict[str, Any]]) -> None:
    told = [part for part in course if part["n_200"]]
    at_s = [part["at_s"] + part["width_s"] / 2 for part in told]
    for name, label in (("p50_ms", "p50"), ("p99_ms", "p99"), ("max_ms", "longest")):
        axes.plot(at_s, [part[name] for part in told], label=label, linewidth=1.2)
    if told:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend(**ABOVE, ncols=3)
    axes.set_ylabel("latency of answers, ms")
    axes.grid(alpha=0.3)


def _draw_arrivals(axes: Axes, course: list[dict[str, Any]]) -> None:
    below = [0.0] * len(course)
    for name, label, colour in OUTCOMES:
        per_s = [part[name] / part["width_s"] for part in course]
        _bars(axes, course, per_s, below, label=label, color=colour)
        below = [a + b for a, b in zip(below, per_s, strict=True)]
    axes.legend(**ABOVE, ncols=3)
    axes.set_ylabel("arrivals a second")


def _draw_instances(axes: Axes, course: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for part in course for name in part["instances"]))
    below = [0.0] * len(course)
    for name in names:
        per_s = [part["instances"].get(name, 0) / part["width_s"] for part in course]
        _bars(axes, course, per_s, below, label=name)
        below = [a + b for a, b in zip(below, per_s, strict=True)]
    if 0 < len(names) <= 8:
        axes.legend(**ABOVE, ncols=8, fontsize=7)
    axes.set_ylabel(f"answers a second\nby instance ({len(names)})")


def _bars(
    axes: Axes, course: list[dict[str, Any]], heights: list[float], below: list[float], **style: Any
) -> None:
    at_s, widths_s = [part["at_s"] for part in course], [part["width_s"] for part in course]
    axes.bar(at_s, heights, widths_s, below, align="edge", **style)
