"""Code of the charts, which browsers fetch while the workspace answers instead of afterwards.

Streamlit's page loads the code of an element when the first of its kind arrives. Charts arrive last, all at once,
and theirs is the longest: a page that is opened anew would wait for it twice.
"""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import streamlit as st

_STATIC = "static/js"
_COMPONENT = "_stcore/bidi-components/streamlit-echarts.streamlit_echarts"


def preload_charts() -> None:
    """Let the browser fetch and read the code of charts; it does so once in a page's life."""
    if modules := _modules():
        imports = "".join(f"import({json.dumps(f'./{module}')}).catch(() => {{}});" for module in modules)
        st.html(f"<script>{imports}</script>", unsafe_allow_javascript=True)


@cache
def _modules() -> tuple[str, ...]:
    """Addresses of the modules, as far as the packages hold them where they are known to."""
    streamlit, echarts = (_folder(name) for name in ("streamlit", "streamlit_echarts"))
    found = [
        *((f"{_COMPONENT}/{path.name}") for path in (echarts / "frontend/build").glob("index-*.js")),
        *((f"{_STATIC}/{path.name}") for path in (streamlit / _STATIC).glob("ArrowVegaLiteChart.*.js")),
    ]
    return tuple(found)


def _folder(package: str) -> Path:
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else Path()
