"""The commands `plan`, `measure` and `backtest`; what cannot be done is one line and exit status 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from planner.manifest_cards import read_cards
from planner.measurements import (
    Measurements,
    Unseen,
    instance_model,
    network_quantiles_ms,
    read_measurements,
    write_measurements,
)
from planner.measurements_from_results import measure_results
from planner.measurements_from_telemetry import measure_telemetry
from planner.model import InstanceModel
from planner.plans import SKUS, sku_named
from planner.price_list import PRICES_DIR, read_prices
from planner.progress import progress
from planner.telemetry import AZURE, Telemetry
from planner.traffic import parse_duration_s, parse_traffic

RESULTS, MANIFEST = Path("benchmarks/results"), Path("models/manifest.json")

ManifestOption = Annotated[Path, typer.Option(help="Of the models: their quality, and which are served.")]
ResultsOption = Annotated[Path, typer.Option(help="Folder of benchmark results.")]
MeasurementsOption = Annotated[
    Path | None,
    typer.Option(help="File of `measure`. Default: what the benchmark results amount to, for EP1."),
]
ExtrapolateOption = Annotated[
    bool, typer.Option("--extrapolate", help="Use sizes and variants that were never measured, and say so.")
]
WorkspaceOption = Annotated[str, typer.Option(help="Log Analytics workspace to ask.")]
EndpointOption = Annotated[str, typer.Option(help="Of Azure Monitor, or of the emulator.")]


@contextmanager
def one_line_errors() -> Iterator[None]:
    try:
        yield
    except ValueError as err:
        typer.echo(f"error: {' '.join(str(err).split())}", err=True)
        raise typer.Exit(1) from err


def plan(
    traffic: Annotated[
        str,
        typer.Option(
            help="120/s; bursty:120/s,burst=10; diurnal:120/s,peak=4; a file of arrivals, or "
            "trace:FILE,rate=40/s; telemetry:7d."
        ),
    ],
    slo_p99_ms: Annotated[
        float, typer.Option(help="What 99 % of all requests have to be answered within.")
    ] = 25.0,
    budget: Annotated[float | None, typer.Option(help="Most that it may cost, USD a month.")] = None,
    region: Annotated[str, typer.Option(help="Azure region.")] = "eastus",
    sku: Annotated[
        list[str] | None, typer.Option(help="Size; several may be named. Default: those measured.")
    ] = None,
    measurements: MeasurementsOption = None,
    ladder: Annotated[
        str, typer.Option(help="Variants, best first: student,counts. Default: those served.")
    ] = "",
    quality: Annotated[
        float, typer.Option(help="Least share of the best variant's NDCG@10 that answers have on average.")
    ] = 0.95,
    max_burst: Annotated[int, typer.Option(help="Most instances at any time.")] = 20,
    duration: Annotated[str | None, typer.Option(help="Of the traffic: 15m, 1h, 1d.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the parameters for Bicep.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    extrapolate: ExtrapolateOption = False,
    seeds: Annotated[int, typer.Option(help="With how many seeds the answer is confirmed.")] = 5,
    seed: Annotated[int, typer.Option(help="The first of them.")] = 0,
    memory_mb: Annotated[int, typer.Option(help="Of a process, for plans that bill by it.")] = 512,
    edge_share: Annotated[
        float, typer.Option(help="Share of the requests that devices answer; the plan is for the others.")
    ] = 0.0,
    edge_p50_ms: Annotated[float | None, typer.Option(help="Median of an answer by a device.")] = None,
    edge_p99_ms: Annotated[float | None, typer.Option(help="Its 99th percentile.")] = None,
    edge_results: Annotated[
        Path | None,
        typer.Option(
            help="File of benchmark results that says both. Default: edge_browser.json, if it is there."
        ),
    ] = None,
    edge_ndcg: Annotated[
        float | None, typer.Option(help="NDCG@10 of the bundle's model. Default: what its manifest says.")
    ] = None,
    edge_devices: Annotated[int, typer.Option(help="Devices that fetch the bundle; 0: not priced.")] = 0,
    edge_updates: Annotated[float, typer.Option(help="Times a month that each fetches a new one.")] = 4.0,
    edge_bundle_kb: Annotated[
        float | None, typer.Option(help="Of the bundle on the wire. Default: what the results say.")
    ] = None,
    edge_compare_every: Annotated[
        int, typer.Option(help="One of so many answers by devices is asked of the cloud too; 0: none.")
    ] = 50,
    round_trip_ms: Annotated[
        float | None, typer.Option(help="Between users and the cloud, for what users of devices see.")
    ] = None,
    workspace: WorkspaceOption = "",
    endpoint: EndpointOption = AZURE,
    prices: Annotated[Path, typer.Option(help="Folder of price lists.")] = PRICES_DIR,
    results: ResultsOption = RESULTS,
    manifest: ManifestOption = MANIFEST,
) -> None:
    """The cheapest Premium plan that keeps a promise under a traffic, and what stands around it."""
    from planner.advice import app_settings, bicep_parameters, check_writable, write_parameters
    from planner.edge import cloud_traffic
    from planner.edge_measurements import EdgeOptions, edge_of
    from planner.edge_planning import plan_edge
    from planner.edge_report import edge_doubts, edge_json, edge_lines
    from planner.evaluation import Promise
    from planner.plan_report import report_json, report_lines
    from planner.planning import plan_traffic
    from planner.sampling import sample_of
    from planner.search import Question, SearchSpace

    with one_line_errors():
        _check_numbers(
            slo_p99_ms=slo_p99_ms,
            budget=budget,
            quality=quality,
            max_burst=max_burst,
            seeds=seeds,
            seed=seed,
            memory_mb=memory_mb,
        )
        if out is not None:
            check_writable(out)
        known = _measurements(measurements, results, manifest)
        price_list = read_prices(region, folder=prices)
        names = tuple(name.strip() for name in ladder.split(",") if name.strip())
        instances = _instances(known, sku, names, extrapolates=extrapolate)
        wanted = parse_traffic(
            traffic,
            duration_s=None if duration is None else parse_duration_s(duration),
            telemetry=lambda: Telemetry(endpoint, workspace=workspace),
        )
        some = next(iter(instances.values()))
        edge, whole = None, wanted
        if edge_share:
            options = EdgeOptions(
                share=edge_share,
                p50_ms=edge_p50_ms,
                p99_ms=edge_p99_ms,
                results=edge_results,
                round_trip_ms=round_trip_ms,
                ndcg_10=edge_ndcg,
                n_devices=edge_devices,
                updates_per_month=edge_updates,
                bundle_kb=edge_bundle_kb,
                compare_every=edge_compare_every,
            )
            edge = edge_of(options, some, results=results, manifest=manifest, extrapolates=extrapolate)
            wanted = cloud_traffic(whole, share=edge.share, compare_every=edge.compare_every)
        wanted = sample_of(wanted, seed=seed)
        if wanted.left_out:
            typer.echo(f"sample: {wanted.left_out}", err=True)
        floor, ladders = _quality(some, quality)
        question = Question(
            arrivals_s=wanted.arrivals_s(seed=seed),
            duration_s=wanted.duration_s,
            instances=instances,
            prices=price_list,
            promise=Promise(slo_s=slo_p99_ms / 1e3, quality=floor),
            space=SearchSpace(
                skus=tuple(instances),
                ladders=ladders,
                most_always_ready=min(20, max_burst),
                pre_warmed=tuple(n for n in (0, 1, 2, 3) if n < max_burst),
                bursts=tuple(sorted({max_burst, *(burst for burst in (5, 10) if burst < max_burst)})),
            ),
            budget_usd=budget,
            seed=seed,
        )
        with progress() as say:
            planned = plan_traffic(wanted, question, n_seeds=seeds, memory_mb=memory_mb, say=say)
            beside = (
                plan_edge(edge, planned.choice.cheapest, question, whole=whole, n_seeds=seeds, say=say)
                if edge
                else None
            )
        best = planned.choice.cheapest.candidate
        settings = app_settings(best, instances[best.plan.sku.name], slo_s=question.promise.slo_s)
        parameters = bicep_parameters(best, settings)
        if out is not None:
            write_parameters(parameters, out)
        if as_json:
            of_edge = edge_json(beside) if beside else None
            typer.echo(report_json(planned, price_list, settings, parameters, edge=of_edge))
            return
        more = [*edge_lines(beside, question.promise)] if beside else []
        doubts = [*edge_doubts(beside)] if beside else []
        for line in report_lines(planned, price_list, settings, more=more, doubts=doubts):
            typer.echo(line)
        if out is not None:
            typer.echo(f"parameters for Bicep: {out}")


def measure(
    source: Annotated[str, typer.Argument(help="`results` (of benchmarks) or `telemetry`.")],
    out: Annotated[Path, typer.Option(help="Where to write the measurements.")] = Path(
        ".local/measurements.json"
    ),
    sku: Annotated[str | None, typer.Option(help="Size that was measured.")] = None,
    days: Annotated[float, typer.Option(help="How far back to look in telemetry.")] = 7.0,
    workspace: WorkspaceOption = "",
    endpoint: EndpointOption = AZURE,
    results: ResultsOption = RESULTS,
    manifest: ManifestOption = MANIFEST,
    host_ms: Annotated[float, typer.Option(help="Of the host and the worker, a request.")] = 0.09,
    network_ms: Annotated[float, typer.Option(help="Between client and instance, there and back.")] = 0.0,
    allocation_ms: Annotated[
        float, typer.Option(help="What the platform takes before it starts a process of an instance.")
    ] = 0.0,
    max_batch: Annotated[int, typer.Option(help="RECSERVE_MAX_BATCH of the instances.")] = 32,
    extrapolate: ExtrapolateOption = False,
) -> None:
    """Write a measurements file, from benchmark results or from Application Insights."""
    with one_line_errors():
        unseen = Unseen(
            host_ms=host_ms, network_ms=network_ms, allocation_ms=allocation_ms, max_batch=max_batch
        )
        if source == "results":
            measured = measure_results(results, manifest, sku=sku or "EP1", unseen=unseen)
        elif source == "telemetry":
            cards, _ = read_cards(manifest)
            telemetry = Telemetry(endpoint, workspace=workspace)
            measured = measure_telemetry(
                telemetry, days=days, sku=sku, cards=cards, unseen=unseen, extrapolates=extrapolate
            )
        else:
            raise ValueError(f"unknown source {source!r}; send results or telemetry")
        write_measurements(measured, out)
    for line in _described(measured):
        typer.echo(line)
    typer.echo(f"measurements: {out}")


def backtest(
    observed: Annotated[list[Path], typer.Option(help="File of observed runs; several may be named.")],
    measurements: MeasurementsOption = None,
    extrapolate: ExtrapolateOption = False,
    seeds: Annotated[int, typer.Option(help="Over which a prediction is averaged.")] = 5,
    seed: Annotated[int, typer.Option(help="The first of them.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    results: ResultsOption = RESULTS,
    manifest: ManifestOption = MANIFEST,
) -> None:
    """Predict runs that were observed, and tell how wrong that was."""
    from planner.backtest import backtest_json, backtest_lines, backtest_runs, read_runs

    with one_line_errors():
        _check_numbers(seeds=seeds, seed=seed)
        known = _measurements(measurements, results, manifest)
        runs = [run for path in observed for run in read_runs(path)]
        comparisons = backtest_runs(runs, known, extrapolates=extrapolate, n_seeds=seeds, seed=seed)
    if as_json:
        typer.echo(backtest_json(comparisons))
        return
    n_fitted = sum(run.is_fitted for run, _ in runs)
    for line in backtest_lines(comparisons, n_fitted=n_fitted):
        typer.echo(line)


def _check_numbers(
    *,
    slo_p99_ms: float = 1.0,
    budget: float | None = None,
    quality: float = 0.0,
    max_burst: int = 1,
    seeds: int = 1,
    seed: int = 0,
    memory_mb: int = 1,
) -> None:
    if not 0 < slo_p99_ms < float("inf"):
        raise ValueError(f"--slo-p99-ms {slo_p99_ms:g}; promise more than 0 ms")
    if budget is not None and not 0 < budget < float("inf"):
        raise ValueError(f"--budget {budget:g}; send more than 0 USD a month, or leave it out")
    if not 0 <= quality <= 1:
        raise ValueError(f"--quality {quality:g}; send a share of the best variant's, from 0 to 1")
    if not 1 <= max_burst <= 100:
        raise ValueError(f"--max-burst {max_burst}; a plan has 1 to 100 instances")
    if not 1 <= seeds <= 100:
        raise ValueError(f"--seeds {seeds}; send 1 to 100")
    if seed < 0:
        raise ValueError(f"--seed {seed}; send a whole number from 0")
    most_mb = int(max(sku.memory_gib for sku in SKUS.values()) * 1024)
    if not 1 <= memory_mb <= most_mb:
        raise ValueError(f"--memory-mb {memory_mb}; a process has 1 to {most_mb} MB")


def _measurements(path: Path | None, results: Path, manifest: Path) -> Measurements:
    return measure_results(results, manifest, sku="EP1") if path is None else read_measurements(path)


def _instances(
    known: Measurements, skus: list[str] | None, ladder: tuple[str, ...], *, extrapolates: bool
) -> dict[str, InstanceModel]:
    if skus:
        names = [sku_named(sku).name for sku in skus]
    elif extrapolates:
        names = list(SKUS)
    else:
        names = [sku_named(each.sku).name for each in known.instances]
    return {
        name: instance_model(known, name, ladder=ladder, extrapolates=extrapolates)
        for name in dict.fromkeys(names)
    }


def _quality(instance: InstanceModel, share: float) -> tuple[float, tuple[tuple[str, ...], ...]]:
    """The least quality, and the ladders that may be served.

    Where some variant's quality is unknown, all ladders begin with the first, and the least quality is the share
    of answers that it gives.
    """
    from planner.search import ladders_of

    names = [variant.name for variant in instance.variants]
    known = [variant.ndcg_10 for variant in instance.variants if variant.ndcg_10 is not None]
    if len(known) < len(names):
        return share, tuple(ladder for ladder in ladders_of(names) if ladder[0] == names[0])
    return share * max(known), ladders_of(names)


def _described(measured: Measurements) -> Iterator[str]:
    for instance in measured.instances:
        yield f"{instance.sku}, from {measured.source}:"
        middle = instance.overhead_ms[len(instance.overhead_ms) // 2]
        ready = instance.ready_ms[len(instance.ready_ms) // 2]
        way_ms = network_quantiles_ms(instance)
        network = way_ms[len(way_ms) // 2]
        yield f"  overhead {middle:.3f} ms, cold start {ready:.0f} ms, network {network:.3f} ms (medians)"
        for variant in instance.variants:
            times = ", ".join(
                f"{runs.run_ms[len(runs.run_ms) // 2]:.3f} ms at {runs.batch_size}" for runs in variant.runs
            )
            yield f"  {variant.name}: {times}"
        for note in instance.notes:
            yield f"  note: {note}"
