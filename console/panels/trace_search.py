"""The trace that is looked for: an operation id as people paste it, its form, and what is offered instead."""

import re

import streamlit as st

from console.asking import Question, ask
from console.charts.requests import request_table
from console.page import panel, say
from console.scope import Scope

N_OFFERED = 15
NO_ID = "That is no operation id: it has 32 hexadecimal digits, as tables and `traceparent` headers have it."
_ID = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def read_operation_id(text: str) -> str:
    """The operation id in what somebody pasted, a `traceparent` and a GUID with dashes too; empty where none is."""
    text = text.strip().lower()[:128]
    if found := _TRACEPARENT.fullmatch(text):
        return found[1]
    bare = text.replace("-", "")
    return bare if _ID.fullmatch(bare) else ""


def show_search(operation_id: str) -> None:
    """Draw the form; what is found in it is the address of the page."""
    with (
        st.form("trace-search", border=False),
        st.container(key="trace-search-row", horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        pasted = st.text_input(
            "Operation id",
            operation_id,
            max_chars=128,
            placeholder="Operation id or traceparent",
            label_visibility="collapsed",
            icon=":material/search:",
            width=420,
        )
        is_searched = st.form_submit_button("Show")
    if not is_searched or not pasted:
        return
    if found := read_operation_id(pasted):
        if found != operation_id:
            st.query_params["trace"] = found
            st.rerun()
    else:
        say(NO_ID, "warn", compact=True)


def show_offers(scope: Scope) -> None:
    """Draw the slowest requests of the range, each with its trace."""
    slowest = ask(scope, slowest=Question("slow_requests"))["slowest"]
    panel(
        "The slowest requests of the range",
        slowest,
        lambda table: st.html(request_table(scope, table, most=N_OFFERED)),
        key="offers",
        empty="No request in this range. Choose a longer one in the bar above.",
    )
