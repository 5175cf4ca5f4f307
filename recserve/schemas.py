"""What travels over HTTP. OpenAPI is generated from these types, so each says its bounds."""

from typing import Annotated, Any, Literal

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


class RecommendRequest(Request, frozen=True):
    """Whom to recommend to: a user we know, the items they liked, or both (`history` is then the newer)."""

    user_id: UserId | UnsetType = UNSET
    history: (
        Annotated[
            list[ItemId],
            Meta(max_length=1000, description="Items the user interacted with, oldest first, newest last."),
        ]
        | UnsetType
    ) = UNSET
    k: Count = 10

    def __post_init__(self) -> None:
        if self.user_id is UNSET and self.history is UNSET:
            raise ValueError("neither `user_id` nor `history` was sent; send one or both")


class RecommendUserRequest(Request, frozen=True):
    """Recommend to a user we know."""

    user_id: UserId
    k: Count = 10

    def full(self) -> RecommendRequest:
        return RecommendRequest(user_id=self.user_id, k=self.k)


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
    score: Annotated[float, Meta(description="Higher is better; comparable within one answer only.")]


class ModelRef(msgspec.Struct, frozen=True):
    variant: Annotated[str, Meta(description="Rung of the model ladder that answered.")]
    version: Annotated[str, Meta(description="Version of the models directory.")]


Basis = Literal["history", "unknown_user", "empty_history", "no_known_items", "overload"]


class Recommendations(msgspec.Struct, frozen=True, kw_only=True):
    recommendation_id: Annotated[str, Meta(description="Unique to this answer; quote it in feedback.")]
    items: list[ScoredItem]
    model: ModelRef
    basis: Annotated[
        Basis,
        Meta(
            description="`history`: personalised from the items given or stored. Anything else: these are "
            "popular items, because the user is unknown, the history is empty, the catalogue knows none of its "
            "items, or the process has too much to do."
        ),
    ]
    n_unknown_items: Annotated[
        int, Meta(ge=0, description="History items that the catalogue lacks; dropped.")
    ]
    cold_start: Annotated[bool, Meta(description="This request met a process that was not warm yet.")]


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


class Models(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    dataset: str
    licence: str
    n_items: int
    serving: Annotated[list[str], Meta(description="Variants that answer; the first is the default.")]
    ladder: Annotated[list[ModelVariant], Meta(description="From best to cheapest.")]


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
