"""`python -m training`: from interactions to a verified models directory, and the report over all runs."""

import logging
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recserve.errors import InvalidModels
from recserve.inference.manifest import Manifest, read_manifest
from training.datasets import BASE_URL, KINDS, RELEASES, read_dataset
from training.errors import TrainingError
from training.verification import verify as verify_models

if TYPE_CHECKING:
    from training.edge import BundleResult
    from training.fitting import Look

RESULTS_DIR = Path(__file__).parent / "results"

app = typer.Typer(
    help="Train, measure and verify the model ladder.", no_args_is_help=True, pretty_exceptions_enable=False
)
console = Console()


@app.command()
def run(
    source: Annotated[
        str, typer.Argument(help=f"A file, a directory, or a name: {', '.join(RELEASES)}, complete-journey.")
    ],
    out: Annotated[Path, typer.Option(help="The models directory to write.")] = Path("models"),
    config: Annotated[Path | None, typer.Option(help="TOML file with the run's settings.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help=f"What the source is: {', '.join(KINDS)}; seen from the source if left out."),
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(help="Titles for a table: CSV or Parquet with item_id, title[, year][, genres]."),
    ] = None,
    allow_repeats: Annotated[
        bool | None,
        typer.Option(
            "--allow-repeats/--no-allow-repeats",
            help="Whether items taken before may be recommended again; the kind decides if left out.",
        ),
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(min=1, help="Epochs at most for each fit.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random.")] = None,
    result: Annotated[
        Path | None, typer.Option(help="Also write the manifest and the curves of the run to this file.")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Checkpoints; a killed run goes on from here. .local/runs/DATASET")
    ] = None,
    cache_dir: Annotated[Path, typer.Option(help="Where downloads are kept.")] = Path(".local/datasets"),
    base_url: Annotated[str, typer.Option(help="Where releases are downloaded from.")] = BASE_URL,
) -> None:
    """Fit the ladder on a dataset and write the models directory."""
    import msgspec

    from training.config import read_config
    from training.ladder import Watcher, make_ladder
    from training.results import write_result

    _quieten_exporter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        settings = read_config(config)
        if seed is not None:
            settings = msgspec.structs.replace(settings, seed=seed)
        if max_epochs is not None:
            fit = msgspec.structs.replace(settings.fit, max_epochs=max_epochs)
            refit = msgspec.structs.replace(settings.refit, max_epochs=max_epochs)
            settings = msgspec.structs.replace(settings, fit=fit, refit=refit)
        dataset = read_dataset(
            source,
            kind=kind,
            items=items,
            allow_repeats=allow_repeats,
            cache_dir=cache_dir,
            base_url=base_url,
        )
        with Progress(*columns, console=console) as progress:
            epochs = progress.add_task("epochs", total=None)

            def on_look(stage: str, look: "Look", max_epochs: int) -> None:
                seen = f"{stage}: loss {look.loss:.3f}, NDCG@10 {look.ndcg_10:.4f} (best {look.best_ndcg_10:.4f})"
                progress.update(epochs, completed=look.epoch, total=max_epochs, description=seen)
                if not console.is_terminal:  # a log has no bar
                    console.print(f"epoch {look.epoch} of {max_epochs}, {seen}", soft_wrap=True)

            manifest, looks = make_ladder(
                dataset,
                out,
                config=settings,
                run_dir=run_dir or Path(".local/runs") / dataset.name,
                watcher=Watcher(on_stage=progress.console.print, on_look=on_look),
            )
        verify_models(out)
        if result is not None:
            write_result(result, manifest, looks, settings)
    except (TrainingError, InvalidModels, OSError) as err:
        _fail(str(err))
    _print_ladder(out, manifest)


@app.command()
def verify(
    models_dir: Annotated[Path, typer.Argument(help="The models directory.")] = Path("models"),
) -> None:
    """Check a models directory end to end: files against the manifest, the catalogue, every graph by runs."""
    try:
        manifest = verify_models(models_dir)
    except InvalidModels as err:
        _fail(str(err))
    _print_ladder(models_dir, manifest)


@app.command()
def edge(
    models_dir: Annotated[Path, typer.Argument(help="The models directory that serves.")] = Path("models"),
    data: Annotated[
        str, typer.Option(help="What it was made from, as `run` takes it.")
    ] = "../shared/data/ml-latest-small",
    out: Annotated[Path, typer.Option(help="Where to write the bundle.")] = Path("models/edge"),
    kind: Annotated[
        str | None,
        typer.Option(help=f"What the data is: {', '.join(KINDS)}; seen from the data if left out."),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Titles for a table, as `run` takes them.")] = None,
    result: Annotated[
        Path | None, typer.Option(help="Also write what was tried and found to this file.")
    ] = None,
    cache_dir: Annotated[Path, typer.Option(help="Where downloads are kept.")] = Path(".local/datasets"),
) -> None:
    """Make the bundle that devices answer from: at most 1 MB on the wire, as good as what serves."""
    _quieten_exporter()
    try:
        allow_repeats = read_manifest(models_dir).dataset.allow_repeats
        import msgspec

        from training.edge import make_bundle
        from training.writing import write_whole

        dataset = read_dataset(
            data, kind=kind, items=items, allow_repeats=allow_repeats, cache_dir=cache_dir, base_url=BASE_URL
        )
        made = make_bundle(models_dir, dataset, out, on_stage=console.print)
        verify_models(out)
        if result is not None:
            write_whole(result, msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
    except (TrainingError, InvalidModels, OSError) as err:
        _fail(str(err))
    _print_ladder(out, made.manifest)
    _print_bundle(made)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="The page to write; its pictures go beside it.")] = Path(
        "docs/models.md"
    ),
) -> None:
    """Write the page about the ladder from the result files of all runs."""
    from training.report import write_report

    try:
        write_report(RESULTS_DIR, out)
    except (TrainingError, OSError) as err:
        _fail(str(err))
    console.print(f"{out} written from {RESULTS_DIR.name}/")


