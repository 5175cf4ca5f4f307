"""What travels over HTTP. OpenAPI is generated from these types, so each says its bounds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

ItemId = (
    Annotated[int, Meta(description="Item id of a catalogue with numeric ids.")]
    | Annotated[str, Meta(min_length=1, max_length=256, description="Item id of any catalogue.")]
)
UserId = Annotated[str, Meta(min_length=1, max_length=256, description="Your own id of the user.")]
Count = Annotated[int, Meta(ge=1, le=100, description="How many items to return.")]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a caller sends: unknown fields are an error, not a silent typo."""

    max_body_bytes: ClassVar[int] = 256 * 1024
    "Largest JSON body that is read."
    extra_json_schema: ClassVar[Mapping[str, Any]] = {}
    "What `__post_init__` demands beyond the fields, as far as JSON Schema has words for it."


class Conditions(Request, frozen=True):
    """What can be asked of an item; at least one condition. `min_year` and `max_year` together are one."""

    extra_json_schema: ClassVar[Mapping[str, Any]] = {"minProperties": 1}

    genres: (
        Annotated[
            tuple[Annotated[str, Meta(max_length=256)], ...],
            Meta(
                min_length=1,
                max_length=100,
                description="Has any of these genres, spelt as in the catalogue. One that no item has is no error.",
            ),
        ]
        | UnsetType
    ) = UNSET
    min_year: (
        Annotated[int, Meta(ge=0, le=9999, description="Not older; an item without a year does not meet it.")]
        | UnsetType
    ) = UNSET
    max_year: (
        Annotated[int, Meta(ge=0, le=9999, description="Not newer; an item without a year does not meet it.")]
        | UnsetType
    ) = UNSET
    item_ids: (
        Annotated[
            tuple[ItemId, ...],
            Meta(
                min_length=1,
                max_length=1000,
                description="Is one of these items. One that the catalogue lacks is no error.",
            ),
        ]
        | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if self.genres is self.min_year is self.max_year is self.item_ids is UNSET:
            raise ValueError("no condition was sent; send `genres`, `min_year`, `max_year` or `item_ids`")
        if self.min_year is not UNSET and self.max_year is not UNSET and self.min_year > self.max_year:
            raise ValueError(
                f"`min_year` {self.min_year} is after `max_year` {self.max_year}, which no item meets; swap them"
            )


class Filters(Request, frozen=True):
    """Which items may be shown at all, pinned ones too."""

    allow: (
        Annotated[Conditions, Meta(description="Only items that meet every condition are shown.")] | UnsetType
    ) = UNSET
    deny: (
        Annotated[Conditions, Meta(description="Items that meet any of the conditions are not shown.")]
        | UnsetType
    ) = UNSET


class Pin(Request, frozen=True):
    """An item with a place of its own, whatever the model says, also when the user has seen it."""

    item_id: ItemId
    position: Annotated[
        int, Meta(ge=1, le=100, description="From 1, at most k. In a shorter list the item moves up.")
    ]


class Boost(Conditions, frozen=True, kw_only=True):
    """Items that meet every condition count for more, or for less; several boosts of an item multiply."""

    extra_json_schema: ClassVar[Mapping[str, Any]] = {"minProperties": 2}

    weight: Annotated[
        float, Meta(gt=0, le=10, description="What the item's relevance is multiplied by; below 1 demotes.")
    ]


class RankingRules(Request, frozen=True):
    """What happens to the model's candidates before they are shown. Without rules the model's order stands."""

    filters: Filters | UnsetType = UNSET
    pins: Annotated[list[Pin], Meta(max_length=100)] = []
    boosts: Annotated[list[Boost], Meta(max_length=20)] = []
    freshness_half_life_years: (
        Annotated[
            float,
            Meta(
                ge=0.1,
                le=1000,
                description="Relevance halves with every so many years of age, counted from the catalogue's "
                "newest year; an item without a year is taken to be of the median year.",
            ),
        ]
        | UnsetType
    ) = UNSET
    diversity: Annotated[
        float,
        Meta(
            ge=0, le=1, description="Weight of unlikeness, by genres, to what the list already holds (MMR)."
        ),
    ] = 0.0
    exploration: Annotated[
        float,
        Meta(
            ge=0,
            le=0.5,
            description="Chance that a place goes to a candidate drawn at random; every item then carries the "
            "probability it was shown with, given the places before it.",
        ),
    ] = 0.0
    seed: (
        Annotated[
            int, Meta(ge=0, le=2**53 - 1, description="The same seed explores the same way; random without.")
        ]
        | UnsetType
    ) = UNSET
    explain: Annotated[
        bool, Meta(description="Name the item of the user's history that each item is most tied to.")
    ] = False

    def __post_init__(self) -> None:
        for field, values in (
            ("position", [pin.position for pin in self.pins]),
            ("item", [str(pin.item_id) for pin in self.pins]),
        ):
            if twice := [value for place, value in enumerate(values) if value in values[:place]]:
                raise ValueError(f"{field} {twice[0]!r} is pinned twice; pin it once")


class RecommendRequest(Request, frozen=True):
    """Whom to recommend to: a user we know, the items they liked, or both (`history` is then the newer)."""

    extra_json_schema: ClassVar[Mapping[str, Any]] = {
        "anyOf": [{"required": ["user_id"]}, {"required": ["history"]}]
    }

    user_id: UserId | UnsetType = UNSET
    history: (
        Annotated[
            list[ItemId],
            Meta(max_length=1000, description="Items the user interacted with, oldest first, newest last."),
        ]
        | UnsetType
    ) = UNSET
    k: Count = 10
    exclude_seen: (
        Annotated[
            bool,
            Meta(
                description="Leave out what the user took before; if not sent, as the data was learned: "
                "films are not recommended again, groceries are."
            ),
        ]
        | UnsetType
    ) = UNSET
    rules: Annotated[RankingRules, Meta(description="What the list must obey.")] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.user_id is UNSET and self.history is UNSET:
            raise ValueError("neither `user_id` nor `history` was sent; send one or both")


class RecommendUserRequest(Request, frozen=True):
    """Recommend to a user we know."""

    user_id: UserId
    k: Count = 10

    def full(self) -> RecommendRequest:
        return RecommendRequest(user_id=self.user_id, k=self.k)


class RecommendBatchRequest(Request, frozen=True):
    """Recommend to many users at once: a mailing, a cache that is filled ahead of time."""

    max_body_bytes: ClassVar[int] = 2 * 1024 * 1024

    requests: Annotated[list[RecommendRequest], Meta(min_length=1, max_length=256)]


EventKind = Literal["view", "click", "add", "purchase"]


class Event(Request, frozen=True):
    """Something a user did with an item."""

    event_id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=128,
            description="Your own id of the event; one that was sent before changes nothing.",
        ),
    ]
    user_id: UserId
    item_id: ItemId
    kind: EventKind
    at: (
        Annotated[datetime, Meta(tz=True, description="When it happened; on arrival if left out.")]
        | UnsetType
    ) = UNSET
    recommendation_id: (
        Annotated[str, Meta(max_length=64, description="The answer that the user acted on.")] | UnsetType
    ) = UNSET


