"""Writes what the README shows of models and measurements, between its markers."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.results import RESULTS_DIR
from recserve.admission.terms import Terms
from recserve.bootstrap import build_service
from recserve.schemas import RecommendRequest
from recserve.settings import read_settings
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline

README = Path(__file__).parent.parent / "README.md"
PLANNING = Path(__file__).parent.parent / "docs" / "planning.md"
MANIFEST = Path(__file__).parent.parent / "models" / "manifest.json"


def example_answer() -> str:
    """The answer to the README's request, from the models in this repository."""
    with tempfile.TemporaryDirectory() as state_dir:
        settings = read_settings({"RECSERVE_STATE_PATH": f"{state_dir}/state.db"})
        service = build_service(settings, Timeline("start"))
        request = RecommendRequest(history=[260, 1196, 1210], k=5)
        recommendations = asyncio.run(service.recommend(request, Terms(), Timeline(names.RECOMMEND)))
    answer = msgspec.to_builtins(recommendations) | {"recommendation_id": "..."}
    items = ",\n".join(f"    {json.dumps(item, ensure_ascii=False)}" for item in answer.pop("items"))
    rest = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in answer.items()]
    lines = "{\n" + ",\n".join([rest[0], f'  "items": [\n{items}\n  ]', *rest[1:]]) + "\n}"
    return f"```json\n{lines}\n```"


