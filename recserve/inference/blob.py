"""Versions in a container of Azure Blob Storage: `python -m recserve.inference.blob publish models`.

    files/<sha256>     models and catalogues, named by what they hold: written once, never changed
    manifest.json      the version to serve, written last: until then the version before is whole
    README.md, DATA-LICENCE.txt     the card and the terms, for people

On an instance, each version has a directory of its own below the cache:

    <stamp>/manifest.json      written last here too: a directory that has it is complete
    <stamp>/student.onnx ...

The storage client is the synchronous one, on a thread: decryption and hashing of a download would hold
up the event loop that answers requests. It is imported on first use, since it costs a cold start.
"""

import argparse
import asyncio
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recserve.errors import InvalidModels, ModelsUnavailable, RecserveError
from recserve.inference.manifest import (
    MANIFEST_NAME,
    ModelFile,
    parse_manifest,
    place_of,
    read_manifest_bytes,
    read_verified,
)
from recserve.inference.sources import stamp_of

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

N_KEPT = 2
"Versions that stay in the cache: the one that serves and the one before."
ABANDONED_S = 3600.0
"A download that has not been touched for so long is nobody's."
CARDS = ("README.md", "DATA-LICENCE.txt")


def open_container(
    url: str = "", *, connection_string: str = "", container: str = "models"
) -> "ContainerClient":
    """A client of the container; nothing is sent yet.

    Args:
        url: of the container, with a SAS, or without one for the identity of the app or the developer.
        connection_string: of the storage account, instead of a URL.
        container: its name in that account.

    Raises:
        ModelsUnavailable: the URL or the connection string is none.
    """
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import ContainerClient, ExponentialRetry

    # The library's own default waits 15 s before it tries again.
    options: Any = {
        "retry_policy": ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=2, random_jitter_range=1
        ),
        "connection_timeout": 5,
        "read_timeout": 30,
    }
    if "?" in url:
        # At DEBUG it writes the address of each request, and the SAS in it, into the log.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    try:
        if connection_string:
            return ContainerClient.from_connection_string(connection_string, container, **options)
        credential = None if "?" in url else DefaultAzureCredential()
        return ContainerClient.from_container_url(url, credential, **options)
    except ValueError as err:
        raise ModelsUnavailable(f"cannot open the container of models: {err}") from err


class BlobSource:
    """The version that was published last, downloaded when it is new.

    Args:
        url, connection_string, container: see `open_container`.
        cache_dir: for this app on this machine; several processes may share it.
    """

    def __init__(
        self, url: str = "", *, cache_dir: Path, connection_string: str = "", container: str = "models"
    ) -> None:
        self._address = {"url": url, "connection_string": connection_string, "container": container}
        self._cache_dir = cache_dir
        self._client: ContainerClient | None = None
        self._etag = ""
        self._manifest: bytes | None = None
        "As it was when it had that ETag."

    async def newest(self) -> str | None:
        return await asyncio.to_thread(self._newest)

    async def fetch(self, stamp: str) -> Path:
        """Complete the directory of the version that `newest` saw last."""
        return await asyncio.to_thread(self._fetch)

    def cached(self) -> Path | None:
        """The complete version that was fetched last on this machine; for a start without the network."""
        complete = _newest_first(self._cache_dir.glob(f"*/{MANIFEST_NAME}"))
        return complete[0].parent if complete else None

    def _container(self) -> "ContainerClient":
        if self._client is None:
            self._client = open_container(**self._address)
        return self._client

    def _newest(self) -> str | None:
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError

        condition: Any = {}
        if self._etag:
            condition = {"etag": self._etag, "match_condition": MatchConditions.IfModified}
        with _storage_errors():
            try:
                download = self._container().download_blob(MANIFEST_NAME, **condition)
                self._manifest, self._etag = download.readall(), str(download.properties.etag)
            except HttpResponseError as err:
                if getattr(err, "error_code", None) == "BlobNotFound":
                    self._manifest, self._etag = None, ""
                elif err.status_code != HTTPStatus.NOT_MODIFIED:
                    raise
        return None if self._manifest is None else stamp_of(self._manifest)

    def _fetch(self) -> Path:
        if self._manifest is None:
            raise InvalidModels("the container holds no models; publish some")
        manifest = parse_manifest(self._manifest)
        version_dir = self._cache_dir / stamp_of(self._manifest)
        served = {manifest.variant(name).file for name in manifest.serving}
        with _storage_errors():
            version_dir.mkdir(parents=True, exist_ok=True)
            for file in (manifest.catalogue, *sorted(served, key=lambda file: file.name)):
                self._complete(file, place_of(file, version_dir))
            _write(version_dir / MANIFEST_NAME, [self._manifest])
            os.utime(version_dir / MANIFEST_NAME)
            self._prune()
        return version_dir

    def _complete(self, file: ModelFile, path: Path) -> None:
        """Have a file in its place: it may be there, or in another version's directory."""
        if _is_good(path, file):
            return
        for other in self._cache_dir.glob(f"*/{file.name}"):
            if other != path and _is_good(other, file):
                _write(path, [other.read_bytes()])
                return
        self._download(file, path)

    def _download(self, file: ModelFile, path: Path) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            chunks = self._container().download_blob(_blob_name(file)).chunks()
        except ResourceNotFoundError as err:
            raise InvalidModels(
                f"the container lacks {_blob_name(file)}, which the manifest calls {file.name}; publish again"
            ) from err
        _write(path, chunks, expected=file)

    def _prune(self) -> None:
        """Delete all but the newest complete versions, and downloads that nobody goes on with."""
        complete = _newest_first(self._cache_dir.glob(f"*/{MANIFEST_NAME}"))
        kept = {manifest.parent for manifest in complete[:N_KEPT]}
        old = {manifest.parent for manifest in complete[N_KEPT:]}
        for version_dir in self._cache_dir.iterdir():
            is_abandoned = time.time() - version_dir.stat().st_mtime > ABANDONED_S
            if version_dir in old or (version_dir not in kept and is_abandoned):
                shutil.rmtree(version_dir, ignore_errors=True)


