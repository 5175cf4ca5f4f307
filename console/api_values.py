"""What the recommendation API is asked and what it answers, as plain values, and how its JSON is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

ItemId = int | str
EventKind = Literal["view", "click", "add", "purchase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whom to recommend to: somebody who liked the items of `history`, or else a user by id."""

    history: tuple[ItemId, ...] = ()
    user_id: str = ""
    k: int


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    id: ItemId
    title: str
    year: int | None
    genres: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScoredItem:
    id: ItemId
    title: str
    score: float
    "Higher is better; comparable within one answer only."


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of the server's work on a request."""

    name: str
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Recommendations, and what they took."""

    recommendation_id: str = ""
    "What feedback on this answer quotes."
    trace_id: str = ""
    "Of the question, in telemetry."
    items: tuple[ScoredItem, ...]
    variant: str
    version: str
    basis: str
    "What the answer rests on: `history`, `unknown_user`, `empty_history` or `no_known_items`."
    n_unknown_items: int
    cold_start: bool
    round_trip_ms: float
    "From sending the question to having read the whole answer."
    phases: tuple[Phase, ...]
    "In the order of time; empty where the server tells none."

    @property
    def server_ms(self) -> float:
        return sum(phase.duration_ms for phase in self.phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a user did with an item of an answer."""

    user_id: str
    item_id: ItemId
    kind: EventKind
    recommendation_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One variant of the ladder, as it was measured when it was trained."""

    name: str
    description: str
    n_bytes: int
    n_parameters: int
    latency_ms: float
    "Median of one run for one user."
    ndcg: float
    "NDCG@10 on held-out interactions."
    ndcg_low: float | None
    ndcg_high: float | None
    "With `ndcg_low` its 95 % interval; None where the API tells none."
    hit_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The models that one process of the API has."""

    version: str
    dataset: str
    n_items: int
    serving: tuple[str, ...]
    "Names of the rungs that answer; the first is the default."
    rungs: tuple[Rung, ...]
    "From best to cheapest."


def read_page(body: Any) -> tuple[list[CatalogueItem], int]:
    """Items of a page of the catalogue, and how many the catalogue has."""
    items = [
        CatalogueItem(item["id"], item["title"], item["year"], tuple(item["genres"]))
        for item in body["items"]
    ]
    return items, int(body["total"])


def read_ladder(body: Any) -> Ladder:
    """The body of `models`."""
    return Ladder(
        version=body["version"],
        dataset=body["dataset"],
        n_items=int(body["n_items"]),
        serving=tuple(body["serving"]),
        rungs=tuple(_read_rung(rung) for rung in body["ladder"]),
    )


def _read_rung(body: Any) -> Rung:
    metrics = body["metrics"]
    return Rung(
        name=body["name"],
        description=body["description"],
        n_bytes=int(body["bytes"]),
        n_parameters=int(body["parameters"]),
        latency_ms=float(body["latency_ms"]),
        ndcg=float(metrics["ndcg@10"]),
        ndcg_low=metrics.get("ndcg@10_low"),
        ndcg_high=metrics.get("ndcg@10_high"),
        hit_rate=float(metrics["hr@10"]),
    )


def read_answer(body: Any, headers: Mapping[str, str], round_trip_ms: float, trace_id: str) -> Answer:
    """The body of `recommend`, and the phases of its `server-timing`."""
    return Answer(
        recommendation_id=body["recommendation_id"],
        trace_id=trace_id,
        items=tuple(ScoredItem(item["id"], item["title"], float(item["score"])) for item in body["items"]),
        variant=body["model"]["variant"],
        version=body["model"]["version"],
        basis=body["basis"],
        n_unknown_items=int(body["n_unknown_items"]),
        cold_start=bool(body["cold_start"]),
        round_trip_ms=round_trip_ms,
        phases=read_server_timing(headers.get("server-timing", "")),
    )


def read_server_timing(header: str) -> tuple[Phase, ...]:
    """The phases of a `Server-Timing` header; entries without a duration are left out."""
    entries = re.finditer(r"([\w-]+)[^,]*?;\s*dur=\"?(\d+(?:\.\d+)?)", header)
    return tuple(Phase(name, float(duration_ms)) for name, duration_ms in (e.groups() for e in entries))


def read_problem(response: httpx.Response) -> str:
    """The `detail` of problem details; empty where the response has none."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return detail if isinstance(detail, str) else ""
