"""Writes a file whole or not at all: beside its place first, then renamed.

What stood there before stays until the new content is complete. A kill may leave the file beside, which the
next write of the same file takes over.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        OSError: the disk refuses; it names the file and the reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path) as staging:
            staging.write_bytes(content)
            staging.replace(path)
    except OSError as err:
        raise refusal(path, err) from err


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A file on the same file system as `path`, gone afterwards unless it was renamed."""
    staging = path.with_name(f".{path.name}.writing")
    try:
        yield staging
    finally:
        staging.unlink(missing_ok=True)


def refusal(path: Path, err: OSError) -> OSError:
    """What a disk refused, with the file, which the error of a full disk does not name, and the remedy."""
    reason = err.strerror or err
    return OSError(f"cannot write {path}: {reason}; what was there is as it was, make room and run again")
