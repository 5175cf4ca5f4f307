"""Trace ids of the console's own questions, chosen so that sampling keeps them: an answer links to its trace.

Such a question weighs in telemetry as much as any sampled one does.
"""

import random

KEPT_BELOW = 0.005
"At this sampling rate and any above, the ids are kept."

_rng = random.SystemRandom()


def new_trace_id() -> str:
    """32 hexadecimal digits, nobody else's, that score below `KEPT_BELOW`."""
    trace_id = f"{_rng.getrandbits(128):032x}"
    while sampling_score(trace_id) >= KEPT_BELOW:
        # The last digits alone decide: the rest stays as unique as it was drawn.
        trace_id = trace_id[:24] + f"{_rng.getrandbits(32):08x}"
    return trace_id


def trace_parent(trace_id: str) -> str:
    """The header of W3C Trace Context that makes a request part of a trace; marked as sampled."""
    return f"00-{trace_id}-{_rng.getrandbits(64) | 1:016x}-01"


def sampling_score(trace_id: str) -> float:
    """Where a trace falls in [0, 1): the DJB2 hash of the Application Insights SDKs.

    github.com/microsoft/Telemetry-Collection-Spec, ApplicationInsightsSampler.md
    """
    score = 5381
    for character in trace_id.lower():
        score = (score * 33 + ord(character)) & 0xFFFFFFFF
    if score >= 0x80000000:
        score -= 0x100000000
    return min(abs(score), 0x7FFFFFFF) / 0x7FFFFFFF
