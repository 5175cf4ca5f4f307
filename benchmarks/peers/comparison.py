"""Ratios over interleaved rounds.

Both sides of a round share its disturbances, so each round gives one ratio. Speeds vary by factors, not by
differences: the interval is Student's t on the logarithms, exp(mean ± t s / sqrt(n)). With three rounds t is
4.3, and the interval says how little three rounds can say; it assumes that rounds are alike and independent.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from benchmarks.peers.contenders import OURS, UNLIMITED

# Where each figure stands in what was measured of a contender.
FIGURES = {
    "first_answer_s": ("first_answer_s",),
    "p50_ms": ("one_client_ms", "p50_ms"),
    "p99_ms": ("one_client_ms", "p99_ms"),
    "p50_same_setting_ms": ("same_setting_ms", "p50_ms"),
    "answers_per_s": ("answers_per_s",),
    "answers_per_s_few": ("few_callers", "answers_per_s"),
    "rate_per_s": ("rate_per_s",),
}
TARGETS = (
    ("answers_per_s", "at least", 1.2),
    ("p50_ms", "at most", 0.5),
    ("p50_same_setting_ms", "at most", 0.5),
)
"Of the ratio to Mosec."

# The 97.5 % quantile of Student's t by degrees of freedom.
_T: tuple[float, ...] = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)


class Ratio(TypedDict):
    ratio: float
    "Geometric mean over rounds."
    low: float | None
    "Ends of the 95 % interval; None with a single round."
    high: float | None


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """Ours over theirs, round by round; None where a side has nothing above zero to show.

    Args:
        ours: a positive figure of each round.
        theirs: of the same rounds.
    """
    if not ours or min(*ours, *theirs) <= 0:
        return None
    logs = [math.log(our / their) for our, their in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return Ratio(ratio=round(math.exp(mean), 3), low=None, high=None)
    freedom = len(logs) - 1
    t = _T[freedom - 1] if freedom <= len(_T) else 2.0
    half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    low, middle, high = (round(math.exp(value), 3) for value in (mean - half, mean, mean + half))
    return Ratio(ratio=middle, low=low, high=high)


def rotated(names: Sequence[str], number: int) -> list[str]:
    """The order of round `number`: another begins each time."""
    start = number % len(names)
    return [*names[start:], *names[:start]]


def summarise(rounds: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Medians of every contender, our ratios to every peer, and whether the targets are met.

    Args:
        rounds: what was measured of each contender.
    """
    if not rounds:
        return {"contenders": {}, "ratios": {}, "targets": []}
    names = list(rounds[0])
    series = {
        name: {figure: [_figure(measured[name], figure) for measured in rounds] for figure in FIGURES}
        for name in names
    }
    ratios = {
        ours: {
            name: {figure: paired_ratio(series[ours][figure], series[name][figure]) for figure in FIGURES}
            for name in names
            if name not in (OURS, UNLIMITED)
        }
        for ours in (OURS, UNLIMITED)
        if ours in names
    }
    return {
        "contenders": {
            name: {figure: round(statistics.median(values), 4) for figure, values in of_name.items()}
            for name, of_name in series.items()
        },
        "ratios": ratios,
        "targets": [
            {"of": ours, "figure": figure, "target": f"{bound} {target} x mosec", **ratio}
            | {"is_met": ratio["ratio"] >= target if bound == "at least" else ratio["ratio"] <= target}
            for ours, of_ours in ratios.items()
            for figure, bound, target in TARGETS
            if (ratio := of_ours.get("mosec", {}).get(figure)) is not None
        ],
    }


def _figure(measured: Mapping[str, Any], figure: str) -> float:
    found: Any = measured
    for key in FIGURES[figure]:
        found = found[key]
    return float(found)


def format_table(figures: Mapping[str, Any]) -> str:
    """Choices, medians and ratios, a line for each contender."""
    lines = []
    for name, settings in figures["tried"].items():
        lines.append(f"{name}, settings tried:")
        for of_setting in settings:
            purposes = [
                p for p, setting in figures["chosen"][name].items() if setting == of_setting["setting"]
            ]
            chosen = f"  <- {', '.join(purposes)}" if purposes else ""
            lines.append(
                f"  {of_setting['name']:34} p50 {of_setting['p50_ms']:7.3f} ms  "
                f"{of_setting['answers_per_s']:7.0f}/s{chosen}"
            )
    for name, of_name in figures["contenders"].items():
        lines.append(
            f"{name:20} first answer {of_name['first_answer_s']:5.2f} s   1 client p50 {of_name['p50_ms']:6.3f} "
            f"p99 {of_name['p99_ms']:6.3f} ms ({of_name['p50_same_setting_ms']:6.3f} in the setting of the rest)   "
            f"{of_name['answers_per_s']:6.0f} answers/s, few callers {of_name['answers_per_s_few']:6.0f}   "
            f"{of_name['rate_per_s']:6.0f}/s inside the SLO"
        )
    for ours, of_ours in figures["ratios"].items():
        for name, of_name in of_ours.items():
            shown = ", ".join(f"{figure} {_show(ratio)}" for figure, ratio in of_name.items())
            lines.append(f"{ours} / {name}: {shown}")
    for target in figures["targets"]:
        verdict = "met" if target["is_met"] else "MISSED"
        lines.append(f"{target['of']}: {target['figure']} {target['target']}: {target['ratio']}, {verdict}")
    return "\n".join(lines)


def _show(ratio: Mapping[str, float | None] | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio['ratio']} [{ratio['low']}, {ratio['high']}]"
