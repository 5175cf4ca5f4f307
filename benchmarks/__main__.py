"""`python -m benchmarks`: measure, and write what was measured."""

from collections.abc import Callable
from pathlib import Path
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
    url: Annotated[str, typer.Option(help="API of a running service.")] = "http://127.0.0.1:7071/api",
    shape: Annotated[
        str | None, typer.Option(help="poisson, bursty, diurnal or replay; poisson, or replay with --trace.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Mean requests a second; 20, or the trace's own times --speed.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Seconds; 60, or as long as the trace, which is repeated if need be.")
    ] = None,
    burst: Annotated[float, typer.Option(help="Bursty: rate in bursts over the calm rate.")] = 10.0,
    calm_s: Annotated[float, typer.Option(help="Bursty: mean length of calm.")] = 20.0,
    burst_s: Annotated[float, typer.Option(help="Bursty: mean length of bursts.")] = 5.0,
    peak: Annotated[float, typer.Option(help="Diurnal: rate at the peak over that in the trough.")] = 4.0,
    period: Annotated[
        float | None, typer.Option(help="Diurnal: seconds that stand for a day; the whole duration.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Replay: CSV file with arrivals.")] = None,
    speed: Annotated[float, typer.Option(help="Replay: 2 replays an hour in half an hour.")] = 1.0,
    events: Annotated[float, typer.Option(help="Share of watched items that the service is told of.")] = 1.0,
    no_events: Annotated[
        bool, typer.Option("--no-events", help="Leave the service's state alone; histories travel along.")
    ] = False,
    users: Annotated[int, typer.Option(help="Users about at a time, at least.")] = 100,
    models: Annotated[Path, typer.Option(help="Models directory whose transitions users follow.")] = Path(
        "models"
    ),
    source: Annotated[
        str | None, typer.Option(help="Dataset whose test users come instead, with what they took next.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that an answer is waited for.")] = 30.0,
    core: Annotated[int | None, typer.Option(help="Core of the sender's own; the last.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of arrivals, users and items.")] = 0,
    out: Annotated[Path, typer.Option(help="Result; events and picture go beside it.")] = Path(
        ".local/load/load.json"
    ),
    key: Annotated[str | None, typer.Option(envvar="RECSERVE_API_KEY", help="Function key.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line each second.")] = False,
) -> None:
    """Load on any running service, open loop; ends with 3 when the sender did not keep to its schedule."""
    from benchmarks.load import LoadSettings, format_summary, run
    from emulator.load.progress import Progress
    from emulator.load.target import LoadError

    settings = LoadSettings(
        url=url,
        shape=shape or ("replay" if trace else "poisson"),
        rate_per_s=rate,
        duration_s=duration,
        burst_over_calm=burst,
        calm_s=calm_s,
        burst_s=burst_s,
        peak_over_trough=peak,
        period_s=period,
        trace=trace,
        speed=speed,
        event_share=0.0 if no_events else events,
        n_users=users,
        models=models,
        source=source,
        timeout_s=timeout,
        core=core,
        seed=seed,
        out=out,
        key=key,
    )
    try:
        with Progress() as progress:
            done, files = run(settings, on_second=(lambda _: None) if quiet else progress.say)
    except LoadError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    print(format_summary(done))
    print(*files, sep="\n")
    if not done.is_valid:
        raise typer.Exit(3)
    if done.is_interrupted:
        raise typer.Exit(130)


@app.command()
def stall(
    duration: Annotated[
        float, typer.Option(min=4, help="Seconds that each generator runs in a round.")
    ] = 30.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often both run, in turns.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the arrivals.")] = 0,
) -> None:
    """What this generator and `wrk` say of a server that stalls 200 ms every 2 s; needs wrk; ends with 3 when late."""
    from dataclasses import asdict

    from benchmarks.results import write_result
    from benchmarks.stall import StallBench, WrkMissing, format_table, run

    bench = StallBench(duration_s=duration, rounds=rounds, seed=seed)
    try:
        figures = run(bench)
    except WrkMissing as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    path = write_result("stall", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)
    if not figures["valid"]:
        raise typer.Exit(3)


