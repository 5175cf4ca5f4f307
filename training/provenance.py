"""Who made a models directory, from what code, with which packages and on which machine."""

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from recserve.inference.manifest import FitRecord, Provenance
from training.machine import describe_machine

PACKAGES = ("torch", "numpy", "onnx", "onnxruntime")


def describe_run(*, seed: int, commit: str, duration_s: float, fits: Mapping[str, FitRecord]) -> Provenance:
    """The run of this process, which ends here.

    Args:
        seed: of everything random.
        commit: of the code, read before the run; see `read_commit`.
        duration_s: of the run.
        fits: how each fit went, by what was fitted.
    """
    return Provenance(
        command=" ".join(["python -m training", *sys.argv[1:]]),
        commit=commit,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        packages={name: version(name) for name in PACKAGES},
        machine=describe_machine(),
        duration_s=round(duration_s, 1),
        fits=dict(fits),
    )


def read_commit() -> str:
    """The commit of this checkout, `-dirty` when the tree is not clean; `unknown` outside of one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
