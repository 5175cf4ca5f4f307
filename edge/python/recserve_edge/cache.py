"""The bundle on the device's disk: whole or not there.

    current.json            which bundle, and when the service last confirmed it
    bundles/<version>/      manifest.json and the files; renamed into place once all of them are verified
    parts/                  verified files of an update that was interrupted; their names hold their digests
    lock.db                 who may change any of this, among the processes of the device

Everything is verified again when it is loaded, so that what a power cut or a person has left behind is found. SQLite
holds the lock: it works on every system, and lets go when its process dies.
"""

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from recserve_edge.decision import Confirmation
from recserve_edge.errors import CacheBusy, CacheUnavailable, InvalidBundle
from recserve_edge.manifest import MAX_MANIFEST_BYTES, NAME, BundleFile, BundleManifest, parse_manifest

LOCK_PATIENCE_S = 5.0
"Longest that a process waits for another one's update to end."
MANIFEST_NAME = "manifest.json"
CURRENT_NAME = "current.json"


class Current(NamedTuple):
    """What the cache last said of itself."""

    version: str
    etag: str
    confirmed: Confirmation


class CachedBundle(NamedTuple):
    manifest: BundleManifest
    files: Mapping[str, bytes]
    "By name; to be verified by whoever loads them."
    current: Current


class BundleCache:
    """A directory with one bundle; several processes may share it.

    Args:
        folder: made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bundles = folder / "bundles"
        self._parts = folder / "parts"

    def current(self) -> Current | None:
        """Which bundle is there; None where there is none.

        Raises:
            InvalidBundle: the note is damaged.
            CacheUnavailable: it cannot be read.
        """
        try:
            content = (self.folder / CURRENT_NAME).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise CacheUnavailable(f"cannot read the cache {self.folder}: {err.strerror}") from err
        try:
            said = json.loads(content)
            if not NAME.fullmatch(said["version"]):
                raise ValueError(f"version {said['version']!r}")
            confirmed = Confirmation(
                wall_s=float(said["wall_s"]), monotonic_s=None, service_s=float(said["service_s"])
            )
            return Current(said["version"], str(said["etag"]), confirmed)
        except (KeyError, TypeError, ValueError) as err:
            raise InvalidBundle("unreadable", f"{CURRENT_NAME} in the cache is damaged: {err}") from err

    def load(self) -> CachedBundle | None:
        """Read the bundle; None where there is none.

        Raises:
            InvalidBundle: it is incomplete, or its manifest is damaged or of another version.
            CacheUnavailable: it cannot be read.
        """
        current = self.current()
        if current is None:
            return None
        try:
            return self._read(current)
        except InvalidBundle:
            replacement = self.current()  # another process may have put another in its place meanwhile
            if replacement is None or replacement.version == current.version:
                raise
            return self._read(replacement)

    def _read(self, current: Current) -> CachedBundle:
        folder = self._bundles / current.version
        try:
            manifest = parse_manifest(_read_bounded(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES))
            files = {file.name: _read_bounded(folder / file.name, file.n_bytes) for file in manifest.files()}
        except OSError as err:
            raise InvalidBundle(
                "incomplete", f"cannot read {err.filename} of the cached bundle: {err.strerror}"
            ) from err
        if manifest.version != current.version:
            raise InvalidBundle(
                "tampered", f"the cache holds {manifest.version} in the place of {current.version}"
            )
        return CachedBundle(manifest, files, current)

    def part(self, file: BundleFile) -> bytes | None:
        """A file that an interrupted update had fetched; None where it is not there, or not what it should be."""
        try:
            return file.verify(_read_bounded(self._parts / file.name, file.n_bytes))
        except (OSError, InvalidBundle):
            return None

    def keep_part(self, file: BundleFile, content: bytes) -> None:
        """Keep a verified file for the update that is under way, or for the next.

        Raises:
            CacheUnavailable: it cannot be written.
        """
        with self._writing():
            self._parts.mkdir(parents=True, exist_ok=True)
            (self._parts / file.name).write_bytes(content)

    def install(self, manifest: BundleManifest, files: Mapping[str, bytes], current: Current) -> None:
        """Put a verified bundle in the place of the one before; a failure leaves that one.

        Raises:
            CacheUnavailable: it cannot be written.
        """
        with self._writing():
            self._bundles.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=".staged-", dir=self._bundles))
            try:
                for name, content in {**files, MANIFEST_NAME: manifest.content}.items():
                    _write(staged / name, content)
                place = self._bundles / manifest.version
                shutil.rmtree(place, ignore_errors=True)  # of this version, and found to be damaged
                staged.rename(place)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
            self._note(current)
        self._clear(keep=manifest.version)

    def confirm(self, manifest: BundleManifest, current: Current) -> None:
        """Note that the service confirmed the bundle, and what it says of it by now.

        Raises:
            CacheUnavailable: it cannot be written.
        """
        with self._writing():
            _replace(self._bundles / manifest.version / MANIFEST_NAME, manifest.content)
            self._note(current)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only process that changes the cache.

        Raises:
            CacheBusy: another one is, for longer than is waited.
            CacheUnavailable: the directory cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            holder = sqlite3.connect(
                self.folder / "lock.db",
                timeout=LOCK_PATIENCE_S,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.Error) as err:
            raise CacheUnavailable(f"cannot write to the cache {self.folder}: {err}") from err
        try:
            try:
                holder.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as err:
                if getattr(err, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                    raise CacheBusy(
                        f"another process updates the cache {self.folder}; ask again later"
                    ) from err
                raise CacheUnavailable(f"cannot lock the cache {self.folder}: {err}") from err
            yield
        finally:
            holder.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise CacheUnavailable(f"cannot write to the cache {self.folder}: {err.strerror}") from err

    def _note(self, current: Current) -> None:
        said = {
            "version": current.version,
            "etag": current.etag,
            "wall_s": current.confirmed.wall_s,
            "service_s": current.confirmed.service_s,
        }
        _replace(self.folder / CURRENT_NAME, json.dumps(said).encode())

    def _clear(self, *, keep: str) -> None:
        """Remove older bundles and what an update has left; what cannot be removed is in nobody's way."""
        with suppress(OSError):
            for path in self._bundles.iterdir():
                if path.name != keep:
                    shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(self._parts, ignore_errors=True)


def _read_bounded(path: Path, n_bytes: int) -> bytes:
    """At most a byte more than is expected: enough to see that it is too long."""
    with path.open("rb") as file:
        return file.read(n_bytes + 1)


def _write(path: Path, content: bytes) -> None:
    """Write a file through to the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another: whoever reads sees the one or the other."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(staged, content)
        staged.replace(path)
    finally:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
