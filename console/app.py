"""The console's front door: `python -m streamlit run console/app.py` from the repository root."""

import sys
from pathlib import Path

import streamlit as st

CONSOLE = Path(__file__).parent
if str(CONSOLE.parent) not in sys.path:
    sys.path.append(str(CONSOLE.parent))  # `streamlit run` puts only this file's directory there

from console.views import try_it  # noqa: E402

LOGO = CONSOLE / "logo.svg"

st.set_page_config(page_title="Recserve", page_icon=str(CONSOLE / "icon.svg"), layout="wide")
st.html(CONSOLE / "style.css")
st.logo(str(LOGO), size="large")

page = st.navigation(
    {"": [st.Page(try_it.show, title="Try it", icon=":material/movie:", url_path="try-it", default=True)]},
    position="top",
)
page.run()
