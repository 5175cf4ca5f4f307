"""The emulator's command line: `python -m emulator start`, `plan`, `plan-command`, `app-insights` and `up`."""

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
def plan(
    *,
    sku: Annotated[str, typer.Option(help="Size of an instance: EP1, EP2 or EP3.")] = "EP1",
    always_ready: Annotated[int, typer.Option(help="Instances that run at all times, 1 to 20.")] = 1,
    pre_warmed: Annotated[int, typer.Option(help="Warm instances in reserve while there is load.")] = 1,
    max_burst: Annotated[int, typer.Option(help="Most instances, the reserve included.")] = 3,
    scale_limit: Annotated[int | None, typer.Option(help="Most instances that requests go to.")] = None,
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Port; 0 picks one.")] = 7071,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    script_root: Annotated[Path, typer.Option(help="Directory with function_app.py and host.json.")] = Path(),
    data: Annotated[Path, typer.Option(help="Folder for events, logs and state.")] = Path(".local/plan"),
    target: Annotated[
        float,
        typer.Option(metavar="REQUESTS", help="Outstanding requests that one instance is meant to have."),
    ] = 4.0,
    idle_s: Annotated[
        float,
        typer.Option(help="Seconds without need after which instances go, and without requests the reserve."),
    ] = 300.0,
    start_timeout_s: Annotated[
        float, typer.Option(help="Longest that an instance may take to start.")
    ] = 60.0,
    probe_timeout_s: Annotated[
        float, typer.Option(help="Longest that a health probe waits; an instance that fails 3 is replaced.")
    ] = 2.0,
    time_limit_s: Annotated[float | None, typer.Option(help="Stop by itself after so many seconds.")] = None,
    welcome: Annotated[bool, typer.Option(help="Tell how to use the plan once it is up.")] = True,
    state: Annotated[
        str,
        typer.Option(
            help="Where user histories are: as the app settings say, or `azurite`, which is started."
        ),
    ] = "settings",
    app_insights: Annotated[
        str, typer.Option(metavar="CONNECTION_STRING", help="Application Insights for plan and instances.")
    ] = "",
) -> None:
    """Run a function app on an emulated Premium plan: several instances behind one address."""
    from emulator.functions_host.errors import HostStartError
    from emulator.premium_plan.errors import PlanError
    from emulator.premium_plan.plan import run_plan
    from emulator.premium_plan.settings import PlanSettings
    from planner.plans import PremiumPlan, sku_named
    from planner.scale_rules import ScaleSettings

    try:
        if state not in ("settings", "azurite"):
            raise ValueError(f"--state is {state!r}; give settings or azurite")
        settings = PlanSettings(
            plan=PremiumPlan(
                sku=sku_named(sku),
                always_ready=always_ready,
                pre_warmed=pre_warmed,
                max_burst=max_burst,
                scale_limit=scale_limit,
            ),
            scale=ScaleSettings(target_outstanding=target, idle_s=idle_s, scale_in_after_s=idle_s),
            script_root=script_root.resolve(),
            data=data.resolve(),
            host=host,
            port=port,
            connection_string=app_insights,
            uses_azurite=state == "azurite",
            start_timeout_s=start_timeout_s,
            probe_timeout_s=probe_timeout_s,
            time_limit_s=time_limit_s,
            is_at_terminal=welcome,
        )
        run_plan(settings, say=typer.echo)
    except (HostStartError, PlanError, ValueError) as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err


@commands.command()
def plan_command(
    words: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="Such as `kill I3`, or `help`.")],
    *,
    data: Annotated[Path, typer.Option(help="Folder of the plan.")] = Path(".local/plan"),
) -> None:
    """Say something to a running plan: kill, freeze, slow, restart, cut, status."""
    from emulator.premium_plan.control import send_command
    from emulator.premium_plan.errors import PlanError

    try:
        typer.echo(send_command(data.resolve(), " ".join(words)))
    except PlanError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(1) from err


@commands.command()
def up(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the function app.")] = 7071,
    console_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the console.")] = 8501,
    app_insights_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the Application Insights emulator.")
    ] = 9411,
    demo: Annotated[
        bool, typer.Option(envvar="DEMO", help="Send a gentle load, to have something to see.")
    ] = True,
) -> None:
    """Start a plan with the function app, telemetry and the console, and show how to use them: `make run`."""
    from emulator.functions_host.errors import HostStartError
    from emulator.stack import StackError, run_stack

    try:
        run_stack(
            Path(__file__).resolve().parent.parent,
            port=port,
            console_port=console_port,
            app_insights_port=app_insights_port,
            with_visitors=demo,
        )
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