def publish(models_dir: Path, container: "ContainerClient") -> str:
    """Make a models directory the version that is served, once it has shown that it can be.

    Returns:
        Its version.

    Raises:
        InvalidModels: it does not load, or answers unsoundly; nothing is sent then.
        ModelsUnavailable: the container cannot be written.
    """
    from azure.storage.blob import ContentSettings

    from recserve.inference.comparison import check_answers
    from recserve.inference.loading import load_models

    content = read_manifest_bytes(models_dir)
    manifest = parse_manifest(content)
    contents = {file: read_verified(models_dir, file) for file in manifest.files()}
    models = load_models(models_dir, n_threads=1, mark=lambda _: None)
    if models.stamp != stamp_of(content):
        raise InvalidModels(f"{models_dir} was replaced meanwhile; publish again")
    check_answers(models)
    with _storage_errors():
        for file, data in contents.items():
            _upload(container, _blob_name(file), data)
        for name in CARDS:
            if (models_dir / name).is_file():
                container.upload_blob(name, (models_dir / name).read_bytes(), overwrite=True)
        json = ContentSettings(content_type="application/json")
        container.upload_blob(MANIFEST_NAME, content, overwrite=True, content_settings=json)
    return manifest.version


def _upload(container: "ContainerClient", name: str, data: bytes) -> None:
    """Upload a blob that no other version has brought; its name says what it holds.

    Whether the container is there is not asked: a SAS of the container does not allow that.
    """
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

    with suppress(ResourceExistsError):
        try:
            container.upload_blob(name, data)
        except ResourceNotFoundError:
            container.create_container()
            container.upload_blob(name, data)


def _blob_name(file: ModelFile) -> str:
    return f"files/{file.sha256}"


def _newest_first(paths: Iterator[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)


def _is_good(path: Path, file: ModelFile) -> bool:
    try:
        if path.stat().st_size != file.bytes:
            return False
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _write(path: Path, chunks: Iterator[bytes] | list[bytes], *, expected: ModelFile | None = None) -> None:
    """Write beside the place, hold it against what is expected, rename: nobody reads half a file."""
    digest = hashlib.sha256()
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        if expected is not None and digest.hexdigest() != expected.sha256:
            raise InvalidModels(
                f"{_blob_name(expected)} holds something else, SHA-256 {digest.hexdigest()[:12]}...; "
                "delete the blob and publish again"
            )
        Path(beside).replace(path)
    finally:
        Path(beside).unlink(missing_ok=True)


@contextmanager
def _storage_errors() -> Iterator[None]:
    """What storage, network and disk can do wrong, as one error of ours in one line."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError

    try:
        yield
    except ClientAuthenticationError as err:
        raise ModelsUnavailable(
            "the container of models lets nobody in without a key; give a URL with a SAS, sign in with "
            f"`az login`, or grant the app's identity Storage Blob Data Reader: {_first_line(err)}"
        ) from err
    except (AzureError, OSError) as err:
        raise ModelsUnavailable(f"the container of models cannot be used: {_first_line(err)}") from err


def _first_line(err: Exception) -> str:
    return next(iter(str(err).strip().splitlines()), type(err).__name__)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m recserve.inference.blob", description=__doc__.splitlines()[0]
    )
    commands = parser.add_subparsers(required=True, metavar="publish")
    command = commands.add_parser("publish", help="make a models directory the version that is served")
    command.add_argument("models_dir", type=Path)
    address = command.add_mutually_exclusive_group(required=True)
    address.add_argument("--container-url", default="", help="with a SAS, or for your own Azure identity")
    address.add_argument("--connection-string", default="", help="of the storage account; Azurite has one")
    command.add_argument("--container", default="models", help="with --connection-string; default models")
    arguments = parser.parse_args()
    # The identity library logs its troubleshooting guide for every attempt; the error below is enough.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    try:
        container = open_container(
            arguments.container_url,
            connection_string=arguments.connection_string,
            container=arguments.container,
        )
        version = publish(arguments.models_dir, container)
    except (OSError, RecserveError) as err:
        sys.exit(f"error: {err}")
    print(f"published {version} to {container.primary_endpoint.partition('?')[0]}")


if __name__ == "__main__":
    main()
