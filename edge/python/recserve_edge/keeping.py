"""Keeping a verified bundle: from the cache at start, from the service when there is another.

An update asks for the manifest, fetches the files that are not there yet, verifies and loads all of them, puts them
into the cache as one directory, and only then changes what answers, by one assignment. Whatever goes wrong before
leaves the bundle that was there.
"""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

from recserve_edge.bundle import Bundle
from recserve_edge.cache import BundleCache, Current
from recserve_edge.clocks import Clocks
from recserve_edge.decision import Confirmation
from recserve_edge.errors import (
    BundleError,
    CacheBusy,
    CacheUnavailable,
    CloudFailed,
    EdgeError,
    InvalidBundle,
)
from recserve_edge.manifest import MAX_MANIFEST_BYTES, BundleFile, BundleManifest, parse_manifest
from recserve_edge.wire import Reply, Service

FETCH_TIMEOUT_S = 60.0
"For one file: a megabyte over a slow mobile network."
MANIFEST_TIMEOUT_S = 10.0
PACKED_MARGIN_BYTES = 4096
"What gzip may add to a file that cannot be packed."

log = logging.getLogger(__name__)


class BundleKeeper:
    """Holds the bundle that answers.

    Args:
        service: where bundles come from.
        cache: where they stay; None: in memory only.
        clocks: the device's.
        n_threads: threads that one model run may use.

    Attributes:
        bundle: what answers; None as long as nothing verified is there.
        confirmed: when the service last said that this is the one.
        bundle_error: why there is none, or why the last update came to nothing; None when all is well.
        bundle_error_detail: the same for people.
        cache_error: why bundles stay in memory only; empty when they do not.
    """

    def __init__(
        self, service: Service, cache: BundleCache | None, *, clocks: Clocks, n_threads: int = 1
    ) -> None:
        self.bundle: Bundle | None = None
        self.confirmed: Confirmation | None = None
        self.bundle_error: BundleError | None = "not_loaded"
        self.bundle_error_detail = "no bundle has been fetched yet"
        self.cache_error = "" if cache else "no directory was given"
        self._service = service
        self._cache = cache
        self._clocks = clocks
        self._n_threads = n_threads
        self._etag = ""
        self._updating = threading.Lock()

    def load(self) -> None:
        """Take the bundle that the cache holds, if it is intact; otherwise `bundle_error` says why not."""
        if self._cache is None:
            return
        try:
            cached = self._cache.load()
            if cached is not None:
                self._take(Bundle(cached.manifest, cached.files, n_threads=self._n_threads), cached.current)
        except InvalidBundle as err:
            self.bundle_error, self.bundle_error_detail = err.word, str(err)
            log.warning("the cached bundle is not used: %s", err)
        except CacheUnavailable as err:
            self.cache_error = str(err)
            log.warning("bundles stay in memory: %s", err)

    def update(self) -> bool:
        """Ask the service for its bundle, and take it if it is another.

        Returns:
            Whether the service confirmed a bundle, the one that is here or another.
        """
        with self._updating:
            try:
                self._update()
            except (CloudFailed, InvalidBundle, CacheBusy) as err:
                word = err.word if isinstance(err, InvalidBundle) else "manifest_unavailable"
                self.bundle_error, self.bundle_error_detail = word, str(err)
                log.warning("the bundle was not updated: %s", err)
                return False
            return True

    def _update(self) -> None:
        headers = {"if-none-match": self._etag} if self.bundle and self._etag else {}
        reply = self._service.ask(
            "GET",
            "edge/manifest",
            headers=headers,
            timeout_s=MANIFEST_TIMEOUT_S,
            max_bytes=MAX_MANIFEST_BYTES,
        )
        if reply.status == 304 and self.bundle:
            manifest, etag, at_s = self.bundle.manifest, self._etag, _date_s(reply)
        elif reply.status == 200:
            manifest = parse_manifest(reply.body)
            etag, at_s = reply.headers.get("etag", ""), manifest.at_s
        else:
            raise CloudFailed("cloud_error", _why_no_manifest(reply))
        current = Current(manifest.version, etag, self._confirmation(at_s))
        if self.bundle and _is_same(self.bundle.manifest, manifest):
            self._take(self.bundle.described_by(manifest), current)
            self._confirm(manifest, current)
        else:
            self._fetch(manifest, current)

    def _confirmation(self, service_s: float | None) -> Confirmation:
        now = self._clocks.now()
        return Confirmation(
            wall_s=now.wall_s,
            monotonic_s=now.monotonic_s,
            service_s=now.wall_s if service_s is None else service_s,
        )

    def _confirm(self, manifest: BundleManifest, current: Current) -> None:
        """Note the confirmation for the next start, where the cache holds this bundle."""
        if self._cache is None:
            return
        try:
            with self._cache.lock():
                noted = self._cache.current()
                if noted is not None and noted.version == current.version:
                    self._cache.confirm(manifest, current)
        except CacheBusy:
            pass  # whoever is at it notes the same
        except (CacheUnavailable, InvalidBundle) as err:
            self._say_uncached(err)

    def _fetch(self, manifest: BundleManifest, current: Current) -> None:
        """Take another bundle, and put it into the cache, as the only process of the device that does."""
        files: dict[str, bytes] = {}
        bundle = None
        if self._cache is not None:
            try:
                with self._cache.lock():
                    files.update(_of_other_process(self._cache, manifest))
                    bundle = self._load_files(manifest, files)
                    self._cache.install(manifest, files, current)
                    self.cache_error = ""
            except CacheBusy:
                raise
            except CacheUnavailable as err:
                self._say_uncached(err)
        self._take(bundle or self._load_files(manifest, files), current)

    def _load_files(self, manifest: BundleManifest, files: dict[str, bytes]) -> Bundle:
        """Load a bundle from those of its files that are there, and fetch the others into `files`."""
        for file in manifest.files():
            if file.name not in files:
                files[file.name] = self._file(file)
        return Bundle(manifest, files, n_threads=self._n_threads)

    def _file(self, file: BundleFile) -> bytes:
        kept = self._cache.part(file) if self._cache else None
        if kept is not None:
            return kept
        try:
            reply = self._service.ask(
                "GET",
                f"edge/files/{file.name}",
                timeout_s=FETCH_TIMEOUT_S,
                max_bytes=file.n_bytes + PACKED_MARGIN_BYTES,
            )
        except CloudFailed as err:
            raise InvalidBundle("incomplete", f"{file.name} did not come: {err}") from err
        if reply.status != 200:
            raise InvalidBundle("incomplete", f"{file.name} was answered with status {reply.status}")
        content = file.verify(reply.body)
        if self._cache and not self.cache_error:
            try:
                self._cache.keep_part(file, content)
            except CacheUnavailable as err:
                self._say_uncached(err)
        return content

    def _take(self, bundle: Bundle, current: Current) -> None:
        self.confirmed, self._etag = current.confirmed, current.etag
        self.bundle = bundle
        self.bundle_error, self.bundle_error_detail = None, ""

    def _say_uncached(self, err: EdgeError) -> None:
        self.cache_error = str(err)
        log.warning("the bundle stays in memory: %s", err)


