"""What changed, gathered: one start of an instance is told by several records, and a release by many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from console.pieces import Tone
from console.telemetry import Table

TOGETHER = timedelta(seconds=30)
"Changes of a kind that are no further apart are one."
AT_FIRST = timedelta(minutes=2)
"Model versions that answer so soon after the first have been there before: a record tells the first that is seen."


class Kind(NamedTuple):
    """A kind of change in words."""

    title: str
    plural: str
    lane: str
    tone: Tone


RELEASES, INSTANCES, FAULTS = "releases", "instances", "events"
LANES = (FAULTS, INSTANCES, RELEASES)
KINDS: Mapping[str, Kind] = {
    "deployment": Kind("deployment", "deployments", RELEASES, "info"),
    "model": Kind("model version", "model versions", RELEASES, "info"),
    "scale_out": Kind("scale out", "scale-outs", INSTANCES, "good"),
    "scale_in": Kind("scale in", "scale-ins", INSTANCES, "quiet"),
    "activate": Kind("activation", "activations", INSTANCES, "good"),
    "start": Kind("start", "starts", INSTANCES, "good"),
    "restart": Kind("restart", "restarts", INSTANCES, "warn"),
    "health": Kind("health", "health events", FAULTS, "bad"),
    "command": Kind("command", "commands", FAULTS, "warn"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Records of one kind that came together."""

    kind: str
    "One of `KINDS`."
    since: datetime
    until: datetime
    what: str
    "Of the first record, in the words of who told it."
    n: int
    instances: tuple[str, ...]


def gather(changes: Table) -> Sequence[Change]:
    """The answer to `changes`, the newest first, what came together as one."""
    open_: dict[str, Change] = {}
    done: list[Change] = []
    rows = sorted(changes.rows(), key=lambda row: row["at"])
    first_model = next((row["at"] for row in rows if row["change"] == "model"), datetime.max)
    for row in rows:
        kind, at, instance = row["change"], row["at"], row["instance"] or ""
        if kind not in KINDS or (kind == "model" and at - first_model <= AT_FIRST):
            continue
        before = open_.get(kind)
        if before is not None and at - before.until <= TOGETHER and kind != "model":
            known = (
                before.instances
                if instance in before.instances or not instance
                else (*before.instances, instance)
            )
            open_[kind] = Change(
                kind=kind, since=before.since, until=at, what=before.what, n=before.n + 1, instances=known
            )
            continue
        if before is not None:
            done.append(before)
        open_[kind] = Change(
            kind=kind,
            since=at,
            until=at,
            what=row["what"] or "",
            n=1,
            instances=(instance,) if instance else (),
        )
    return sorted([*done, *open_.values()], key=lambda change: change.since, reverse=True)


def tally(changes: Sequence[Change]) -> str:
    """How many there were of each kind: `2 deployments, 14 scale-outs`."""
    counts = {kind: sum(change.n for change in changes if change.kind == kind) for kind in KINDS}
    return ", ".join(
        f"{n} {KINDS[kind].title if n == 1 else KINDS[kind].plural}" for kind, n in counts.items() if n
    )
