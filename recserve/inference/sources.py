"""Where new model versions come from."""

import asyncio
import hashlib
from pathlib import Path
from typing import Protocol

from recserve.errors import InvalidModels
from recserve.inference.manifest import read_manifest_bytes


def stamp_of(manifest: bytes) -> str:
    """Names a version by its manifest, which names every file by its SHA-256: equal stamps, equal models."""
    return hashlib.sha256(manifest).hexdigest()


class ModelSource(Protocol):
    """A place that holds one version at a time, and sometimes another one."""

    async def newest(self) -> str | None:
        """The stamp of the version that is there; None when there is none. Cheap: at most the manifest is read.

        Raises:
            ModelsUnavailable: the source cannot be reached.
        """
        ...

    async def fetch(self, stamp: str) -> Path:
        """A models directory on this machine with that version, or one that came since.

        Raises:
            ModelsUnavailable: the source cannot be reached.
            InvalidModels: what it holds cannot be made a models directory.
        """
        ...


class DirectorySource:
    """A models directory, which training replaces as a whole.

    Args:
        path: the directory; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    async def newest(self) -> str | None:
        return await asyncio.to_thread(self._stamp)

    async def fetch(self, stamp: str) -> Path:
        """The directory itself; whoever reads it holds what is read against the manifest."""
        return self.path

    def _stamp(self) -> str | None:
        try:
            return stamp_of(read_manifest_bytes(self.path))
        except InvalidModels:
            return None