def ladder_table() -> str:
    manifest = json.loads(MANIFEST.read_text())
    rows = [
        f"| {v['name']} | {_quality(v['metrics'])} | {v['file']['bytes'] / 1e6:.2f} MB "
        f"| {v['measurement']['latency_ms']['1']:.3f} ms |"
        for v in manifest["ladder"]
    ]
    rows += [
        f"| {name} | {_quality(m['metrics'])} | not shipped | |" for name, m in manifest["unshipped"].items()
    ]
    head = [
        "| model | NDCG@10 | 95 % interval | HR@10 | size | one run |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    serving = f"\nThe service answers with `{manifest['serving'][0]}` unless it is pressed."
    return "\n".join(head + rows) + "\n" + serving


def _quality(metrics: dict[str, Any]) -> str:
    interval = f"{metrics['ndcg_10_low']:.4f} to {metrics['ndcg_10_high']:.4f}"
    return f"{metrics['ndcg']['10']:.4f} | {interval} | {metrics['hr']['10']:.4f}"


def overhead_table() -> str:
    result = read_result("overhead")
    rows = [
        f"| {label} | {f['p50_ms']:.3f} ms | {f['p95_ms']:.3f} ms | {f['p99_ms']:.3f} ms |"
        for label, f in (
            ("`session.run` alone", result["figures"]["session_run"]),
            ("`service.recommend`", result["figures"]["service_recommend"]),
            ("overhead, round by round", result["figures"]["overhead"]),
            ("overhead were every run on a thread", result["figures"]["overhead_on_a_thread"]),
        )
    ]
    head = ["| | p50 | p95 | p99 |", "| --- | --- | --- | --- |"]
    note = f"{result['figures']['overhead']['n']} pairs, interleaved. {machine_line(result)}"
    return "\n".join(head + rows) + "\n\n" + note


def machine_line(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return (
        f"Measured {result['date'][:10]} at commit {result['commit']}, {machine['cores']} shared cores, "
        f"Python {machine['python']}."
    )


def catalogue_table() -> str:
    result = read_result("catalogue")
    rows = [
        f"| {name} | {head['batch_1']['p50_ms']:.2f} ms | {head['batch_1']['flat_over_p50']:.1f} x "
        f"| {head['recall']['at_10']:.3f} | {head['bytes'] / 1e6:.0f} MB | {head['load']['load_ms']:.0f} ms "
        f"| {head['load']['rss_first_run_mib'] - head['load']['rss_before_mib']:.0f} MiB |"
        for name, head in result["figures"]["heads"].items()
    ]
    head = [
        "| head | p50 | faster than flat | recall@10 | size | load | memory |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    weak = result["figures"]["less_clustered"]
    note = (
        f"Where items cluster less, the inverted file must probe {weak['inverted_file']['probed_share']:.0%} of its "
        f"blocks for a recall@10 of {weak['recall']['at_10']:.3f} and takes {weak['batch_1']['p50_ms']:.2f} ms, "
        f"{_against(weak['batch_1']['p50_ms'], result['figures']['heads']['exact_int8']['batch_1']['p50_ms'])} the "
        f"exact int8 scan. {machine_line(result)}"
    )
    return "\n".join(head + rows) + "\n\n" + note


def _against(ms: float, other_ms: float) -> str:
    """One time against another, in words."""
    return f"{ms / other_ms:.1f} x as long as" if ms > other_ms else f"{other_ms / ms:.1f} x faster than"


def load_table() -> str:
    result = read_result("load_100k")
    settings, figures = result["settings"], result["figures"]
    seconds = settings["phase_s"] * settings["rounds"]
    rows = []
    for side, of_side in figures["sides"].items():
        for share, phase in zip(settings["phases"], of_side["phases"], strict=True):
            p99_ms = phase["admitted_ms"]["p99"]
            rows.append(
                f"| {side} | {share:g} x | {phase['n'] / seconds:.0f}/s | {phase['n_good'] / seconds:.0f}/s "
                f"| {'-' if p99_ms is None else f'{p99_ms:.0f} ms'} "
                f"| {_shares(phase['variants'], phase['n'])} | {sum(phase['n_refused'].values()) / phase['n']:.0%} "
                f"| {phase['n_failed'] / phase['n']:.0%} |"
            )
    head = [
        "| | load | offered | inside 25 ms | p99 of answers | answered by | refused | no answer |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    note = (
        f"Capacity {figures['capacity_per_s']:.0f} answers a second, Poisson arrivals from a core of their own, "
        f"{settings['phase_s']:g} s a phase, {settings['rounds']} rounds. {machine_line(result)}"
    )
    return "\n".join(head + rows) + "\n\n" + note


def _shares(variants: dict[str, int], n: int) -> str:
    return ", ".join(f"{name} {count / n:.0%}" for name, count in variants.items()) or "-"


def bursts_table() -> str:
    result = read_result("bursts")
    figures = result["figures"]
    rows = []
    for n, plan in figures["plans"].items():
        of = plan["median"]
        rows.append(
            f"| {n} | {of['n_cold']:.0f} | {of['n_impacted']:.0f} | {of['longest_held_ms'] / 1e3:.1f} s "
            f"| {of['onset_p99_ms']:.0f} ms | {of['burst_p99_ms']:.0f} ms | {of['burst_within_slo']:.0%} "
            f"| {of['allocated_s']:.0f} s |"
        )
    head = [
        "| pre-warmed | cold instances | impacted requests | longest wait | p99, first 5 s | p99 of the burst "
        "| inside 25 ms | allocated |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    settings = result["settings"]
    note = (
        f"{figures['calm_per_s']:.0f} requests a second, for half a minute {figures['burst_per_s']:.0f}, which is what "
        f"one instance can answer with {settings['n_items']:,} items; at most {settings['max_burst']} instances, which "
        f"share the cores with sender and front end; medians of {settings['rounds']} rounds. {machine_line(result)}"
    )
    return "\n".join(head + rows) + "\n\n" + note


def coldstart_sentence() -> str:
    result = read_result("coldstart")
    figures = result["figures"]
    app, floor = figures["app"], figures["floor"]
    return (
        f"From the start of the process to the first recommendation over HTTP {app['median_ms']:.0f} ms, "
        f"{figures['ratio']:.2f} x the {floor['median_ms']:.0f} ms of a bare process that imports NumPy, ONNX Runtime "
        f"and azure.functions, loads the same session and runs it once; medians of {app['n']} starts each, in turns. "
        f"The phases of its trace explain {figures['explained']['median']:.1%} of the time seen from outside. "
        f"{machine_line(result)}"
    )


def peers_table() -> str:
    result = read_result("peers")
    figures = result["figures"]
    rows = [
        f"| {name} | {of['first_answer_s']:.2f} s | {of['p50_ms']:.2f} ms | {of['p99_ms']:.2f} ms "
        f"| {of['p50_same_setting_ms']:.2f} ms | {of['answers_per_s']:,.0f}/s | {of['rate_per_s']:,.0f}/s |"
        for name, of in figures["contenders"].items()
    ]
    head = [
        "| | start to first answer | p50, one client | p99 | p50 with its throughput setting | 64 callers "
        "| rate with p99 <= 25 ms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    ours = figures["ratios"]["recserve"]["mosec"]
    against = "; ".join(
        f"{label} {ours[figure]['ratio']:.2f} ({ours[figure]['low']:.2f} to {ours[figure]['high']:.2f})"
        for label, figure in (("throughput", "answers_per_s"), ("p50 at one client", "p50_ms"))
    )
    note = (
        f"Ours against Mosec, ratio and 95 % interval: {against}. Medians of {len(figures['rounds'])} interleaved "
        f"rounds; each peer with its best setting for the figure. {machine_line(result)}"
    )
    return "\n".join(head + rows) + "\n\n" + note


def _share(value: float | None) -> str:
    """Endless, and so null in JSON, is the error of what was predicted where nothing was observed."""
    return "endless" if value is None else f"{value:.1%}"


def backtest_table() -> str:
    result = read_result("backtest")
    figures = result["figures"]
    rows = [
        f"| {figure.replace('_', ' ')} | {of['n']} | {of['median_error']:.1%} | {_share(of['worst_error'])} "
        f"| {'' if of['limit'] is None else format(of['limit'], '.0%')} "
        f"| {'' if of['limit'] is None else of['n_missed']} |"
        for figure, of in figures["summary"].items()
    ]
    head = [
        "| figure | runs | median error | worst | wanted within | beyond |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    missed = [each for each in figures["comparisons"] if each["is_miss"]]
    told = [
        f"- {each['run']}, {each['figure'].replace('_', ' ')}: predicted {_figure(each, 'predicted')}, observed "
        f"{_figure(each, 'observed')}"
        for each in missed
    ]
    note = f"Every miss:\n\n{chr(10).join(told)}\n\n" if told else "No figure was missed. "
    return "\n".join(head + rows) + "\n\n" + note + machine_line(result)


def _figure(comparison: dict[str, Any], side: str) -> str:
    value = comparison[side]
    return f"{value * 1e3:.2f} ms" if comparison["figure"].startswith("p") else f"{value:.1f}"


def savings_table() -> str:
    result = read_result("savings")
    rows = []
    for each in result["figures"]["plans"]:
        best = each["recommended"]
        naive = [_against_naive(each, name) for name in ("without_pre_warm", "sized_for_peak")]
        rows.append(
            f"| {each['trace']} | {each['rate_per_s']:,.0f}/s | {best['always_ready']} + {best['pre_warmed']}, at most "
            f"{best['max_burst']} | {best['p99_ms']:.1f} ms | {best['usd_per_month']:,.0f} USD | {' | '.join(naive)} |"
        )
    head = [
        "| arrivals | rate | always ready + pre-warmed | p99 | a month | without pre-warming | saved | for the peak "
        "| saved |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    settings = result["settings"]
    note = (
        f"All keep 99 % within {settings['slo_ms']:g} ms, EP1 in {settings['region']}. {machine_line(result)}"
    )
    return "\n".join(head + rows) + "\n\n" + note


def _against_naive(planned: dict[str, Any], name: str) -> str:
    other = planned[name]
    if other is None:
        return "no number keeps it | "
    return f"{other['usd_per_month']:,.0f} USD | {planned['saved'][name]:.0%}"


BLOCKS = {
    "answer": example_answer,
    "ladder": ladder_table,
    "overhead": overhead_table,
    "catalogue": catalogue_table,
    "load": load_table,
    "bursts": bursts_table,
    "coldstart": coldstart_sentence,
    "peers": peers_table,
}


PLANNING_BLOCKS = {"backtest": backtest_table, "savings": savings_table}
"Of `docs/planning.md`."


def update_readme(readme: Path = README, blocks: Mapping[str, Callable[[], str]] = BLOCKS) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->` for every block.

    Raises:
        ValueError: the file has no place for one of them.
    """
    text = readme.read_text()
    for name, block in blocks.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not closing:
            raise ValueError(f"{readme} has no <!-- {name} --> ... <!-- /{name} -->")
        text = before + opening + block() + "\n" + closing + after
    readme.write_text(text)


def read_result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS_DIR / f"{name}.json").read_text())
    return result
