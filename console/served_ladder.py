"""The ladder as the API serves it, asked at most once in two minutes."""

from datetime import UTC, datetime

import streamlit as st

from console.api import Address, Api, ApiError
from console.api_values import Ladder
from console.asking import Answer
from console.failures import Failure
from console.telemetry import Table, table_of

LADDER_TTL_S = 120


def ask_ladder(address: Address) -> tuple[Ladder | None, Answer]:
    """The ladder as the API serves it, and the same as an answer that a panel takes."""
    question = "Which models does the API have, and what was measured of them?"
    asked = f"GET {address.url}/models"
    try:
        ladder, asked_at = _read_ladder(address)
    except ApiError as err:
        # `what` and `remedy` are the console's own words; only `detail` is the API's.
        kind = "unreachable" if err.is_temporary else "refused"
        failure = Failure(err.what, err.remedy, err.detail, kind=kind)
        return None, Answer(
            question=question, kql=asked, table=Table(), failure=failure, asked_at=datetime.now(UTC)
        )
    table = table_of(
        {
            "rung": [rung.name for rung in ladder.rungs],
            "answers": [str(rung.name in ladder.serving).lower() for rung in ladder.rungs],
            "ndcg_10": [rung.ndcg for rung in ladder.rungs],
            "ndcg_10_low": [rung.ndcg_low for rung in ladder.rungs],
            "ndcg_10_high": [rung.ndcg_high for rung in ladder.rungs],
            "hit_rate_10": [rung.hit_rate for rung in ladder.rungs],
            "run_ms": [rung.latency_ms for rung in ladder.rungs],
            "bytes": [rung.n_bytes for rung in ladder.rungs],
            "parameters": [rung.n_parameters for rung in ladder.rungs],
            "description": [rung.description for rung in ladder.rungs],
        }
    )
    return ladder, Answer(question=question, kql=asked, table=table, asked_at=asked_at)


@st.cache_resource(show_spinner=False)
def _connect(address: Address) -> Api:
    return Api(address, timeout_s=3.0)


@st.cache_data(ttl=LADDER_TTL_S, show_spinner=False)
def _read_ladder(address: Address) -> tuple[Ladder, datetime]:
    return _connect(address).ladder(), datetime.now(UTC)