class EdgeAnswers(Request, frozen=True):
    """Answers that were given in one way, for one reason, within one span of latency."""

    by: Annotated[Literal["edge", "cloud"], Meta(description="Who answered in the end.")]
    reason: Annotated[
        str, Meta(pattern="^[a-z_]{1,32}$", description="Why there: a reason of the clients' table.")
    ]
    bucket: Annotated[
        int,
        Meta(ge=-20, le=60, description="Latency: more than 1.2^(bucket - 1) ms and at most 1.2^bucket ms."),
    ]
    n: Annotated[int, Meta(ge=1, le=1_000_000, description="How many answers.")]


class EdgeComparisons(Request, frozen=True):
    """Answers of the device that the cloud was asked for too."""

    n: Annotated[int, Meta(ge=1, le=1_000_000, description="How many.")]
    overlap_sum: Annotated[
        float,
        Meta(
            ge=0, le=1_000_000, description="Sum of the shares of the cloud's list that were on the device's."
        ),
    ]
    n_identical: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Of them, those with the same items in the same order.")
    ]

    def __post_init__(self) -> None:
        if self.overlap_sum > self.n * 1.000001 or self.n_identical > self.n:
            raise ValueError(
                f"`overlap_sum` {self.overlap_sum:g} or `n_identical` {self.n_identical} is more than `n` {self.n}"
            )


class EdgeReport(Request, frozen=True):
    """How one device answered since its last report; it names nobody."""

    report_id: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9-]{1,64}$", description="Random; a report that was sent before counts once."
        ),
    ]
    client: Literal["js", "python"]
    client_version: Annotated[str, Meta(pattern="^[A-Za-z0-9._+-]{1,32}$")]
    bundle_version: Annotated[
        str,
        Meta(pattern="^[A-Za-z0-9._-]{0,64}$", description="What it answers from; empty without a bundle."),
    ]
    answers: Annotated[list[EdgeAnswers], Meta(max_length=200)] = []
    comparisons: EdgeComparisons | UnsetType = UNSET


