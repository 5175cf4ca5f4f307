"""Try it: ask the live API for recommendations, and see the answer and where its time went."""

import os

import streamlit as st

from console.api import Address, Api, ApiError, read_address
from console.api_values import CatalogueItem, ItemId
from console.panels.try_it_answer import show_answer
from console.panels.try_it_failure import show_error
from console.panels.try_it_question import BY_USER, choose
from console.panels.try_it_timing import show_timing, show_trace_link

MAX_OPTIONS = 10_000
CATALOGUE_TTL_S = 300


def show() -> None:
    """Draw the view."""
    by_user = st.session_state.get("mode") == BY_USER or (
        "mode" not in st.session_state and "user" in st.query_params
    )
    st.title(
        "What would you recommend to this user?"
        if by_user
        else "What would you recommend to somebody who liked …?",
        anchor=False,
    )
    try:
        address = read_address(os.environ)
        api = connect(address)
        catalogue = read_catalogue(address, api)
    except ApiError as err:
        show_error(err)
        return
    with st.container(key="room"):  # style.css lays the three parts out
        with st.container(key="question"):
            question = choose(catalogue)
        with st.container(key="answer"):
            answer = show_answer(api, question, catalogue)
        with st.container(key="making"):
            if answer is not None:
                show_timing(answer)
                show_trace_link(answer)
            if question is not None:
                with st.expander("Call it yourself", icon=":material/terminal:"):
                    st.code(api.curl(question), language="bash", wrap_lines=True)


@st.cache_resource(show_spinner=False)
def connect(address: Address) -> Api:
    return Api(address)


@st.cache_data(ttl=CATALOGUE_TTL_S, show_spinner="Reading the catalogue …")
def read_catalogue(address: Address, _api: Api) -> dict[ItemId, CatalogueItem]:
    """The catalogue by id, the most popular item first."""
    _api.check_ready()
    return {item.id: item for item in _api.catalogue(MAX_OPTIONS)}
