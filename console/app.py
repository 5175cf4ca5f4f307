"""The console's front door: `python -m streamlit run console/app.py` from the repository root."""

import sys
from pathlib import Path

import streamlit as st

CONSOLE = Path(__file__).parent
if str(CONSOLE.parent) not in sys.path:
    sys.path.append(str(CONSOLE.parent))  # `streamlit run` puts only this file's directory there

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
    View("trace", "Trace"),
    View("try_it", "Try it", has_bar=False),
)

st.set_page_config(page_title="Recserve", page_icon=str(CONSOLE / "icon.svg"), layout="wide")
st.logo(str(CONSOLE / "logo.svg"), size="large")
run(VIEWS)
