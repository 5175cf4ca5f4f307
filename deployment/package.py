"""The zip that Azure runs, the same bytes from the same files.

Dependencies go along, in the folder that the platform puts on the path of Python: what was tried here is
what runs there. A package without them is for a build in Azure, which installs `requirements.txt` itself.

Bytecode goes along too. Azure mounts a package read-only, so every start of every process would compile what
it imports anew. It is of the kind `unchecked-hash`: the usual kind counts only while the source has the time
of modification that it was compiled at, which unpacking changes, and a checked hash would read every source at
every start, to find that files nobody can write have not changed.
"""

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from deployment.errors import DeploymentError
from deployment.interpreter import VERSION, find_interpreter, run

ROOT = Path(__file__).resolve().parent.parent
IGNORE = ".funcignore"
REQUIREMENTS = "requirements.txt"
SITE_PACKAGES = Path(".python_packages/lib/site-packages")
"Below the app: where the worker looks."
WWWROOT = "/home/site/wwwroot"
"What tracebacks say of a file in Azure."
PLATFORM = "x86_64-manylinux_2_28"
"Azure's image is Debian's, with a newer C library than this."
EPOCH = (1980, 1, 1, 0, 0, 0)
"The first moment that a zip can tell; the same for every file, whenever it was written."
READABLE = 0o100644 << 16
COMPRESSION = 9


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package; sizes in bytes."""

    name: str
    size: int
    compressed: int


@dataclass(frozen=True, slots=True)
class Package:
    path: Path
    entries: list[Entry]

    @property
    def has_dependencies(self) -> bool:
        return any(Path(entry.name).is_relative_to(SITE_PACKAGES) for entry in self.entries)


def build_package(path: Path, *, with_dependencies: bool, root: Path = ROOT) -> Package:
    """Write a package.

    Args:
        path: the zip; an older one is replaced.
        with_dependencies: what `requirements.txt` names goes along.
        root: the repository.

    Raises:
        DeploymentError: something that it needs is not there.
    """
    python = find_interpreter()
    with tempfile.TemporaryDirectory(prefix="recserve-package-") as temporary:
        staged = Path(temporary)
        for name in shipped(root):
            place = staged / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, place)
        if with_dependencies:
            install(staged / REQUIREMENTS, staged / SITE_PACKAGES)
        compile_sources(python, staged)
        return write_zip(staged, path)


def shipped(root: Path) -> list[Path]:
    """Files that `.funcignore` leaves, relative to the repository, in order."""
    spec = GitIgnoreSpec.from_lines((root / IGNORE).read_text().splitlines())
    return sorted(path.relative_to(root) for path in _files(root, root, spec))


def _files(directory: Path, root: Path, spec: GitIgnoreSpec) -> Iterator[Path]:
    for path in directory.iterdir():
        name = path.relative_to(root).as_posix()
        if path.is_dir() and not spec.match_file(f"{name}/"):
            yield from _files(path, root, spec)
        elif path.is_file() and not spec.match_file(name):
            yield path


def install(requirements: Path, target: Path) -> None:
    """Install wheels for Azure's Linux, whatever machine this is.

    Raises:
        DeploymentError: one cannot be had.
    """
    run(
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", target),
        *("--python-version", VERSION, "--python-platform", PLATFORM, "--only-binary", ":all:"),
        *("--link-mode", "copy", "-r", requirements),
    )
    # Commands name the interpreter that they were installed by, and records name them; nobody calls either.
    shutil.rmtree(target / "bin", ignore_errors=True)
    for pattern in (".lock", "*.dist-info/RECORD", "*.dist-info/uv_cache.json"):
        for leftover in target.glob(pattern):
            leftover.unlink()


def compile_sources(python: Path, directory: Path) -> None:
    """Compile every source, as it will be called in Azure."""
    command = "compileall", "-q", "--invalidation-mode", "unchecked-hash"
    # The order of constant sets is that of their hashes.
    reproducible = {"PYTHONHASHSEED": "0", "PYTHONPATH": ""}
    run(python, "-m", *command, "-s", directory, "-p", WWWROOT, directory, environ=reproducible)


def write_zip(directory: Path, path: Path) -> Package:
    """Zip a directory: names in order, one date, one mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    entries = []
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
        for file in sorted(file for file in directory.rglob("*") if file.is_file()):
            info = zipfile.ZipInfo(file.relative_to(directory).as_posix(), EPOCH)
            info.external_attr, info.create_system = READABLE, 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.read_bytes(), compresslevel=COMPRESSION)
            entries.append(Entry(info.filename, info.file_size, info.compress_size))
    unfinished.replace(path)
    return Package(path, entries)


def read_package(path: Path) -> Package:
    """A package that was written before.

    Raises:
        DeploymentError: there is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = [Entry(file.filename, file.file_size, file.compress_size) for file in archive.infolist()]
    except (OSError, zipfile.BadZipFile) as err:
        raise DeploymentError(f"{path} is no package: {err}; make one with `make package`") from err
    return Package(path, found)
