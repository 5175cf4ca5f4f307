"""What happened, in a sentence: the operation's question, its finding, and the facts below."""

from collections.abc import Mapping
from datetime import timedelta
from html import escape

from console.analysis.region import LatencyRegion, link_to_region
from console.analysis.trace import EDGE, Operation
from console.analysis.trace_steps import ALL_PHASES, LEAST_MS, slowest_part
from console.formats import ms, number
from console.pieces import Tone, badge, links
from console.scope import Scope, link_to
from console.settings import settings

QUESTION = "What happened in this request?"


def question_of(operation: Operation) -> str:
    """What the view asks of it."""
    if operation.request is None and operation.cold_start is not None:
        return "What happened in this start of a process?"
    return QUESTION if operation.request is not None else "What happened in this operation?"


def finding(operation: Operation, typical: Mapping[str, float]) -> str:
    """The view's answer in a sentence.

    Args:
        typical: milliseconds by phase column of a median request; empty where it is not known.
    """
    request, start, slo_ms = operation.request, operation.cold_start, settings().slo_ms
    if request is None:
        if start is None:
            return f"Telemetry holds {number(len(operation.spans))} records of it, none of them a request."
        n = start.measurements.get("n_impacted", 0.0)
        waited = f"{number(n)} requests waited for it" if n != 1 else "one request waited for it"
        return f"It took {ms(start.measurements.get('ready_ms', start.duration_ms))} to be ready; {waited}."
    took = request.duration_ms
    if request.outcome != "ok":
        why = request.properties.get("recserve.shed_reason") or request.properties.get("recserve.error") or ""
        what = "It was refused" if request.outcome == "shed" else f"It ended as {request.outcome}"
        return f"{what} after {ms(took)}" + (f", for {why}." if why else ".")
    over = took - slo_ms
    told = f"It took {ms(took)}, " + (
        f"{ms(over)} over the SLO" if over > 0 else f"within the SLO of {ms(slo_ms)}"
    )
    part = slowest_part(request, typical)
    if part is None:
        return f"{told}."
    phase, spent, usual = part
    told += f": {ms(spent)} {ALL_PHASES[phase]}"
    if not typical:
        return f"{told}."
    return told + (
        f", where {ms(usual)} is usual." if usual >= LEAST_MS else ", which most requests never do."
    )


def facts(scope: Scope, operation: Operation) -> str:
    """When and where it was, and the ways on from it; HTML."""
    main = operation.main
    since, until = operation.began - EDGE, operation.ended + EDGE
    ways = [
        ("Latency around it", link_to("latency", scope, since=since, until=until)),
        ("Its instance's resources", link_to("contention", scope, since=since, until=until)),
        ("Load around it", link_to("concurrency", scope, since=since, until=until)),
    ]
    if operation.request is not None:
        region = LatencyRegion(
            main.at.replace(microsecond=0) - timedelta(seconds=5),
            main.at.replace(microsecond=0) + timedelta(seconds=6),
        )
        ways.insert(1, ("Requests within 5 s", link_to_region(scope, region)))
    if operation.cold_start is not None:
        ways.append(("Cold starts around it", link_to("cold_starts", scope, since=since, until=until)))
    tone: Tone = "good" if main.outcome in ("ok", "200", "") else "bad"
    marks = badge(main.outcome or main.kind.replace("_", " "), tone)
    if main.waited_for_a_start:
        marks += badge("waited for a start", "warn")
    if main.properties.get("recserve.kept") == "rate":
        marks += badge(
            "sampled", "quiet", help="It stands for others like it; phases are known by their lengths."
        )
    name = main.name.replace("_", " ")
    return (
        f'<div class="rs-facts">{marks}<span>{main.at:%d %B %Y, %H:%M:%S}.{main.at.microsecond // 1000:03d} UTC'
        f"</span><span>{escape(name)} on {escape(main.instance)}</span>"
        f"{links(ways)}</div>"
    )
