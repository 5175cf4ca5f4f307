"""What the browser is told to fetch, and how it gets it."""

import re
from pathlib import Path

import httpx
import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from console.assets import ECHARTS, STATIC, assets, modules_of
from console.delivery import FOR_GOOD, MODULES, Delivery, with_links

PAGE = '<html><head><link href="./static/js/a.js"></head><body></body></html>'


async def streamlit(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands behind what is delivered: a page for every address, as Streamlit has it, and one that is none."""
    response: Response = HTMLResponse(PAGE, headers={"etag": "of the page as it was"})
    if scope["path"] == "/none":
        response = PlainTextResponse("not found", 404)
    await response(scope, receive, send)


async def fetch(
    path: str, *, base_path: str = "", method: str = "GET", takes: str = "gzip"
) -> httpx.Response:
    transport = httpx.ASGITransport(Delivery(streamlit, base_path=base_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
        return await client.request(method, path, headers={"accept-encoding": takes})


def links_in(page: str) -> list[str]:
    return re.findall(r'<link rel="modulepreload" crossorigin href="\./([^"]+)">', page)


@pytest.mark.parametrize("name", MODULES)
def test_streamlit_has_every_module_that_pages_are_said_to_need(name: str) -> None:
    assert modules_of([name])


async def test_page_names_what_it_will_need_and_all_of_it_is_there() -> None:
    page = await fetch("/latency?range=6h")

    links = links_in(page.text)
    assert any("ArrowVegaLiteChart" in link for link in links)
    assert any(link.startswith(ECHARTS) for link in links)
    assert set(links) <= assets().keys()
    assert len(links) == len(set(links))
    assert int(page.headers["content-length"]) == len(page.content)
    assert "etag" not in page.headers


async def test_code_is_compressed_and_kept_for_good() -> None:
    [address] = [each for each in assets() if each.startswith(ECHARTS)]

    packed, plain = await fetch(f"/{address}"), await fetch(f"/{address}", takes="identity")

    assert packed.headers["cache-control"] == plain.headers["cache-control"] == FOR_GOOD
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content == assets()[address].read_bytes()
    assert int(packed.headers["content-length"]) < 0.4 * len(plain.content)


async def test_fonts_are_sent_as_they_are() -> None:
    font = next(STATIC.rglob("*.woff2"))

    sent = await fetch(f"/static/{font.relative_to(STATIC).as_posix()}")

    assert (sent.content, sent.headers["content-type"]) == (font.read_bytes(), "font/woff2")


@pytest.mark.parametrize(
    "path", ["/static/js/../../../__init__.py", "/static/js/missing.js", "/_stcore/health"]
)
async def test_what_is_no_asset_is_left_to_streamlit(path: str) -> None:
    assert "</html>" in (await fetch(path)).text


async def test_answers_that_are_no_page_stay_as_they_are() -> None:
    assert (await fetch("/none")).text == "not found"


async def test_base_path_of_the_address_is_not_the_assets() -> None:
    name = next(address for address in assets() if address.endswith(".css"))

    assert (await fetch(f"/console/{name}", base_path="/console/")).headers["cache-control"] == FOR_GOOD
    assert "</html>" in (await fetch(f"/{name}", base_path="/console/")).text


async def test_head_of_a_page_has_no_body() -> None:
    assert (await fetch("/", method="HEAD")).content == b""


def test_links_stand_once_in_the_head() -> None:
    linked = with_links(PAGE.encode()).decode()

    assert linked.index("modulepreload") < linked.index("</head>")
    assert with_links(b"no head").decode() == "no head"


def test_modules_come_with_all_that_they_import(tmp_path: Path) -> None:
    for name, code in {
        "A": 'import"./B.00000001.js"',
        "B": 'import{x}from"./C.00000002.js"',
        "C": "",
    }.items():
        (tmp_path / f"{name}.{'ABC'.index(name):08d}.js").write_text(code)

    assert modules_of(["A", "Gone"], tmp_path) == ["A.00000000.js", "B.00000001.js", "C.00000002.js"]
