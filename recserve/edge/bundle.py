"""The files that a device downloads: those of a models directory, and what the demo page needs.

Files of the bundle are named by their contents, so that a cache may keep them for ever; those of the page keep
their names and are asked for again. Only what stands in the table of files is ever read: no name that a caller
sends becomes a path.
"""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from recserve.errors import BundleUnavailable, InvalidModels
from recserve.inference.manifest import MANIFEST_NAME, Manifest, ModelFile, place_of, read_manifest

WEB = "web"
"Folder of a bundle with the demo page, its scripts and ONNX Runtime's; `make edge` fills it."
PAGE = "demo.html"
DIGITS = 12
"Of a SHA-256, in a file's name."
GZIP_LEVEL = 9
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
"What is handed out, by suffix; a file of another kind is not."
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


Stamp: TypeAlias = tuple[tuple[str, int, int], ...]
"Name, time of modification in ns and size of each file that matters."


@dataclass(slots=True)
class EdgeFile:
    """A file, and how it travels."""

    name: str
    "Under which it is asked for."
    path: Path
    sha256: str
    n_bytes: int
    cache_control: str
    _gzipped: bytes = field(default=b"", repr=False)

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.path.suffix]

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'

    def read(self) -> bytes:
        """The content, as it was when the bundle was read.

        Raises:
            BundleUnavailable: it is gone or another.
        """
        try:
            content = self.path.read_bytes()
        except OSError as err:
            raise BundleUnavailable(f"cannot read {self.path.name} of the bundle: {err.strerror}") from err
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise BundleUnavailable(
                f"{self.path.name} of the bundle is not what it was; make it again with `python -m training edge`"
            )
        return content

    @property
    def is_compressed(self) -> bool:
        """Whether it has been, so that nobody need wait for it."""
        return bool(self._gzipped)

    def gzipped(self) -> bytes:
        """The same, compressed once.

        Raises:
            BundleUnavailable: it is gone or another.
        """
        if not self._gzipped:
            self._gzipped = gzip.compress(self.read(), GZIP_LEVEL, mtime=0)
        return self._gzipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified directory."""

    manifest: Manifest
    model: EdgeFile
    popular: EdgeFile
    catalogue: EdgeFile
    page: EdgeFile | None
    "None where `make edge` has not been run."
    files: dict[str, EdgeFile]
    "By the name that callers use."


def read_bundle(edge_dir: Path) -> Bundle:
    """Read a bundle and verify it; takes some 0.1 s, most of it for compression.

    Raises:
        BundleUnavailable: it is missing, damaged or contradictory.
    """
    try:
        manifest = read_manifest(edge_dir)
        first, last = manifest.serving[0], manifest.serving[-1]
        ours = [manifest.variant(first).file, manifest.variant(last).file, manifest.catalogue]
        model, popular, catalogue = [_named_by_content(edge_dir, file) for file in ours]
    except InvalidModels as err:
        raise BundleUnavailable(
            f"the bundle cannot be used: {err}; make one with `python -m training edge`"
        ) from err
    web = {file.name: file for file in _web_files(edge_dir / WEB)}
    for file in (model, popular, catalogue):
        file.gzipped()
    return Bundle(
        manifest=manifest,
        model=model,
        popular=popular,
        catalogue=catalogue,
        page=web.pop(PAGE, None),
        files={**web, **{file.name: file for file in (model, popular, catalogue)}},
    )


def stamp_of(edge_dir: Path) -> Stamp:
    """Changes when the bundle or its page does; empty where neither is there."""
    paths = [edge_dir / MANIFEST_NAME, *sorted((edge_dir / WEB).glob("*"))]
    return tuple(
        (path.name, status.st_mtime_ns, status.st_size)
        for path in paths
        if path.is_file() and (status := path.stat())
    )


def _named_by_content(edge_dir: Path, file: ModelFile) -> EdgeFile:
    """A file of the manifest.

    Raises:
        InvalidModels: its name leads elsewhere, or is of no kind that is handed out.
    """
    path = place_of(file, edge_dir)
    if path.suffix not in MEDIA_TYPES:
        raise InvalidModels(f"{file.name} is of no kind that is handed out: {', '.join(MEDIA_TYPES)}")
    name = f"{path.stem}-{file.sha256[:DIGITS]}{path.suffix}"
    return EdgeFile(name, path, file.sha256, file.bytes, FOR_EVER)


def _web_files(web: Path) -> Iterator[EdgeFile]:
    for path in sorted(web.glob("*")):
        if path.is_file() and not path.is_symlink() and path.suffix in MEDIA_TYPES:
            content = path.read_bytes()
            yield EdgeFile(path.name, path, hashlib.sha256(content).hexdigest(), len(content), ASK_AGAIN)
