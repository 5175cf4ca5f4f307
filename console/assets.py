"""Files that the console's pages are made of: Streamlit's own, and the code of ECharts that a component brings.

Their names hold a hash of what is in them, so a browser may keep them for good.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import streamlit

STATIC = Path(streamlit.__file__).parent / "static/static"
ECHARTS = "_stcore/bidi-components/streamlit-echarts.streamlit_echarts"
"Where Streamlit serves the files of that component."

_IMPORT = re.compile(r'(?:\bfrom|\bimport)"\./([^"]+\.js)"')


@cache
def assets() -> Mapping[str, Path]:
    """Files by where pages look for them, below the root."""
    found = {f"static/{path.relative_to(STATIC).as_posix()}": path for path in STATIC.rglob("*.*")}
    return found | {f"{ECHARTS}/{path.name}": path for path in _echarts()}


def modules_of(names: Sequence[str], folder: Path = STATIC / "js") -> list[str]:
    """Modules of these names, which the build ends with a hash, and all that they import; each once, roots first.

    A name that Streamlit has not, or has no more, is left out: its page then loads what it needs when it needs it.
    """
    found: dict[str, None] = {}
    waiting = [path.name for name in names for path in sorted(folder.glob(f"{name}.????????.js"))]
    while waiting:
        name = waiting.pop(0)
        if name not in found and (folder / name).is_file():
            found[name] = None
            waiting += _imported(folder / name)
    return list(found)


def _imported(module: Path) -> Iterator[str]:
    return (each[1] for each in _IMPORT.finditer(module.read_text()))


def _echarts() -> Sequence[Path]:
    spec = find_spec("streamlit_echarts")
    if spec is None or spec.origin is None:
        return ()
    return tuple((Path(spec.origin).parent / "frontend/build").glob("index-*.js"))
