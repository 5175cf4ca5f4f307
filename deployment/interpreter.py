"""The Python that Azure runs: bytecode and wheels are made for it, and the trial runs on it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deployment.errors import DeploymentError

VERSION = "3.13"
CHOICE = "RECSERVE_WORKER_PYTHON"


def find_interpreter() -> Path:
    """A Python 3.13: the one that is chosen, this one, or one on the path.

    Raises:
        DeploymentError: there is none.
    """
    chosen = os.environ.get(CHOICE)
    candidates = [chosen] if chosen else [sys.executable]
    on_path = shutil.which(f"python{VERSION}")
    if not chosen and on_path:
        # pyenv's shim refuses where 3.13 is not the chosen version; the interpreters lie beside it.
        beside = Path(on_path).parents[1] / "versions"
        candidates += [
            on_path,
            *map(str, sorted(beside.glob(f"{VERSION}*/bin/python{VERSION}"), reverse=True)),
        ]
    for candidate in candidates:
        if found := _of_version(candidate):
            return found
    raise DeploymentError(
        f"{CHOICE}={chosen!r} is no Python {VERSION}"
        if chosen
        else f"no Python {VERSION} here, which Azure runs; put python{VERSION} on PATH or name one in {CHOICE}"
    )


def _of_version(executable: str) -> Path | None:
    """The interpreter behind a command, if it is of the version."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    try:
        said = subprocess.run([executable, "-c", ask], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    version, _, path = said.strip().partition(" ")
    return Path(path) if version == VERSION else None


def run(*command: str | Path, environ: dict[str, str] | None = None) -> None:
    """Run a command quietly.

    Raises:
        DeploymentError: it failed; the message ends with what it printed.
    """
    env = os.environ | (environ or {})
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        shown = " ".join(Path(part).name if isinstance(part, Path) else part for part in command)
        raise DeploymentError(f"{shown} failed:\n{(done.stdout + done.stderr)[-2000:]}")
