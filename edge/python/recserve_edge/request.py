"""What a caller asks for, checked before anybody is asked: edge and cloud refuse the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from recserve_edge.errors import InvalidRequest

ItemId: TypeAlias = int | str
MAX_K = 100
MAX_HISTORY = 1000
MAX_ID_CHARACTERS = 256
MAX_DEADLINE_MS = 60_000.0
CONDITIONS = {"genres": 100, "item_ids": 1000}
"Lists that a filter's condition may hold, and how long they may be."
YEARS = ("min_year", "max_year")
CLOUD_RULES = ("pins", "boosts", "diversity", "exploration", "freshness_half_life_years", "explain")
"Rules that only the cloud can follow."


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question, as `POST /api/recommend` knows it.

    Args:
        history: item ids, oldest first; None or empty: what the device knows of the user.
        user_id: your own id of the user; None: nobody in particular.
        k: items, 1 to 100.
        filters: `allow` and `deny`, which edge and cloud both follow.
        rules: pins, boosts, diversity, ... as the service has them; edge follows `filters` among them only.
        exclude_seen: whether items of the history stay out; None: as the models were learned.
        deadline_ms: how long the cloud may take; None: as the client is set.

    Raises:
        InvalidRequest: a value is not allowed.
    """

    history: Sequence[ItemId] | None = None
    user_id: str | None = None
    k: int = 10
    filters: Mapping[str, Any] | None = None
    rules: Mapping[str, Any] = field(default_factory=dict)
    exclude_seen: bool | None = None
    deadline_ms: float | None = None

    def __post_init__(self) -> None:
        if not _is_integer(self.k) or not 1 <= self.k <= MAX_K:
            raise InvalidRequest(f"k: {self.k!r} is not allowed; send an integer from 1 to {MAX_K}")
        if self.user_id is not None:
            require_id("user_id", self.user_id, kinds=(str,))
        if self.history is not None:
            _require_history(self.history)
        if not isinstance(self.rules, Mapping):
            raise InvalidRequest(
                f"rules: {self.rules!r} is not allowed; send an object such as {{'pins': []}}"
            )
        if self.filters is not None and self.rules.get("filters") is not None:
            raise InvalidRequest("filters were sent twice, beside `rules` and in it; send them once")
        if self.effective_filters is not None:
            _require_filters(self.effective_filters)
        if self.exclude_seen is not None and not isinstance(self.exclude_seen, bool):
            raise InvalidRequest(f"exclude_seen: {self.exclude_seen!r} is not allowed; send true or false")
        if self.deadline_ms is not None and not 0 < self.deadline_ms <= MAX_DEADLINE_MS:
            raise InvalidRequest(
                f"deadline_ms: {self.deadline_ms!r} is not allowed; "
                f"send milliseconds, more than 0 and at most {MAX_DEADLINE_MS:g}"
            )

    @property
    def effective_filters(self) -> Mapping[str, Any] | None:
        """The filters, wherever they were sent."""
        return self.filters if self.filters is not None else self.rules.get("filters")

    @property
    def needs_cloud_rules(self) -> bool:
        """Whether a rule asks for what edge cannot do."""
        return any(self.rules.get(name) for name in CLOUD_RULES)

    def body(self, history: Sequence[ItemId]) -> dict[str, Any]:
        """The request as the service reads it.

        Args:
            history: what is sent as such, oldest first.
        """
        body: dict[str, Any] = {"k": self.k}
        if self.user_id is not None:
            body["user_id"] = self.user_id
        if history or self.user_id is None:
            body["history"] = list(history[-MAX_HISTORY:])
        rules = dict(self.rules)
        if self.filters is not None:
            rules["filters"] = self.filters
        if rules:
            body["rules"] = rules
        if self.exclude_seen is not None:
            body["exclude_seen"] = self.exclude_seen
        return body


def require_id(name: str, value: object, *, kinds: tuple[type, ...] = (int, str)) -> None:
    """Refuse what is no id.

    Raises:
        InvalidRequest: it is of another type, empty or too long.
    """
    if isinstance(value, bool) or not isinstance(value, kinds):
        allowed = "text" if kinds == (str,) else "an integer or text"
        raise InvalidRequest(f"{name}: {value!r} is not allowed; send {allowed}")
    if isinstance(value, str) and not 1 <= len(value) <= MAX_ID_CHARACTERS:
        raise InvalidRequest(
            f"{name}: text of {len(value)} characters is not allowed; send 1 to {MAX_ID_CHARACTERS}"
        )


def _require_history(history: object) -> None:
    if not isinstance(history, Sequence) or isinstance(history, str):
        raise InvalidRequest(f"history: {history!r} is not allowed; send a list of item ids, oldest first")
    if len(history) > MAX_HISTORY:
        raise InvalidRequest(f"history: {len(history)} items are not allowed; send the newest {MAX_HISTORY}")
    for place, item_id in enumerate(history):
        require_id(f"history[{place}]", item_id)


def _require_filters(filters: object) -> None:
    if not isinstance(filters, Mapping):
        raise InvalidRequest(f"filters: {filters!r} is not allowed; send an object of allow, deny")
    for name, conditions in filters.items():
        if name not in ("allow", "deny"):
            raise InvalidRequest(f"filters: unknown field {name!r}; known: allow, deny")
        _require_conditions(f"filters.{name}", conditions)


def _require_conditions(name: str, conditions: object) -> None:
    known = ", ".join((*CONDITIONS, *YEARS))
    if not isinstance(conditions, Mapping) or not conditions:
        raise InvalidRequest(f"{name}: {conditions!r} is not allowed; send at least one of {known}")
    for field_name, value in conditions.items():
        if field_name in CONDITIONS:
            longest = CONDITIONS[field_name]
            if not isinstance(value, Sequence) or isinstance(value, str) or not 1 <= len(value) <= longest:
                raise InvalidRequest(
                    f"{name}.{field_name}: {value!r} is not allowed; send a list of 1 to {longest}"
                )
            for place, entry in enumerate(value):
                kinds = (str,) if field_name == "genres" else (int, str)
                require_id(f"{name}.{field_name}[{place}]", entry, kinds=kinds)
        elif field_name in YEARS:
            if not _is_integer(value) or not 0 <= value <= 9999:
                raise InvalidRequest(
                    f"{name}.{field_name}: {value!r} is not allowed; send an integer from 0 to 9999"
                )
        else:
            raise InvalidRequest(f"{name}: unknown field {field_name!r}; known: {known}")
    if conditions.get("min_year", 0) > conditions.get("max_year", 9999):
        raise InvalidRequest(
            f"{name}: min_year {conditions['min_year']} is after max_year {conditions['max_year']}; swap them"
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
