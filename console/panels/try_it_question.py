"""Whom to recommend to: films or a user, in the controls and in the address."""

from collections import Counter
from collections.abc import Mapping

import streamlit as st

from console.api_values import CatalogueItem, ItemId, Question
from console.links import MAX_FILMS, MAX_K, MAX_USER_ID_LENGTH, read_link, write_link

BY_FILMS, BY_USER = "By films", "By user id"


def choose(catalogue: Mapping[ItemId, CatalogueItem]) -> Question | None:
    """The controls; None while nothing is chosen. The URL follows them."""
    if "mode" not in st.session_state:
        _start_from_link(catalogue)
    mode = st.segmented_control(
        "Ask",
        [BY_FILMS, BY_USER],
        key="mode",
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    by_user = mode == BY_USER
    if by_user:
        user_id = st.text_input(
            "User id",
            key="user",
            placeholder="ana",
            max_chars=MAX_USER_ID_LENGTH,
            help="Your own id of the user. `make run` loads a few: `ana` is one.",
            persist_state="session",
        ).strip()
        history: list[ItemId] = []
    else:
        user_id = ""
        history = _choose_films(catalogue)
    k = st.slider("How many", 1, MAX_K, key="k", persist_state="session")
    question = Question(history=tuple(history), user_id=user_id, k=k)
    if (link := write_link(question, by_user=by_user)) != st.query_params.to_dict():
        st.query_params.from_dict(link)
    return question if user_id or history else None


def _choose_films(catalogue: Mapping[ItemId, CatalogueItem]) -> list[ItemId]:
    """The chosen films; those that a newer catalogue lacks are no longer chosen."""
    st.session_state["films"] = [film for film in st.session_state["films"] if film in catalogue]
    n_with_title = Counter(item.title for item in catalogue.values())

    def label(item_id: ItemId) -> str:
        title = catalogue[item_id].title
        return title if n_with_title[title] == 1 else f"{title} · {item_id}"

    return st.multiselect(
        "Films, oldest first",
        list(catalogue),
        key="films",
        format_func=label,
        max_selections=MAX_FILMS,
        select_all=False,
        filter_mode="contains",
        wrap=True,
        placeholder="Type a title",
        help="The order counts: the film added last tells most about what comes next.",
        persist_state="session",
    )


def _start_from_link(catalogue: Mapping[ItemId, CatalogueItem]) -> None:
    """Set the controls of a session that begins to what its URL asks for."""
    link = read_link(st.query_params, list(catalogue))
    for complaint in link.complaints:
        st.warning(complaint, icon=":material/link_off:")
    st.session_state["mode"] = BY_USER if link.by_user else BY_FILMS
    st.session_state["films"] = list(link.question.history)
    st.session_state["user"] = link.question.user_id
    st.session_state["k"] = link.question.k
