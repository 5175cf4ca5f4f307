"""How far a command is: a bar on a terminal, elsewhere a line once in a while."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

SAY_EVERY_S = 10.0
"Between two lines, where there is no terminal."


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """What is told of what is done, of how much of it, and of how much there is."""
    if not sys.stderr.isatty():
        said_s = time.monotonic()

        def say(what: str, done: int, of: int) -> None:
            nonlocal said_s
            if time.monotonic() - said_s >= SAY_EVERY_S:
                said_s = time.monotonic()
                typer.echo(f"{what}: {done} of {of}", err=True)

        yield say
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("searching", total=None)
        yield lambda what, done, of: bar.update(task, description=what, completed=done, total=of)