def _is_same(ours: BundleManifest, theirs: BundleManifest) -> bool:
    """Whether two manifests, which may tell otherwise of the cloud, are of one bundle."""
    return ours.version == theirs.version and ours.files() == theirs.files()


def _of_other_process(cache: BundleCache, manifest: BundleManifest) -> Mapping[str, bytes]:
    """Those of a bundle's files that the cache has already, whoever fetched them; intact ones only."""
    try:
        cached = cache.load()
    except (CacheUnavailable, InvalidBundle):
        return {}
    found: dict[str, bytes] = {}
    if cached is None:
        return found
    for file in manifest.files():
        with suppress(InvalidBundle, KeyError):
            found[file.name] = file.verify(cached.files[file.name])
    return found


def _date_s(reply: Reply) -> float | None:
    """The service's clock, from the header that every answer has; None where it is missing."""
    try:
        return parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def _why_no_manifest(reply: Reply) -> str:
    """What people should know of an answer that is no manifest."""
    known: Mapping[int, str] = {
        401: "send a function key",
        403: "send a valid function key",
        404: "the service offers no bundles: RECSERVE_EDGE is off there, or the URL is another's",
    }
    if reply.status in (301, 302, 303, 307, 308):
        place = reply.headers.get("location", "?")[:100]
        return f"the manifest was answered with a redirect to {place!r}; log in to the network if it asks for that"
    return (
        f"the manifest was answered with status {reply.status}; {known.get(reply.status, 'ask again later')}"
    )
