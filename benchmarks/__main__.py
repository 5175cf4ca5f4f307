"""`python -m benchmarks`: measure, and write what was measured."""

from typing import Annotated

import typer

app = typer.Typer(help="Measure Recserve; results go to benchmarks/results.", no_args_is_help=True)


@app.command()
def overhead(n: Annotated[int, typer.Option(min=10, help="Pairs to measure.")] = 1000) -> None:
    """What the service adds to the bare model run."""
    from benchmarks.overhead import run
    from benchmarks.results import write_result

    figures = run(n)
    path = write_result("overhead", settings={"n": n, "threads": 1}, figures=figures)
    for name in ("session_run", "service_recommend", "overhead", "overhead_on_a_thread"):
        print(f"{name:20} p50 {figures[name]['p50_ms']:.3f} ms  p99 {figures[name]['p99_ms']:.3f} ms")
    print(path)


@app.command()
def catalogue(
    items: Annotated[int, typer.Option(min=100, help="Items of the synthetic catalogue.")] = 1_000_000,
    dim: Annotated[int, typer.Option(min=1, help="Dimensions of a vector.")] = 64,
    queries: Annotated[int, typer.Option(min=10, help="Queries that are measured.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="How often each head answers every query.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of items, queries and clusters.")] = 0,
) -> None:
    """Scoring heads on a large synthetic catalogue: load, memory, latency, recall."""
    from dataclasses import asdict

    from benchmarks.catalogue import CatalogueBench, format_table, run
    from benchmarks.results import write_result

    bench = CatalogueBench(n_items=items, dim=dim, n_queries=queries, n_rounds=rounds, seed=seed)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("catalogue", settings=asdict(bench) | {"k": 100, "threads": 1}, figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def last_position(rounds: Annotated[int, typer.Option(min=10, help="Runs of each graph.")] = 500) -> None:
    """What computing only the newest position in the last block saves; needs PyTorch."""
    from benchmarks.last_position import run
    from benchmarks.results import write_result

    figures = run(rounds)
    path = write_result("last_position", settings={"rounds": rounds, "threads": 1}, figures=figures)
    for name, of_shape in figures.items():
        both = [of_shape[graph]["p50_ms"] for graph in ("every_position", "last_position")]
        print(f"{name:22} p50 {both[0]:.3f} ms against {both[1]:.3f} ms, ratio {of_shape['ratio']:.2f}")
    print(path)


@app.command()
def load(
    models: Annotated[str, typer.Option(help="Models directory that is served.")] = "models",
    source: Annotated[
        str, typer.Option(help="Dataset whose test users ask.")
    ] = "../shared/data/ml-latest-small",
    synthetic_items: Annotated[
        int, typer.Option(min=0, help="Serve a synthetic catalogue of this size instead; needs PyTorch.")
    ] = 0,
    phase_s: Annotated[float, typer.Option(min=1, help="Length of each phase.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often both sides go through all phases.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of arrivals and order of users.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the result file.")] = "load",
) -> None:
    """One instance at 0.5, 1, 3 and 0.5 times its capacity, with and without admission control."""
    from dataclasses import asdict

    from benchmarks.load import LoadBench, format_table, run
    from benchmarks.results import write_result

    bench = LoadBench(
        models_dir=models,
        source=source,
        synthetic_items=synthetic_items,
        phase_s=phase_s,
        rounds=rounds,
        seed=seed,
    )
    figures = run(bench)
    path = write_result(name, settings=asdict(bench), figures=figures)
    print(format_table(figures, bench))
    print(path)


@app.command()
def outage(
    models: Annotated[str, typer.Option(help="Models directory that is served.")] = "models",
    source: Annotated[
        str, typer.Option(help="Dataset whose test users ask.")
    ] = "../shared/data/ml-latest-small",
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 200.0,
    healthy_s: Annotated[float, typer.Option(min=12, help="Before Azurite is killed.")] = 25.0,
    down_s: Annotated[float, typer.Option(min=1, help="Until it is started again.")] = 20.0,
    after_s: Annotated[float, typer.Option(min=10, help="From then on.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Seed of arrivals, users and items.")] = 0,
) -> None:
    """The store of histories killed under load and started again; needs Node.js for Azurite."""
    from dataclasses import asdict

    from benchmarks.outage import OutageBench, format_table, run
    from benchmarks.results import write_result

    bench = OutageBench(
        models_dir=models,
        source=source,
        rate_per_s=rate,
        healthy_s=healthy_s,
        down_s=down_s,
        after_s=after_s,
        seed=seed,
    )
    figures = run(bench)
    path = write_result("outage", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def swap(
    models: Annotated[str, typer.Option(help="Models directory that both versions are made of.")] = "models",
    source: Annotated[
        str, typer.Option(help="Dataset whose test users ask.")
    ] = "../shared/data/ml-latest-small",
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 200.0,
    swaps: Annotated[int, typer.Option(min=1, help="Exchanges of one good version for another.")] = 20,
    every_s: Annotated[float, typer.Option(min=0.1, help="From one exchange to the next.")] = 2.0,
    control_s: Annotated[float, typer.Option(min=1, help="Without any, before and again after.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Seed of arrivals and order of users.")] = 0,
) -> None:
    """Models exchanged under load, and a damaged version refused."""
    from dataclasses import asdict

    from benchmarks.results import write_result
    from benchmarks.swap import SwapBench, format_table, run

    bench = SwapBench(
        models_dir=models,
        source=source,
        rate_per_s=rate,
        n_swaps=swaps,
        every_s=every_s,
        control_s=control_s,
        seed=seed,
    )
    figures = run(bench)
    path = write_result("swap", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def batching(
    models: Annotated[str, typer.Option(help="Models directory of the light load.")] = "models",
    source: Annotated[
        str, typer.Option(help="Dataset whose test users ask under light load.")
    ] = "../shared/data/ml-latest-small",
    light_rounds: Annotated[int, typer.Option(min=1, help="Rounds of light load.")] = 8,
    light_s: Annotated[float, typer.Option(min=0.5, help="Light load on each side in a round.")] = 4.0,
    items: Annotated[int, typer.Option(min=1000, help="Synthetic catalogue of the saturation.")] = 100_000,
    callers: Annotated[int, typer.Option(min=1, help="Callers that never rest.")] = 64,
    saturation_rounds: Annotated[int, typer.Option(min=1, help="Rounds of saturation.")] = 6,
    saturation_s: Annotated[float, typer.Option(min=0.5, help="Saturation of each side in a round.")] = 3.0,
    seed: Annotated[int, typer.Option(help="Seed of arrivals, users, weights and resamples.")] = 0,
) -> None:
    """What micro-batching costs under light load, and gains at saturation; needs PyTorch."""
    from dataclasses import asdict

    from benchmarks.batching import BatchingBench, format_table, run
    from benchmarks.results import write_result

    bench = BatchingBench(
        models_dir=models,
        source=source,
        light_rounds=light_rounds,
        light_s=light_s,
        n_items=items,
        n_callers=callers,
        saturation_rounds=saturation_rounds,
        saturation_s=saturation_s,
        seed=seed,
    )
    figures = run(bench)
    path = write_result("batching", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def contract(
    examples: Annotated[int, typer.Option(min=1, help="Random requests per operation.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the requests.")] = 0,
    models: Annotated[str, typer.Option(help="Models directory that is served.")] = "models",
) -> None:
    """Send the running app what its OpenAPI document allows and forbids, and look at every answer."""
    from dataclasses import asdict

    from benchmarks.contract import ContractBench, format_table, run
    from benchmarks.results import write_result

    bench = ContractBench(examples=examples, seed=seed, models_dir=models)
    figures = run(bench)
    path = write_result("contract", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)
    if figures["findings"]:
        raise typer.Exit(1)


@app.command()
def kql(
    spans: Annotated[int, typer.Option(min=1000, help="Synthetic spans in the store.")] = 5_000_000,
    hours: Annotated[int, typer.Option(min=1, help="Hours that they spread over.")] = 24,
    rounds: Annotated[int, typer.Option(min=1, help="How often each query is asked.")] = 5,
) -> None:
    """Each console query over millions of spans in the Application Insights emulator."""
    from dataclasses import asdict

    from benchmarks.kql import KqlBench, format_table, run
    from benchmarks.results import write_result

    bench = KqlBench(n_spans=spans, n_hours=hours, n_rounds=rounds)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("kql", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def coldstart(
    n: Annotated[int, typer.Option(min=3, help="Starts of each side.")] = 20,
    picture: Annotated[bool, typer.Option(help="Draw the waterfall, docs/cold-start.svg.")] = True,
) -> None:
    """Process start to the first recommendation over HTTP, against the floor of the design."""
    from benchmarks.coldstart import draw, run
    from benchmarks.results import write_result

    figures, median = run(n)
    if picture:
        draw(median)
    path = write_result("coldstart", settings={"n": n}, figures=figures)
    for side in ("app", "floor"):
        print(f"{side:6} {figures[side]['median_ms']:6.1f} ms")
    print(f"ratio  {figures['ratio']:6.2f}, explained {figures['explained']['median']:.1%}")
    for phase, ms in figures["phases_ms"].items():
        print(f"  {phase:32} {ms:6.1f} ms")
    print(path)


@app.command()
def telemetry(n: Annotated[int, typer.Option(min=100, help="Rounds.")] = 3000) -> None:
    """What telemetry adds to a request: sampled and unsampled, against none."""
    from benchmarks.results import write_result
    from benchmarks.telemetry import run

    figures = run(n)
    path = write_result("telemetry", settings={"n": n}, figures=figures)
    for side in ("off", "unsampled", "sampled"):
        print(f"{side:10} p50 {figures[side]['p50_ms']:.4f} ms  p99 {figures[side]['p99_ms']:.4f} ms")
    print(
        f"unsampled adds {figures['unsampled_over_off_us']} us, sampled {figures['sampled_over_off_us']} us"
    )
    print(f"contention sampler: {figures['sampler']['cpu_us']} us a second")
    print(path)


@app.command()
def telemetry_outage(
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 200.0,
    before_s: Annotated[float, typer.Option(min=5, help="Until the endpoint fails.")] = 20.0,
    down_s: Annotated[float, typer.Option(min=5, help="Until it is back.")] = 60.0,
    after_s: Annotated[float, typer.Option(min=5, help="From then on.")] = 70.0,
    seed: Annotated[int, typer.Option(help="Seed of arrivals and users.")] = 0,
) -> None:
    """The telemetry endpoint killed, or frozen, under load: tail latency, memory, what arrives later."""
    from dataclasses import asdict

    from benchmarks.results import write_result
    from benchmarks.telemetry_outage import TelemetryOutageBench, format_table, run

    bench = TelemetryOutageBench(
        rate_per_s=rate, before_s=before_s, down_s=down_s, after_s=after_s, seed=seed
    )
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("telemetry_outage", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def imports() -> None:
    """What `import function_app` loads, package by package, against the budget."""
    from typing import get_args

    from benchmarks.imports import Moment, budget, spent_ms

    for moment in get_args(Moment):
        spent = spent_ms(moment)
        print(f"{moment}: {sum(spent.values()):.0f} ms, budget {budget()[moment]['ms']} ms")
        for package, ms in spent.items():
            if ms >= 1:
                print(f"  {package:24} {ms:6.1f} ms")


@app.command()
def report() -> None:
    """Write the README's tables from the result files."""
    from benchmarks.report import update_readme

    update_readme()


if __name__ == "__main__":
    app()
