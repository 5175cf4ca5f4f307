"""The traffic that is planned for: the range's own, a rate, or a file of arrivals."""

import hashlib
import tempfile
from pathlib import Path

import streamlit as st

FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
RANGE, RATE, TRACE = "Range", "Rate", "Trace"
MOST_RATE = 5000.0
MOST_TRACE_BYTES = 30_000_000
MOST_TRACES = 20
"Files that are kept; the oldest go first."


def show_traffic(kind: str) -> tuple[str | None, float]:
    """Draw the controls of a kind; the traffic as the planner understands it, None where it is not complete, and the
    factor on it."""
    if kind == RATE:
        rate = st.number_input(
            "Requests a second",
            0.1,
            MOST_RATE,
            20.0,
            step=10.0,
            format="%.4g",
            key="rate",
            bind="query-params",
        )
        bursts = st.toggle(
            "In bursts", key="bursts", bind="query-params", help="Spells of 5 s at ten times the calm rate."
        )
        return (f"bursty:{rate:g}/s,burst=10,calm=20s,spell=5s" if bursts else f"{rate:g}/s"), 1.0
    if kind == TRACE:
        file = st.file_uploader(
            "Recorded arrivals, CSV",
            type="csv",
            key="trace",
            help="With a column of times, in a schema that the planner reads.",
        )
        return (_kept_trace(file.getvalue()) if file is not None else None), 1.0
    factor = st.select_slider(
        "Times the traffic", FACTORS, value=1.0, key="factor", format_func=lambda each: f"× {each:g}"
    )
    return "telemetry", float(factor)


@st.cache_resource(show_spinner=False)
def _traces() -> Path:
    """A folder of this process alone: others cannot foresee its name."""
    return Path(tempfile.mkdtemp(prefix="recserve-console-"))


def _kept_trace(content: bytes) -> str | None:
    """A file of its own for each content, which the planner's process can read; None where it is too long."""
    if len(content) > MOST_TRACE_BYTES:
        return None
    path = _traces() / f"{hashlib.sha256(content).hexdigest()[:24]}.csv"
    if not path.exists():
        path.write_bytes(content)
        kept = sorted(_traces().glob("*.csv"), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in kept[MOST_TRACES:]:
            old.unlink(missing_ok=True)
    return f"trace:{path}"
