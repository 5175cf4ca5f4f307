"""The items of an answer, and what a user can do with each."""

from collections.abc import Mapping, Sequence

import streamlit as st

from console.api import Api, ApiError
from console.api_values import Answer, CatalogueItem, Event, EventKind, ItemId, Question, ScoredItem
from console.charts.answers import moves, ranked
from console.formats import as_markdown
from console.links import MAX_FILMS

DEEDS: Mapping[EventKind, tuple[str, str]] = {
    "view": ("Watched", ":material/visibility:"),
    "add": ("Liked", ":material/favorite:"),
}
"What a user can do with an item, by the kind of event that tells it."


def show_items(
    api: Api,
    question: Question,
    answer: Answer,
    catalogue: Mapping[ItemId, CatalogueItem],
    before: Sequence[ScoredItem] | None,
) -> None:
    """The items, each with what the user can do with it."""
    best = max((item.score for item in answer.items), default=0.0)
    how = moves(ids_of(before), ids_of(answer.items)) if before is not None else [None] * len(answer.items)
    is_full = len(question.history) >= MAX_FILMS
    with st.container(key="ranking"):
        for rank, (item, move) in enumerate(zip(answer.items, how, strict=True), start=1):
            with st.container(
                key=f"ranked-{rank}", horizontal=True, vertical_alignment="center", gap="xxsmall"
            ):
                known = catalogue.get(item.id)
                st.html(ranked(rank, item, best, genres=known.genres if known else (), move=move))
                if question.user_id:
                    for kind, (deed, icon) in DEEDS.items():
                        st.button(
                            f"{deed} {as_markdown(item.title)}",
                            icon=icon,
                            type="tertiary",
                            key=f"{kind}-{item.id}",
                            help=f"{deed} it: tell the API, and see the next list",
                            on_click=_tell,
                            args=(api, question.user_id, item, kind, answer.recommendation_id),
                        )
                else:
                    st.button(
                        f"Liked {as_markdown(item.title)}",
                        icon=DEEDS["add"][1],
                        type="tertiary",
                        key=f"liked-{item.id}",
                        help=f"{MAX_FILMS} films are chosen already; take one away first"
                        if is_full
                        else "Liked it: add it to the films, and see the next list",
                        disabled=is_full or item.id not in catalogue,
                        on_click=_add_film,
                        args=(item,),
                    )


def ids_of(items: Sequence[ScoredItem]) -> list[ItemId]:
    """In their order."""
    return [item.id for item in items]


def _tell(api: Api, user_id: str, item: ScoredItem, kind: EventKind, recommendation_id: str) -> None:
    """Post what the user did; the run that follows asks for the next list."""
    event = Event(user_id=user_id, item_id=item.id, kind=kind, recommendation_id=recommendation_id)
    try:
        st.session_state["event_deferred"] = not api.record(event)
    except ApiError as err:
        st.session_state["event_refused"] = err
        return
    st.session_state["deed"] = f"{DEEDS[kind][0]} {item.title}"


def _add_film(item: ScoredItem) -> None:
    """Nobody is named, so there is no event: the film joins those that are asked about."""
    st.session_state["films"] = [*st.session_state["films"], item.id]
    st.session_state["deed"] = f"{DEEDS['add'][0]} {item.title}"
