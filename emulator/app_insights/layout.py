"""Where the store's files lie, and how a folder that a crash left is put in order.

    <data>/journal/00000012.jsonl                 rows that are acknowledged and not yet Parquet
    <data>/tables/AppRequests/2026-11-22T14/      a table's rows of one hour (UTC, by TimeGenerated)
        00000011.parquet                          what segment 11 had for it
        00000003-00000009.parquet                 several such files, compacted
    <data>/compaction.json                        the compaction that is under way

Files are written beside their place and renamed into it, so one that has its name is whole. A segment is
dropped after its Parquet files have their names: when both are there, the segment is what counts. A
compaction is written down before its output gets its name: when the output is there, its inputs are not needed.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from emulator.app_insights.journal import SUFFIX, cut_torn_line, sync_folder

_HOUR = "%Y-%m-%dT%H"
_PARQUET_MAGIC = b"PAR1"


class Compaction(msgspec.Struct):
    """Names, below the data folder, of what replaces what."""

    output: str
    inputs: list[str]


class Layout:
    """The paths of one store.

    Args:
        data: its folder.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.journal = data / "journal"
        self.tables = data / "tables"
        self.compaction = data / "compaction.json"

    def partition(self, table: str, hour: datetime) -> Path:
        return self.tables / table / hour.strftime(_HOUR)

    def write_compaction(self, compaction: Compaction) -> None:
        """Write down, durably, what is about to be replaced."""
        draft = self.compaction.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(compaction))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.compaction)
        sync_folder(self.data)

    def recover(self) -> list[str]:
        """Put the folder in order before it is used.

        Returns:
            What a person should know of, a line each.
        """
        for folder in (self.journal, self.tables):
            folder.mkdir(parents=True, exist_ok=True)
        self.finish_compaction()
        for draft in self.data.rglob("*.draft"):
            draft.unlink()
        for segment in self.journal.glob(f"*{SUFFIX}"):
            cut_torn_line(segment)
            if not segment.stat().st_size:
                segment.unlink()
                continue
            for written in self.tables.glob(f"*/*/{segment.stem}.parquet"):
                written.unlink()
        return [self._set_aside(path) for path in self.tables.glob("*/*/*.parquet") if not _is_whole(path)]

    def finish_compaction(self) -> None:
        """Remove what a compaction that was cut off after its output has left."""
        if not self.compaction.exists():
            return
        compaction = msgspec.json.decode(self.compaction.read_bytes(), type=Compaction)
        if (self.data / compaction.output).exists():
            for name in compaction.inputs:
                (self.data / name).unlink(missing_ok=True)
        self.compaction.unlink()

    def files(self) -> list[tuple[str, datetime, Path]]:
        """Table, hour and path of every Parquet file."""
        return [
            (path.parent.parent.name, hour_of(path.parent), path)
            for path in sorted(self.tables.glob("*/*/*.parquet"))
        ]

    def last_number(self) -> int:
        """The highest number of a segment so far, whether it is Parquet by now or not."""
        names = [*self.journal.glob(f"*{SUFFIX}"), *self.tables.glob("*/*/*.parquet")]
        return max((int(path.stem.rpartition("-")[2]) for path in names), default=0)

    def _set_aside(self, path: Path) -> str:
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        return f"{path} is no whole Parquet file; it is set aside as {aside.name}, and its rows are missing"


def hour_of(partition: Path) -> datetime:
    return datetime.strptime(partition.name, _HOUR).replace(tzinfo=UTC)


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) < 12:
            return False
        file.seek(-4, os.SEEK_END)
        return file.read(4) == _PARQUET_MAGIC
