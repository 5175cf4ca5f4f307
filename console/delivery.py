"""How the files of a page reach the browser: all named at once, out of memory, and kept.

Streamlit reads each of them from the disk in a thread of its own for everybody who asks, uncompressed; its page
learns that it needs another piece of code when the first element that needs it is there. And the code of ECharts, which
is a component's, it compresses anew each time and lets no browser keep.
"""

import gzip
from functools import cache, lru_cache
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.assets import ECHARTS, assets, modules_of

FOR_GOOD = "public, immutable, max-age=31536000"
MODULES = (
    *("Html", "Selectbox", "ButtonGroup", "Button", "DownloadButton", "BidiComponent"),
    *("ArrowVegaLiteChart", "embed"),
)
"What most views load on demand, as Streamlit calls it."
TYPES = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2"}
"Of what is delivered here; the rest is Streamlit's to send."
COMPRESSED = (".js", ".css")


class Delivery:
    """ASGI middleware around Streamlit's server.

    Args:
        base_path: of the address that it is served at.
    """

    def __init__(self, app: ASGIApp, *, base_path: str = "") -> None:
        self._app = app
        self._root = f"/{base_path.strip('/')}/" if base_path.strip("/") else "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        file = assets().get(scope["path"].removeprefix(self._root))
        if file is None or file.suffix not in TYPES:
            await self._app(scope, receive, _WithLinks(send))
        else:
            takes_gzip = "gzip" in Headers(scope=scope).get("accept-encoding", "")
            await _response(file, takes_gzip)(scope, receive, send)


class _WithLinks:
    """Sends what Streamlit answers, and adds links to the head of a page."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._page = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._page += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_page(self._start)

    async def _send_page(self, start: Message) -> None:
        page = with_links(self._page)
        headers = MutableHeaders(raw=list(start["headers"]))
        del headers["etag"]  # of the file without links
        if page:  # there is none where only the head was asked for
            headers["content-length"] = str(len(page))
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": page})


def with_links(page: bytes) -> bytes:
    """An HTML page with links to the modules that it will need, at the end of its head."""
    return page.replace(b"</head>", _links(page) + b"</head>", 1)


@lru_cache(maxsize=2)
def _links(page: bytes) -> bytes:
    addresses = [f"static/js/{name}" for name in modules_of(MODULES)]
    addresses += [address for address in assets() if address.startswith(ECHARTS)]
    return "".join(
        f'<link rel="modulepreload" crossorigin href="./{address}">\n'
        for address in addresses
        if address.encode() not in page
    ).encode()


@cache
def _response(file: Path, takes_gzip: bool) -> Response:
    content, headers = file.read_bytes(), {"cache-control": FOR_GOOD}
    if file.suffix in COMPRESSED:
        headers["vary"] = "accept-encoding"
        if takes_gzip:
            content = gzip.compress(content, 6)
            headers["content-encoding"] = "gzip"
    return Response(content, media_type=TYPES[file.suffix], headers=headers)


def _is_page(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] == 200 and kind.startswith("text/html")
