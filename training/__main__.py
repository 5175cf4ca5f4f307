"""`python -m training`: from interactions to a verified models directory."""

import logging
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recserve.errors import InvalidModels
from recserve.inference.manifest import Manifest
from training.datasets import BASE_URL, RELEASES, DatasetError, read_movielens
from training.release import verify as verify_models

app = typer.Typer(help="Train, measure and verify the model ladder.", no_args_is_help=True)
console = Console()


@app.command()
def run(
    source: Annotated[
        str,
        typer.Argument(help=f"A MovieLens directory or zip, or one of {', '.join(RELEASES)} to download."),
    ],
    out: Annotated[Path, typer.Option(help="The models directory to write.")] = Path("models"),
    max_epochs: Annotated[
        int, typer.Option(min=1, help="Epochs at most; fitting stops earlier by itself.")
    ] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    cache_dir: Annotated[Path, typer.Option(help="Where downloads are kept.")] = Path(".local/datasets"),
    base_url: Annotated[str, typer.Option(help="Where releases are downloaded from.")] = BASE_URL,
) -> None:
    """Fit the ladder on a MovieLens release and write the models directory."""
    from training.counts import CountsConfig
    from training.export import ExportError
    from training.fitting import FitConfig, Look
    from training.ladder import make_ladder
    from training.sasrec import SasRecConfig

    _quieten_exporter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        dataset = read_movielens(source, cache_dir=cache_dir, base_url=base_url)
        with Progress(*columns, console=console) as progress:
            epochs = progress.add_task("epochs", total=max_epochs)

            def on_look(look: Look) -> None:
                seen = f"loss {look.loss:.3f}, NDCG@10 {look.ndcg_10:.4f} (best {look.best_ndcg_10:.4f})"
                progress.update(epochs, completed=look.epoch, description=seen)
                if not console.is_terminal:  # a log has no bar
                    console.print(f"epoch {look.epoch}: {seen}")

            manifest = make_ladder(
                dataset,
                out,
                model_config=SasRecConfig(),
                fit_config=FitConfig(max_epochs=max_epochs, seed=seed),
                counts_config=CountsConfig(),
                on_look=on_look,
                on_stage=progress.console.print,
            )
    except (DatasetError, ExportError, OSError) as err:
        _fail(str(err))
    _print_ladder(out, manifest)


@app.command()
def verify(
    models_dir: Annotated[Path, typer.Argument(help="The models directory.")] = Path("models"),
) -> None:
    """Check every file of a models directory against its manifest."""
    try:
        manifest = verify_models(models_dir)
    except InvalidModels as err:
        _fail(str(err))
    _print_ladder(models_dir, manifest)


def _print_ladder(models_dir: Path, manifest: Manifest) -> None:
    console.print(
        f"{models_dir}: version {manifest.version}, {manifest.dataset.n_items} items, all files verified"
    )
    for variant in manifest.ladder:
        metrics = variant.metrics
        console.print(
            f"  {variant.name:8} NDCG@10 {metrics.ndcg_10:.4f} [{metrics.ndcg_10_low:.4f}, {metrics.ndcg_10_high:.4f}]"
            f"  HR@10 {metrics.hr_10:.4f}  {variant.file.bytes / 1e6:.2f} MB",
            highlight=False,
            markup=False,
        )


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(1)


def _quieten_exporter() -> None:
    """The exporter warns about packages and internals that are not ours to mend."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="torch|onnxscript|copyreg")


if __name__ == "__main__":
    app()
