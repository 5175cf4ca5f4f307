"""The console's front door: `python -m streamlit run console/app.py` from the repository root.

Streamlit reads this file twice: once for its server, `app`, and then for every run of a page.
"""

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import get_script_run_ctx

CONSOLE = Path(__file__).parent
if str(CONSOLE.parent) not in sys.path:
    sys.path.append(str(CONSOLE.parent))  # `streamlit run` puts only this file's directory there

from console.delivery import Delivery  # noqa: E402
from console.page import is_dark  # noqa: E402
from console.shell import View, run  # noqa: E402

VIEWS = (
    View("overview", "Overview"),
    View("latency", "Latency"),
    View("cold_starts", "Cold starts"),
    View("concurrency", "Concurrency"),
    View("contention", "Contention"),
    View("cost", "Cost"),
    View("planner", "Planner"),
    View("models", "Models"),
    View("edge", "Edge"),
    View("trace", "Trace"),
    View("try_it", "Try it", has_bar=False),
)

if get_script_run_ctx(suppress_warning=True) is None:
    base_path = str(st.get_option("server.baseUrlPath") or "")
    app = st.App(__file__, middleware=[Middleware(Delivery, base_path=base_path)])
else:
    st.set_page_config(page_title="Recserve", page_icon=str(CONSOLE / "icon.svg"), layout="wide")
    st.logo(str(CONSOLE / ("logo-dark.svg" if is_dark() else "logo.svg")), size="large")
    run(VIEWS)
