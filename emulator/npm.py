"""npm packages that a folder pins, installed once below `.local`: Azurite, and the Kusto checker of the tests."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

INSTALLED = Path(__file__).resolve().parent.parent / ".local"
PINNED = ("package.json", "package-lock.json", ".npmrc")


class NpmMissing(RuntimeError):
    """The packages cannot be installed on this machine; the message says what that needs."""


def install_pinned(folder: Path, *, name: str) -> Path:
    """Install what `package-lock.json` in a folder pins, when it is not there yet.

    Args:
        name: of what is installed, as one says it.

    Returns:
        Its `node_modules`.

    Raises:
        NpmMissing: it cannot be installed.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NpmMissing(
            f"{name} needs Node.js 20 or later with npm (Debian, Ubuntu: apt-get install nodejs npm)"
        )
    pinned = [folder / file for file in PINNED]
    version = hashlib.sha256(b"".join(file.read_bytes() for file in pinned)).hexdigest()[:12]
    target = INSTALLED / f"{name.lower().replace(' ', '-')}-{version}"
    if not target.exists():
        INSTALLED.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=INSTALLED, ignore_cleanup_errors=True) as scratch:
            for file in pinned:
                shutil.copy(file, scratch)
            npm = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=scratch,
                capture_output=True,
                text=True,
                check=False,
            )
            if npm.returncode:
                raise NpmMissing(f"npm cannot install {name}: {npm.stderr.strip()[-500:]}")
            if not target.exists():  # another run may have been faster
                Path(scratch).rename(target)
    return target / "node_modules"
