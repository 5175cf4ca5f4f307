"""The emulator's command line: `python -m emulator start`, `app-insights` and `up`."""

from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer(
    help="Stand in for Azure on one machine.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@commands.callback()
def emulator() -> None:
    """Stand in for Azure on one machine."""


@commands.command()
def start(
    *,
    port: Annotated[
        int | None, typer.Option("--port", "-p", min=0, max=65535, help="Port; 7071 if not set, 0 picks one.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    script_root: Annotated[Path, typer.Option(help="Directory with function_app.py and host.json.")] = Path(),
    enable_auth: Annotated[bool, typer.Option("--enable-auth", help="Enforce function keys.")] = False,
    cors: Annotated[
        str | None, typer.Option(metavar="ORIGINS", help="Comma-separated origins; * for any.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log every invocation, at some cost per request.")
    ] = False,
) -> None:
    """Host one instance of a Python function app, as `func start` does."""
    from emulator.functions_host.errors import HostStartError
    from emulator.functions_host.serving import serve

    try:
        serve(script_root, host=host, port=port, enable_auth=enable_auth, cors=cors, verbose=verbose)
    except HostStartError as err:
        typer.echo(str(err), err=True)
        raise typer.Exit(1) from err


@commands.command()
def up(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the function app.")] = 7071,
    console_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the console.")] = 8501,
) -> None:
    """Start the function app and the console, and show how to use them: `make run`."""
    from emulator.functions_host.errors import HostStartError
    from emulator.stack import StackError, run_stack

    try:
        run_stack(Path(__file__).resolve().parent.parent, port=port, console_port=console_port)
    except (HostStartError, StackError) as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err


@commands.command()
def app_insights(
    *,
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Port; 0 picks one.")] = 9411,
    host: Annotated[str, typer.Option(help="Address to listen on; anybody who reaches it may write.")] = (
        "127.0.0.1"
    ),
    data: Annotated[Path, typer.Option(help="Folder that keeps the telemetry.")] = Path(
        ".local/app-insights"
    ),
    retention_days: Annotated[int, typer.Option(min=1, help="Hours older than this are dropped.")] = 30,
    fail: Annotated[
        int | None, typer.Option(metavar="STATUS", help="Answer ingestion with this status, for tests.")
    ] = None,
    retry_after: Annotated[
        int | None, typer.Option(min=0, metavar="SECONDS", help="Retry-After of --fail.")
    ] = None,
) -> None:
    """Take telemetry as Application Insights does, and answer KQL as Log Analytics does."""
    from emulator.app_insights.errors import StoreError
    from emulator.app_insights.faults import Fault, Faults
    from emulator.app_insights.serving import serve
    from emulator.app_insights.store import StoreSettings

    faults = Faults()
    try:
        faults.switch(Fault(status=fail, retry_after_s=retry_after))
        serve(
            data.resolve(),
            StoreSettings(retention_days=retention_days),
            host=host,
            port=port,
            faults=faults,
            say=typer.echo,
        )
    except (StoreError, ValueError) as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err


if __name__ == "__main__":
    commands(prog_name="python -m emulator")