@app.command()
def overload(
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

    from benchmarks.overload import LoadBench, format_table, run
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
def peers(
    rounds: Annotated[int, typer.Option(min=0, help="Interleaved rounds; 0 only chooses settings.")] = 3,
    add: Annotated[
        bool, typer.Option("--add", help="Keep settings and rounds of the last result, and add rounds.")
    ] = False,
    models: Annotated[str, typer.Option(help="Models directory; all serve its first variant.")] = "models",
    source: Annotated[
        str, typer.Option(help="Dataset whose test users ask.")
    ] = "../shared/data/ml-latest-small",
    callers: Annotated[int, typer.Option(min=1, help="Connections of the closed loop.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of arrivals and order of users.")] = 0,
) -> None:
    """Mosec, LitServe, BentoML and FastAPI on the same graph; installs them into .local/peers."""
    import signal
    import sys
    from dataclasses import asdict

    from benchmarks.peers.bench import AnswersDiffer, PeersBench, last_figures, run
    from benchmarks.peers.comparison import format_table
    from benchmarks.peers.environments import NoEnvironment
    from benchmarks.results import write_result

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which ends the servers too
    bench = PeersBench(rounds=rounds, models_dir=models, source=source, n_callers=callers, seed=seed)
    try:
        figures = run(
            bench,
            earlier=last_figures() if add else None,
            say=lambda stage: print(f"... {stage}", flush=True),
            keep=lambda figures: write_result("peers", settings=asdict(bench), figures=figures),
        )
    except (NoEnvironment, AnswersDiffer, FileNotFoundError) as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    print(format_table(figures))


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
def fuzz(
    requests: Annotated[int, typer.Option(min=100, help="About how many, half of them as bytes.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the requests.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, each with some of both halves.")] = 4,
) -> None:
    """Send the deployed package what nobody should send; ends with 1 where something is found."""
    from dataclasses import asdict

    from benchmarks.fuzz.bench import FuzzBench, format_table, is_clean, run
    from benchmarks.results import write_result
    from deployment.errors import DeploymentError

    bench = FuzzBench(n_requests=requests, seed=seed, n_rounds=rounds)
    try:
        figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    except DeploymentError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    path = write_result("fuzz", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)
    if not is_clean(figures):
        raise typer.Exit(1)


@app.command()
def docs_commands() -> None:
    """Every command of docs/operate.md that needs no Azure, and what it printed; needs Node.js for Azurite."""
    from benchmarks.docs_commands import format_table, run
    from benchmarks.results import write_result

    figures = run(on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("docs_commands", settings={}, figures=figures)
    print(format_table(figures))
    print(path)
    if any(each["exit_status"] for each in figures["blocks"]):
        raise typer.Exit(1)


@app.command()
def kql(
    requests: Annotated[int, typer.Option(min=1000, help="Request spans in the store.")] = 1_000_000,
    hours: Annotated[int, typer.Option(min=1, help="Hours that they spread over.")] = 24,
    rounds: Annotated[int, typer.Option(min=1, help="How often each query is asked.")] = 5,
    keep: Annotated[
        Path | None, typer.Option(help="Only write the store, to this empty folder, and leave it there.")
    ] = None,
) -> None:
    """Each console query over a day of synthetic telemetry in the Application Insights emulator."""
    from dataclasses import asdict

    from benchmarks.kql import KqlBench, format_table, run
    from benchmarks.results import write_result

    if keep is not None:
        _keep_store(keep, requests=requests, hours=hours)
        return
    bench = KqlBench(n_requests=requests, n_hours=hours, n_rounds=rounds)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("kql", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


def _keep_store(folder: Path, *, requests: int, hours: int) -> None:
    from datetime import UTC, datetime

    from benchmarks.telemetry_store import SyntheticTelemetry, write_store

    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty; name an empty folder, or one to be made")
    telemetry = SyntheticTelemetry(n_requests=requests, n_hours=hours)
    n_rows = write_store(folder, telemetry, datetime.now(UTC).replace(second=0, microsecond=0))
    print(f"{n_rows:,} rows; look at them with")
    print(f"    python -m emulator app-insights --data {folder}")


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
def front_end(
    source: Annotated[
        str, typer.Option(help="Dataset whose test users ask.")
    ] = "../shared/data/ml-latest-small",
    blocks: Annotated[int, typer.Option(min=2, help="Blocks that intervals are drawn from.")] = 40,
    pairs: Annotated[int, typer.Option(min=10, help="Pairs of requests in each.")] = 250,
    seed: Annotated[int, typer.Option(help="Seed of users, order and resamples.")] = 0,
) -> None:
    """What the emulated plan's front end adds: the app reached through it, against directly."""
    from dataclasses import asdict

    from benchmarks.front_end import APP_CORE, FRONT_END_CORE, FrontEndBench, format_table, run
    from benchmarks.results import write_result

    bench = FrontEndBench(source=source, n_blocks=blocks, n_pairs=pairs, seed=seed)
    figures = run(bench)
    cores = {"app_core": APP_CORE, "client_and_front_end_core": FRONT_END_CORE}
    path = write_result("front_end", settings=asdict(bench) | cores, figures=figures)
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
    """Write the tables of the README, docs/planning.md and docs/edge.md from the result files."""
    from benchmarks.edge.report import EDGE, EDGE_BLOCKS
    from benchmarks.report import PLANNING, PLANNING_BLOCKS, update_readme

    update_readme()
    update_readme(PLANNING, PLANNING_BLOCKS)
    update_readme(EDGE, EDGE_BLOCKS)


@app.command()
def bursts(
    items: Annotated[int, typer.Option(min=1000, help="Items of the synthetic catalogue.")] = 200_000,
    over: Annotated[float, typer.Option(min=0.1, help="Burst, in shares of an instance's capacity.")] = 1.0,
    rounds: Annotated[int, typer.Option(min=1, help="Bursts at each plan.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of models and arrivals.")] = 0,
) -> None:
    """The same burst against 0, 1 and 2 pre-warmed instances; needs PyTorch."""
    from dataclasses import asdict

    from benchmarks.bursts import BurstsBench, draw, format_table, run
    from benchmarks.results import write_result

    bench = BurstsBench(n_items=items, over_capacity=over, rounds=rounds, seed=seed)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("bursts", settings=asdict(bench), figures=figures)
    draw(figures)
    print(format_table(figures))
    print(path)


@app.command()
def recovery(
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 300.0,
    kills: Annotated[int, typer.Option(min=1, help="Instances that are killed, one after the other.")] = 5,
    deployments: Annotated[int, typer.Option(min=1, help="Deployments after that.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of arrivals and users.")] = 0,
) -> None:
    """Instances of a plan killed and replaced under load: what fails, and for how long."""
    from dataclasses import asdict

    from benchmarks.recovery import RecoveryBench, format_table, run
    from benchmarks.results import write_result

    bench = RecoveryBench(rate_per_s=rate, n_kills=kills, n_deployments=deployments, seed=seed)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("recovery", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def endurance(
    minutes: Annotated[float, typer.Option(min=1, help="How long.")] = 30.0,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second, in the mean.")] = 20.0,
    trace: Annotated[
        str, typer.Option(help="Arrivals that are replayed.")
    ] = "../shared/traces/azure-llm-conv.csv",
    seed: Annotated[int, typer.Option(help="Seed of users and items.")] = 0,
) -> None:
    """Real arrivals on a plan with a fault every minute: what leaks, and what is lost."""
    from dataclasses import asdict

    from benchmarks.endurance import EnduranceBench, format_table, run
    from benchmarks.results import write_result

    bench = EnduranceBench(trace=trace, minutes=minutes, rate_per_s=rate, seed=seed)
    figures = run(bench, on_stage=lambda stage: print(stage, flush=True))
    path = write_result("endurance", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def simulator(
    trace: Annotated[
        str, typer.Option(help="Arrivals that are simulated.")
    ] = "../shared/traces/azure-llm-conv.csv",
    requests: Annotated[int, typer.Option(min=10_000, help="Of each oracle and seed.")] = 4_000_000,
    seeds: Annotated[int, typer.Option(min=2, help="Of each oracle.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the arrivals at ten times the rate.")] = 0,
) -> None:
    """Requests simulated a second, and the simulator against queueing theory and SimFaaS."""
    from dataclasses import asdict

    from benchmarks.results import write_result
    from benchmarks.simulator import SimulatorBench, format_table, run

    bench = SimulatorBench(trace=trace, n_requests=requests, n_seeds=seeds, seed=seed)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("simulator", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def plan_runs(
    items: Annotated[int, typer.Option(min=1000, help="Items of the synthetic catalogue.")] = 50_000,
    only: Annotated[list[str] | None, typer.Option(help="Held-out case; several may be named.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the three files.")] = Path("benchmarks/results"),
    seed: Annotated[int, typer.Option(help="Seed of models and arrivals.")] = 0,
) -> None:
    """The planner's error: emulated plans under load, predicted from others of them; needs PyTorch."""
    from benchmarks.plan_runs import PlanRunsBench, format_table, run, write

    bench = PlanRunsBench(n_items=items, only=tuple(only or ()), seed=seed)
    done = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    paths = write(bench, done, out)
    print(format_table(done))
    for path in paths:
        print(path)


@app.command()
def savings(
    slo_p99_ms: Annotated[float, typer.Option(help="What 99 % of all requests are answered within.")] = 25.0,
    measurements: Annotated[str, typer.Option(help="Of the service; written by plan-runs.")] = (
        "benchmarks/results/plan_measurements.json"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="With how many seeds a plan is confirmed.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
) -> None:
    """Real arrivals: the recommended plan against two that are set up without a planner."""
    from dataclasses import asdict

    from benchmarks.results import write_result
    from benchmarks.savings import SavingsBench, format_table, run

    bench = SavingsBench(slo_ms=slo_p99_ms, measurements=measurements, n_seeds=seeds, seed=seed)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("savings", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def incidents(
    seed: Annotated[int, typer.Option(min=0, help="Seed of users and arrivals.")] = 0,
) -> None:
    """Incidents injected into a plan, and what the console's overview names; ends with 3 when one is wrong."""
    from dataclasses import asdict

    from benchmarks.incidents import IncidentsBench, format_table, run
    from benchmarks.results import write_result

    bench = IncidentsBench(seed=seed)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("incidents", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)
    if figures["named_right"] < len(figures["incidents"]):
        raise typer.Exit(3)


@app.command()
def edge_vectors(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("edge/vectors/recommendations.json"),
    models: Annotated[str, typer.Option(help="The bundle that the service is to serve.")] = "models/edge",
    n: Annotated[int, typer.Option(min=1, help="Questions.")] = 400,
    seed: Annotated[int, typer.Option(help="Seed of the questions.")] = 0,
) -> None:
    """What the service answers from the edge's bundle: the cases that every client is held against."""
    from benchmarks.edge.vectors import write_vectors

    n_cases = write_vectors(out, models_dir=models, n=n, seed=seed)
    print(f"{out}: {n_cases} cases")


@app.command()
def edge_browser(
    histories: Annotated[int, typer.Option(min=1, help="Histories of the parity.")] = 5000,
    profiles: Annotated[
        int, typer.Option(min=2, help="Fresh profiles that a first answer is timed with.")
    ] = 10,
    answers: Annotated[int, typer.Option(min=10, help="Local answers that are timed.")] = 2000,
    requests: Annotated[int, typer.Option(min=50, help="Requests at each round trip.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of histories and requests.")] = 0,
) -> None:
    """The JavaScript edge client in a headless Chromium: parity, bytes, latency, round trips, offline."""
    from dataclasses import asdict

    from benchmarks.chromium import NoChromium
    from benchmarks.edge.browser import EdgeBrowserBench, format_table, run
    from benchmarks.results import write_result
    from emulator.npm import NpmMissing

    bench = EdgeBrowserBench(
        n_histories=histories, n_profiles=profiles, n_local=answers, n_requests=requests, seed=seed
    )
    try:
        figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    except (NoChromium, NpmMissing) as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    path = write_result("edge_browser", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def console(
    requests: Annotated[
        list[int] | None, typer.Option(help="Request spans of a store; several may be named.")
    ] = None,
    hours: Annotated[int, typer.Option(min=1, help="Hours that they spread over.")] = 24,
    rounds: Annotated[int, typer.Option(min=1, help="How often each view is opened.")] = 5,
    store: Annotated[
        list[str] | None, typer.Option(help="Folder of a store that is there; several may be named.")
    ] = None,
    screenshots: Annotated[
        Path | None, typer.Option(help="Only take pictures of all views, from a replay, into this folder.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="How long the replay runs before that.")] = 12.0,
    url: Annotated[str, typer.Option(help="Of a running console, for pictures of it instead.")] = "",
) -> None:
    """Each view of the console in a real browser, until it is completely drawn; or pictures of all."""
    from dataclasses import asdict

    from benchmarks.chromium import Incomplete, NoChromium
    from benchmarks.console import ConsoleBench, format_table, run
    from benchmarks.results import write_result

    def say(stage: str) -> None:
        print(f"... {stage}", flush=True)

    try:
        if screenshots is not None:
            _take_pictures(screenshots, minutes=minutes, url=url, say=say)
            return
        sizes = {"n_requests": tuple(requests)} if requests else {}
        bench = ConsoleBench(n_hours=hours, n_rounds=rounds, stores=tuple(store or ()), **sizes)
        figures = run(bench, say=say)
    except (Incomplete, NoChromium) as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err
    path = write_result("console", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


@app.command()
def edge_parity(
    histories: Annotated[int, typer.Option(min=10, help="Histories that edge and service answer.")] = 5000,
    requests: Annotated[int, typer.Option(min=20, help="Requests at each round trip.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of histories and requests.")] = 0,
) -> None:
    """The Python edge client against the service: parity, latency, NDCG lost, and a network that is cut."""
    from dataclasses import asdict

    from benchmarks.edge.parity import EdgeParityBench, format_table, run
    from benchmarks.results import write_result

    bench = EdgeParityBench(n_histories=histories, n_requests=requests, seed=seed)
    figures = run(bench, on_stage=lambda stage: print(f"... {stage}", flush=True))
    path = write_result("edge_parity", settings=asdict(bench), figures=figures)
    print(format_table(figures))
    print(path)


def _take_pictures(folder: Path, *, minutes: float, url: str, say: Callable[[str], None]) -> None:
    from contextlib import nullcontext
    from datetime import UTC, datetime, timedelta

    from benchmarks.console_pictures import Running, replay, take

    running = nullcontext(Running(url, datetime.now(UTC) - timedelta(minutes=minutes)))
    with running if url else replay(minutes, say=say) as shown:
        for path in take(shown, folder, say=say):
            print(f"{path.stat().st_size / 1e3:4.0f} kB  {path}")


if __name__ == "__main__":
    app()
