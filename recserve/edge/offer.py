"""What the service hands out to devices, and when it looks at the bundle again."""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import msgspec

from recserve.content import Content, Known
from recserve.edge.bundle import ASK_AGAIN, Bundle, EdgeFile, Stamp, read_bundle, stamp_of
from recserve.errors import BundleUnavailable, UnknownFile
from recserve.inference.manifest import Manifest
from recserve.schemas import EdgeFileRef, EdgeFileRequest, EdgeManifest, EdgeModelRef

LOOK_EVERY_S = 1.0
"How often the directory is looked at, at most."
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}
WORKER = "sw.js"
"The page's service worker, which loads the page again without a network."
WORKER_HEADERS = {
    "content-security-policy": "default-src 'none'; connect-src 'self'",
    "service-worker-allowed": "../",
}
"It fetches what the page asks for, and is responsible for the page, which stands one level above it."
NO_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Recserve: the edge</title>
<h1>The demo page is not here yet</h1><p>Run <code>make edge</code> and load this page again.</p></html>
"""
"What stands there before `make edge`."

log = logging.getLogger(__name__)


class EdgeOffer:
    """Hands out one bundle. Called from one event loop; files are read on threads.

    Args:
        edge_dir: directory of the bundle; it is read when the first device asks.
        max_age_s: how long a device may answer from it without having asked for the manifest.
        clock: monotonic, in seconds.
        now: the time that devices hold theirs against.
    """

    def __init__(
        self,
        edge_dir: Path,
        *,
        max_age_s: float,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._edge_dir = edge_dir
        self._max_age_s = max_age_s
        self._clock = clock
        self._now = now
        self._bundle: Bundle | None = None
        self._stamp: Stamp = ()
        self._look_at_s = float("-inf")
        self._looking = asyncio.Lock()
        self._compressing = asyncio.Lock()

    async def manifest(self, served: Manifest, known: Known) -> Content:
        """What there is to download.

        Args:
            served: the models that the service answers with.
            known: what the caller has.

        Raises:
            BundleUnavailable: there is no bundle, or it is damaged.
        """
        described = _describe(await self._current(), served, max_age_s=int(self._max_age_s))
        lasting = msgspec.json.encode(described)
        etag = f'W/"{hashlib.sha256(lasting).hexdigest()[:32]}"'
        headers = {"etag": etag, "cache-control": ASK_AGAIN}
        if known.has(etag):
            return Content(body=b"", media_type="application/json", is_unchanged=True, headers=headers)
        body = msgspec.json.encode(msgspec.structs.replace(described, at=self._now()))
        return Content(body=body, media_type="application/json", headers=headers)

    async def file(self, request: EdgeFileRequest, known: Known) -> Content:
        """A file of the bundle, or of the demo page.

        Raises:
            UnknownFile: there is none of that name.
            BundleUnavailable: there is no bundle, or it is damaged.
        """
        files = (await self._current()).files
        if request.name not in files:
            raise UnknownFile(
                f"there is no file {request.name!r}; ask GET /api/edge/manifest for the names",
                field="name",
                value=request.name,
                allowed="a name that the manifest has",
            )
        return await self._send(files[request.name], known)

    async def page(self, known: Known) -> Content:
        """The demo page, or what to do to have one.

        Raises:
            BundleUnavailable: there is no bundle, or it is damaged.
        """
        page = (await self._current()).page
        if page is None:
            headers = {"cache-control": "no-store", **PAGE_HEADERS}
            return Content(body=NO_PAGE, media_type="text/html", headers=headers)
        content = await self._send(page, known)
        return msgspec.structs.replace(content, headers={**content.headers, **PAGE_HEADERS})

    async def _send(self, file: EdgeFile, known: Known) -> Content:
        headers = {"etag": file.etag, "cache-control": file.cache_control, "vary": "accept-encoding"}
        if file.name == WORKER:
            headers |= WORKER_HEADERS
        if known.has(file.etag):
            return Content(body=b"", media_type=file.media_type, is_unchanged=True, headers=headers)
        if not known.takes_gzip:
            body = await asyncio.to_thread(file.read)
            return Content(body=body, media_type=file.media_type, headers=headers)
        headers["content-encoding"] = "gzip"
        if not file.is_compressed:
            async with self._compressing:  # who comes second finds it compressed
                await asyncio.to_thread(file.gzipped)
        body = file.gzipped()
        return Content(body=body, media_type=file.media_type, headers=headers)

    async def _current(self) -> Bundle:
        """The bundle that lies in the directory; the one before where that is damaged, or about to be replaced."""
        async with self._looking:
            bundle, now_s = self._bundle, self._clock()
            if bundle is not None and now_s < self._look_at_s:
                return bundle
            self._look_at_s = now_s + LOOK_EVERY_S
            if bundle is None:
                bundle = await self._look()
            elif await asyncio.to_thread(stamp_of, self._edge_dir) != self._stamp:
                bundle = await self._newer_than(bundle)
            self._bundle = bundle
            return bundle

    async def _newer_than(self, bundle: Bundle) -> Bundle:
        try:
            return await self._look()
        except BundleUnavailable as err:
            log.warning("devices go on with bundle %s: %s", bundle.manifest.version, err)
            return bundle

    async def _look(self) -> Bundle:
        """What lies in the directory, with the stamp that it had before it was read."""
        stamp = await asyncio.to_thread(stamp_of, self._edge_dir)
        bundle = await asyncio.to_thread(read_bundle, self._edge_dir)
        self._stamp = stamp
        return bundle


def _describe(bundle: Bundle, served: Manifest, *, max_age_s: int) -> EdgeManifest:
    manifest = bundle.manifest
    first, last = manifest.serving[0], manifest.serving[-1]
    return EdgeManifest(
        format=1,
        version=manifest.version,
        served_version=served.version,
        served_ndcg_10=served.variant(served.serving[0]).metrics.ndcg["10"],
        max_age_s=max_age_s,
        max_history=manifest.max_history,
        allow_repeats=manifest.dataset.allow_repeats,
        n_items=manifest.dataset.n_items,
        licence=manifest.dataset.licence,
        model=_describe_model(bundle.model, first, manifest),
        popular=_describe_model(bundle.popular, last, manifest),
        catalogue=EdgeFileRef(
            name=bundle.catalogue.name,
            sha256=bundle.catalogue.sha256,
            bytes=bundle.catalogue.n_bytes,
            wire_bytes=len(bundle.catalogue.gzipped()),
        ),
    )


def _describe_model(file: EdgeFile, variant: str, manifest: Manifest) -> EdgeModelRef:
    return EdgeModelRef(
        name=file.name,
        sha256=file.sha256,
        bytes=file.n_bytes,
        wire_bytes=len(file.gzipped()),
        variant=variant,
        ndcg_10=manifest.variant(variant).metrics.ndcg["10"],
    )
