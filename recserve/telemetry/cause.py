"""Why a process started: what the instance remembers of the processes before it.

The platform does not say, so each process leaves a note in the temporary directory, which lives and dies
with the instance:

    no note, and the warmup trigger fired      scale_out    the platform calls it only for added instances
    no note otherwise                          first        of this app on this instance
    a note of another deployment               deployment   other code, or other models
    a process of the note still runs           worker       one more process of an instance that serves
    else                                       restart

It misbehaves where two processes start within the same milliseconds: both may call themselves first.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

from recserve import __version__
from recserve.telemetry.cold_start import Driver

Cause = Literal["first", "scale_out", "deployment", "restart", "worker"]


def deployment_id(app_root: Path, models_version: str) -> str:
    """What changes with every deployment: code, by the time that the app's file was written, and models."""
    try:
        written_ns = (app_root / "function_app.py").stat().st_mtime_ns
    except OSError:
        written_ns = 0
    return f"{__version__}/{written_ns}/{models_version}"


def cause_of(note: Path, *, deployment: str, instance: str, driver: Driver) -> Cause:
    """Why this process started; leaves the note for the next one.

    Args:
        note: the file that processes of this instance share.
        deployment: this process's; see `deployment_id`.
        instance: the instance, in case that the file outlives it.
        driver: what met the process first.
    """
    before = _read(note)
    known = before if before.get("instance") == instance else {}
    listed = known.get("pids")
    pids = [pid for pid in listed if pid != os.getpid()] if isinstance(listed, list) else []
    alive = [pid for pid in pids if _is_alive(pid)]
    _write(note, {"instance": instance, "deployment": deployment, "pids": [*alive, os.getpid()]})
    if not known:
        return "scale_out" if driver == "warmup" else "first"
    if known.get("deployment") != deployment:
        return "deployment"
    return "worker" if alive else "restart"


def _read(note: Path) -> dict[str, object]:
    try:
        read = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _write(note: Path, content: dict[str, object]) -> None:
    """All of it or nothing; an instance without a place to write just forgets."""
    partial = note.with_suffix(f".{os.getpid()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content))
        partial.replace(note)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":  # signal 0 would end the process there
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