def _print_ladder(models_dir: Path, manifest: Manifest) -> None:
    console.print(
        f"{models_dir}: version {manifest.version}, {manifest.dataset.n_items} items, all files verified; "
        f"serving {', '.join(manifest.serving)}",
        soft_wrap=True,
    )
    for variant in manifest.ladder:
        metrics = variant.metrics
        console.print(
            f"  {variant.name:8} NDCG@10 {metrics.ndcg['10']:.4f} "
            f"[{metrics.ndcg_10_low:.4f}, {metrics.ndcg_10_high:.4f}]  {variant.file.bytes / 1e6:.2f} MB  "
            f"{variant.measurement.latency_ms['1']:.3f} ms  identical {variant.identical:.4f}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for name, model in manifest.unshipped.items():
        console.print(
            f"  not shipped: {name}, NDCG@10 {model.metrics.ndcg['10']:.4f}: {model.reason}", soft_wrap=True
        )


def _print_bundle(made: "BundleResult") -> None:
    lines = [f"  {made.bytes / 1e6:.2f} MB, {made.wire_bytes / 1e6:.2f} MB on the wire; tried:"]
    lines += [
        f"    {tried.name:22} NDCG@10 {tried.ndcg_10:.4f}  overlap {tried.overlap:.3f}  "
        f"{tried.wire_bytes / 1e6:.2f} MB on the wire  {tried.verdict}"
        for tried in made.candidates
    ]
    lines += [
        f"    against {name:8} NDCG@10 {other.ndcg_10:.4f}, difference {other.difference:+.4f} "
        f"[{other.difference_low:+.4f}, {other.difference_high:+.4f}]  overlap {other.overlap:.3f}  "
        f"identical {other.identical:.3f}"
        for name, other in made.against.items()
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _fail(message: str) -> None:
    """Print one line for each fault, and end."""
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    raise typer.Exit(1)


def _quieten_exporter() -> None:
    """Exporter and quantiser warn about packages and internals that are not ours to mend."""
    for name in ("torch.onnx", "onnxscript", "root"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="torch|onnxscript|copyreg")


if __name__ == "__main__":
    app()
