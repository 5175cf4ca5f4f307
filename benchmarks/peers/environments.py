"""A virtual environment for each peer, made from its pinned requirements."""

import hashlib
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from benchmarks.server import ROOT

REQUIREMENTS = Path(__file__).parent / "requirements"
ENVIRONMENTS = ROOT / ".local" / "peers"


class NoEnvironment(RuntimeError):
    """A peer's environment cannot be made."""


def make_environment(peer: str, *, within_s: float = 600.0) -> Path:
    """Make the peer's environment unless it is there and has what is pinned.

    Args:
        peer: name of a requirements file.
        within_s: how long the installation may take.

    Returns:
        Its interpreter, of the same Python as ours.

    Raises:
        NoEnvironment: the installation failed or took too long; the message ends with uv's own words.
    """
    requirements, folder = REQUIREMENTS / f"{peer}.txt", ENVIRONMENTS / peer
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    uv = find_uv_bin()
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(requirements)],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
        except subprocess.TimeoutExpired as err:
            raise NoEnvironment(f"installing {requirements} took more than {within_s:.0f} s") from err
        if done.returncode:
            raise NoEnvironment(
                f"{requirements} cannot be installed; check the package index: {done.stderr.strip()[-500:]}"
            )
    stamp.write_text(wanted)
    return python