class EventsRequest(Request, frozen=True):
    """What users did; the next recommendation for each of them takes it into account."""

    max_body_bytes: ClassVar[int] = 1024 * 1024

    extra_json_schema: ClassVar[Mapping[str, Any]] = {
        "anyOf": [{"properties": {"events": {"minItems": 1}}}, {"required": ["edge"]}]
    }

    events: Annotated[list[Event], Meta(max_length=500, description="May be empty beside a report.")]
    edge: (
        Annotated[EdgeReport, Meta(description="How a device answered since its last report.")] | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if not self.events and self.edge is UNSET:
            raise ValueError("`events` is empty, and no `edge` report was sent; send one or both")


class EdgeFileRequest(Request, frozen=True):
    """A file that devices are given."""

    name: Annotated[str, Meta(min_length=1, max_length=256, description="As the manifest writes it.")]


class UserRequest(Request, frozen=True):
    """One user, by id."""

    user_id: UserId


class ReloadRequest(Request, frozen=True):
    """Look for another version of the models."""

    force: Annotated[bool, Meta(description="Also try a version that was refused before.")] = False


class SimilarRequest(Request, frozen=True):
    """Items like one item."""

    item_id: Annotated[str, Meta(min_length=1, max_length=256, description="Item id of the catalogue.")]
    k: Count = 10


class NoParameters(Request, frozen=True):
    """A request without parameters of its own."""


class PopularRequest(Request, frozen=True):
    """Items for anybody."""

    k: Count = 10


class CatalogueRequest(Request, frozen=True):
    """Search the catalogue."""

    query: Annotated[str, Meta(max_length=200, description="Words that the title holds, any case.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="Items a page.")] = 100
    offset: Annotated[int, Meta(ge=0, description="Items to skip.")] = 0


class ScoredItem(msgspec.Struct, frozen=True):
    id: int | str
    title: str
    score: Annotated[
        float | None,
        Meta(
            description="Higher is better; comparable within one answer only. Null for a pinned item that the "
            "model did not name."
        ),
    ]
    because: (
        Annotated[
            int | str,
            Meta(description="Item of the user's history that most people went on from to this one."),
        ]
        | UnsetType
    ) = UNSET
    propensity: (
        Annotated[
            float,
            Meta(gt=0, le=1, description="Probability of this item at this place, given those before it."),
        ]
        | UnsetType
    ) = UNSET


Reason = Literal["default", "split", "brownout", "no_history"]


class ModelRef(msgspec.Struct, frozen=True):
    variant: Annotated[str, Meta(description="Rung of the model ladder that answered.")]
    version: Annotated[str, Meta(description="Version of the models directory.")]
    reason: Annotated[
        Reason,
        Meta(
            description="Why this variant: the first of the ladder; this user's arm of a split; a cheaper one "
            "because the process has much to do; the one that needs no history."
        ),
    ] = "default"


Basis = Literal["history", "unknown_user", "empty_history", "no_known_items", "state_unavailable", "overload"]
Degradation = Literal["state_unavailable", "stale_history", "brownout"]


class Recommendations(msgspec.Struct, frozen=True, kw_only=True):
    recommendation_id: Annotated[str, Meta(description="Unique to this answer; quote it in feedback.")]
    items: list[ScoredItem]
    model: ModelRef
    basis: Annotated[
        Basis,
        Meta(
            description="`history`: personalised from the items given or stored. Anything else: these are "
            "popular items, because the user is unknown, the history is empty, the catalogue knows none of its "
            "items, the store of histories does not answer, or the process has too much to do."
        ),
    ]
    degraded: Annotated[
        list[Degradation],
        Meta(
            description="What this answer had to do without; empty when all is well. `state_unavailable`: the "
            "stored history; `stale_history`: what happened in the last minutes; `brownout`: the best model."
        ),
    ]
    n_unknown_items: Annotated[
        int, Meta(ge=0, description="History items that the catalogue lacks; dropped.")
    ]
    cold_start: Annotated[bool, Meta(description="This request met a process that was not warm yet.")]
    seed: (
        Annotated[
            int, Meta(description="What the exploration was drawn with; send it to draw the same again.")
        ]
        | UnsetType
    ) = UNSET
    note: (
        Annotated[
            str, Meta(description="Why there are fewer items than asked for, or why a pinned one is missing.")
        ]
        | UnsetType
    ) = UNSET


class RecommendationsBatch(msgspec.Struct, frozen=True, kw_only=True):
    answers: Annotated[list[Recommendations], Meta(description="In the order of the requests.")]


class EventsAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the events; all of them are kept once this is answered."""

    n_new: int
    n_duplicates: Annotated[
        int, Meta(ge=0, description="Events whose id was there before; left as they were.")
    ]
    n_clock_skewed: Annotated[
        int, Meta(ge=0, description="Events from the future; taken as if they had happened on arrival.")
    ]
    n_expired: Annotated[int, Meta(ge=0, description="Events older than histories are kept; dropped.")]
    n_unknown_items: Annotated[
        int,
        Meta(ge=0, description="Events on items that the catalogue lacks; kept, and used once it has them."),
    ]
    is_deferred: Annotated[
        bool, Meta(description="The store does not answer; the events wait on this instance's disk.")
    ]


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    event_id: str
    item_id: str
    kind: EventKind
    at: datetime
    recommendation_id: str = ""


class UserExport(msgspec.Struct, frozen=True, kw_only=True):
    """All that is stored about a user, oldest first."""

    user_id: str
    events: list[StoredEvent]


class UserErased(msgspec.Struct, frozen=True, kw_only=True):
    n_events: Annotated[int, Meta(ge=0, description="Events that were erased; 0 for a user without any.")]


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """What looking for another version of the models came to, in the process that was asked."""

    outcome: Annotated[
        Literal["unchanged", "swapped", "refused", "unavailable"],
        Meta(
            description="`refused`: the other version is bad; `unavailable`: where it would come from cannot "
            "be reached. Either way the version before goes on."
        ),
    ]
    from_version: str
    to_version: Annotated[str, Meta(description="Empty where no other was loaded.")]
    reason: Annotated[str, Meta(description="Why it was not swapped; empty otherwise.")]
    overlap: Annotated[
        dict[str, float],
        Meta(description="Share of the first ten that both versions have on canned histories, by variant."),
    ]
    seconds: Annotated[dict[str, float], Meta(description="What each phase took.")]
    is_drained: Annotated[bool, Meta(description="No request holds the version before any more.")]


class ItemList(msgspec.Struct, frozen=True, kw_only=True):
    """Items that are the same for everybody."""

    items: list[ScoredItem]
    model: ModelRef


class CatalogueItem(msgspec.Struct, frozen=True):
    id: int | str
    title: str
    year: int | None
    genres: list[str]
    n_interactions: Annotated[int, Meta(ge=0, description="How often the item occurs in the training data.")]


class CataloguePage(msgspec.Struct, frozen=True, kw_only=True):
    """Items in order of popularity."""

    total: Annotated[int, Meta(ge=0, description="Items that match, on all pages.")]
    items: list[CatalogueItem]


class ModelVariant(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    description: str
    bytes: int
    sha256: str
    parameters: int
    latency_ms: Annotated[float, Meta(description="Median of one run for one user, when it was trained.")]
    metrics: dict[str, float]


class ShadowTally(msgspec.Struct, frozen=True, kw_only=True):
    """How far a variant that answers nobody agrees with those that do."""

    variant: str
    n_compared: int
    n_skipped: Annotated[int, Meta(ge=0, description="Answers that came while a comparison was under way.")]
    mean_overlap: Annotated[
        float | None, Meta(description="Share of the items shown that it would have shown too.")
    ]


class Models(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    dataset: str
    licence: str
    n_items: int
    serving: Annotated[list[str], Meta(description="Variants that answer; the first is the default.")]
    ladder: Annotated[list[ModelVariant], Meta(description="From best to cheapest.")]
    shadow: ShadowTally | None


class EdgeFileRef(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the bundle."""

    name: Annotated[
        str, Meta(description="For GET /api/edge/files/{name}; another content has another name.")
    ]
    sha256: str
    bytes: int
    wire_bytes: Annotated[int, Meta(description="After gzip.")]


class EdgeModelRef(EdgeFileRef, frozen=True, kw_only=True):
    """An ONNX graph that answers histories with items."""

    variant: str
    ndcg_10: Annotated[float, Meta(description="On the test users of the data that it was made from.")]


class EdgeManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a device needs to answer by itself."""

    format: Literal[1]
    version: Annotated[str, Meta(description="Of the bundle.")]
    served_version: Annotated[str, Meta(description="Of the models that the service answers with.")]
    served_ndcg_10: Annotated[float, Meta(description="Of the rung that the service answers with.")]
    max_age_s: Annotated[
        int, Meta(description="How long a device may answer without having asked for this again.")
    ]
    max_history: Annotated[int, Meta(description="Most recent items of a history that the model reads.")]
    allow_repeats: Annotated[bool, Meta(description="Whether items of the history may come back by default.")]
    n_items: int
    licence: str
    model: Annotated[EdgeModelRef, Meta(description="Answers who has a history.")]
    popular: Annotated[EdgeModelRef, Meta(description="Answers who has none.")]
    catalogue: EdgeFileRef
    at: Annotated[
        datetime | UnsetType, Meta(description="The service's clock, for a device to hold its own against.")
    ] = UNSET


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    status: Literal["live", "ready"]
    model_version: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Problem details (RFC 9457), with what a caller needs to mend the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: Annotated[str | UnsetType, Meta(description="Where, as a dotted path; `body` for all of it.")] = (
        UNSET
    )
    value: Annotated[Any, Meta(description="What was sent there, or its beginning.")] = UNSET
    allowed: Annotated[str | UnsetType, Meta(description="What may be sent there, in words.")] = UNSET
    reason: Annotated[str | UnsetType, Meta(description="With 429: which limit refused the request.")] = UNSET
