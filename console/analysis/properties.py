"""What a span says of itself, in words: names for people, in groups, what has no name last."""

from collections.abc import Mapping
from dataclasses import dataclass

from console.analysis.trace import Span
from console.analysis.trace_steps import ALL_PHASES
from console.formats import ms, number, share

GROUPS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Answer": {
        "recserve.outcome": ("Outcome", ""),
        "recserve.status_code": ("HTTP status", ""),
        "recserve.error": ("Error", "Class of what ended it."),
        "recserve.variant": ("Variant", "The model that answered."),
        "recserve.model_version": ("Version", ""),
        "recserve.variant_reason": ("Chosen because", "Why this rung of the ladder."),
        "recserve.basis": ("Based on", ""),
        "recserve.degraded": ("Did without", "What the answer had to do without."),
        "n_items": ("Items", ""),
    },
    "Admission and batch": {
        "in_flight": ("In flight", "Requests the process worked on when this one came."),
        "limit": ("Limit", "Requests it was allowed to work on."),
        "pressure": ("Pressure", "How close to overload the process was: 1 is there."),
        "deadline_ms": ("Deadline", "Time that the caller gave."),
        "recserve.shed_reason": ("Refused for", ""),
        "recserve.priority": ("Priority", ""),
        "batch_size": ("Batch", "Requests in the model run."),
        "recserve.dispatch": ("Dispatched as", "Why the micro-batch had its size."),
    },
    "Start of the process": {
        "recserve.impacted": ("Waited for a start", ""),
        "wait_ms": ("Wait", "For the start."),
        "faas.coldstart": ("Met a cold process", ""),
        "recserve.cause": ("Cause", ""),
        "recserve.driver": ("Driver", "What met the process first."),
        "ready_ms": ("Ready after", ""),
        "explained_ms": ("Explained by phases", ""),
        "placeholder_ms": ("Placeholder for", "How long the process was the platform's placeholder before."),
        "n_impacted": ("Requests that waited", ""),
    },
    "Where it ran": {
        "recserve.function": ("Function", ""),
        "faas.trigger": ("Trigger", ""),
        "recserve.process": ("Process", "Drawn at its start."),
        "faas.invocation_id": ("Invocation", "As the host's own log calls it."),
        "recserve.user": ("User", "A keyed hash, never the id."),
        "recserve.kept": ("Kept because", "Why the span exists."),
    },
}
HIDDEN = {"recserve.kind", "faas.name", "duration_ms", "_MS.sampleRate"}

OF_A_START = {"ready_ms", "explained_ms", "placeholder_ms"}
"Its other lengths are phases."


@dataclass(frozen=True, slots=True)
class Property:
    label: str
    text: str
    help: str = ""


def properties_of(span: Span) -> dict[str, list[Property]]:
    """Properties and measurements that say something, by group; phases are left to the waterfall."""
    values: dict[str, str] = {name: text for name, text in span.properties.items() if text != ""}
    values |= {name: _written(name, value) for name, value in span.measurements.items()}
    for name in HIDDEN | {f"{phase}_ms" for phase in ALL_PHASES}:
        values.pop(name, None)
    if span.kind == "cold_start":
        values = {
            name: text for name, text in values.items() if not name.endswith("_ms") or name in OF_A_START
        }
    found: dict[str, list[Property]] = {}
    for group, names in GROUPS.items():
        known = [
            Property(label, _plain(values.pop(name)), help)
            for name, (label, help) in names.items()
            if name in values
        ]
        if known:
            found[group] = known
    if values:
        found["Other"] = [Property(name, _plain(text)) for name, text in sorted(values.items())]
    return found


def _written(name: str, value: float) -> str:
    if name.endswith("_ms"):
        return ms(value)
    if name == "pressure":
        return share(value)
    return number(value, 0 if value == int(value) else 2)


def _plain(text: str) -> str:
    return {"True": "yes", "False": "no"}.get(text, text)
