"""Instances' lives: what state each was in from when to when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.telemetry import Table

STATES: Mapping[str, tuple[str, str]] = {
    "starting": ("starting", "starting"),
    "pre_warmed": ("pre-warmed", "pre-warmed"),
    "active": ("active", "ready"),
    "draining": ("draining", "idle"),
    "seen": ("seen by its heartbeats", "busy"),
}
"The plan's states: how they are called here, and the colour of `Palette.states` that they have."


@dataclass(frozen=True, slots=True)
class Stay:
    """An instance in one state."""

    instance: str
    state: str
    "A key of `STATES`."
    since: datetime
    until: datetime


def stays(states: Table, seen: Table, *, since: datetime, until: datetime) -> list[Stay]:
    """Which instance was in which state when, within a range.

    Args:
        states: of `instance_states.kql`, in the order of time.
        seen: of `instances.kql`: instances that the plan tells nothing of are there while they are heard.
    """
    found: list[Stay] = []
    told: dict[str, list[dict[str, Any]]] = {}
    for row in states.rows():
        told.setdefault(row["instance"], []).append(row)
    for instance, events in told.items():
        first = events[0]
        if first["from_state"] in STATES:
            begun = first["at"] - timedelta(
                seconds=first["in_state_s"] or (first["at"] - since).total_seconds()
            )
            found.append(Stay(instance, first["from_state"], begun, first["at"]))
        for event, following in zip(events, [*events[1:], None], strict=True):
            if event["to_state"] in STATES:
                found.append(
                    Stay(instance, event["to_state"], event["at"], following["at"] if following else until)
                )
    found += [
        Stay(row["instance"], "seen", row["first_seen"], row["last_seen"])
        for row in seen.rows()
        if row["instance"] not in told
    ]
    return [
        Stay(stay.instance, stay.state, max(stay.since, since), min(stay.until, until))
        for stay in found
        if min(stay.until, until) > max(stay.since, since)
    ]
