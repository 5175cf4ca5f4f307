"""Rows that are acknowledged and not yet Parquet: appended, forced to the disk, and readable at once.

One line of JSON a row, in numbered segments; a segment is sealed when its turn to become Parquet has come.
"""

import contextlib
import os
import threading
from pathlib import Path

from emulator.app_insights.errors import StoreFull

SUFFIX = ".jsonl"


class Journal:
    """The segments of a folder; safe on any thread.

    Args:
        folder: must have been put in order (`Layout.recover`) before.
        last_number: of the segments so far, gone ones too.
    """

    def __init__(self, folder: Path, *, last_number: int) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._sealed = sorted(folder.glob(f"*{SUFFIX}"))
        self._number = last_number
        self._file: int | None = None
        self._n_bytes = 0
        "Of the open segment."

    @property
    def n_bytes(self) -> int:
        """Size of all segments."""
        with self._lock:
            return self._n_bytes + sum(path.stat().st_size for path in self._sealed)

    def append(self, lines: bytes) -> None:
        """Make rows durable; they are so when this returns.

        Raises:
            StoreFull: they are not, and nothing of them is left behind.
        """
        with self._lock:
            try:
                file = self._open()
                _write(file, lines)
                os.fsync(file)
            except OSError as err:
                self._undo()
                raise StoreFull(f"the journal cannot be written: {err.strerror}") from err
            self._n_bytes += len(lines)

    def segments(self) -> list[Path]:
        """All segments with rows, oldest first."""
        with self._lock:
            return [*self._sealed, *([self._path] if self._n_bytes else [])]

    def seal(self) -> list[Path]:
        """End the open segment; all sealed ones, oldest first."""
        with self._lock:
            self._seal()
            return list(self._sealed)

    def drop(self, segment: Path) -> None:
        """Forget a sealed segment, whose rows are elsewhere."""
        with self._lock:
            self._sealed.remove(segment)
            segment.unlink()

    def close(self) -> None:
        with self._lock:
            self._seal()

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._number:08d}{SUFFIX}"

    def _open(self) -> int:
        if self._file is None:
            self._number += 1
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._file = os.open(self._path, flags)
            sync_folder(self._folder)
        return self._file

    def _seal(self) -> None:
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        if self._n_bytes:
            self._sealed.append(self._path)
        else:
            self._path.unlink()
        self._n_bytes = 0

    def _undo(self) -> None:
        """Cut off what a failed append left, and go on in another segment."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._n_bytes)
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            self._seal()


def cut_torn_line(segment: Path) -> None:
    """Drop what a crash left of an append that was never acknowledged: a last line without its end."""
    content = segment.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with segment.open("r+b") as file:
            file.truncate(whole)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable; Windows does so by itself and opens no folders."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
