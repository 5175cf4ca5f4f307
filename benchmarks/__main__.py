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
def report() -> None:
    """Write the README's tables from the result files."""
    from benchmarks.report import update_readme

    update_readme()


if __name__ == "__main__":
    app()
