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
    phase_s: Annotated[float, typer.Option(min=1, help="Length of each phase.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often both sides go through all phases.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of arrivals and order of users.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the result file.")] = "load",
) -> None:
    """One instance at 0.5, 1, 3 and 0.5 times its capacity, with and without admission control."""
    from dataclasses import asdict

    from benchmarks.load import LoadBench, format_table, run
    from benchmarks.results import write_result

    bench = LoadBench(models_dir=models, source=source, phase_s=phase_s, rounds=rounds, seed=seed)
    figures = run(bench)
    path = write_result(name, settings=asdict(bench), figures=figures)
    print(format_table(figures, bench))
    print(path)


@app.command()
def report() -> None:
    """Write the README's tables from the result files."""
    from benchmarks.report import update_readme

    update_readme()


if __name__ == "__main__":
    app()
