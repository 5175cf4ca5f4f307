"""Try it: ask the live API for recommendations, and see the answer and where its time went."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

import streamlit as st

from console.api import (
    Address,
    Answer,
    Api,
    ApiError,
    CatalogueItem,
    Event,
    EventKind,
    ItemId,
    Question,
    ScoredItem,
    read_address,
)
from console.charts.answers import moves, phase_bar, ranked, what_changed
from console.links import MAX_FILMS, MAX_K, MAX_USER_ID_LENGTH, read_link, write_link
from console.page import current_palette
from console.pieces import anchor
from console.scope import Selection, link_to, resolve
from console.settings import settings

MAX_OPTIONS = 10_000
CATALOGUE_TTL_S = 300
SLOW_MS = 1000.0
"From here on, an answer's time deserves a sentence."

BY_FILMS, BY_USER = "By films", "By user id"
DEEDS: Mapping[EventKind, tuple[str, str]] = {
    "view": ("Watched", ":material/visibility:"),
    "add": ("Liked", ":material/favorite:"),
}
"What a user can do with an item, by the kind of event that tells it."
TRACE_WITHIN = timedelta(minutes=5)
"Of the answer, either way: what its trace's link covers."

BASES = {
    "history": "Personalised from {whom}.",
    "unknown_user": "No history is stored under this user id, so these are the most popular films: "
    "what every newcomer is shown.",
    "empty_history": "Nothing is known about this person's taste, so these are the most popular films.",
    "overload": "The service has too much to do at this moment, so these are the most popular films.",
    "no_known_items": "The catalogue holds none of the films in this history, so these are the most "
    "popular ones.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A list that was shown, and the one before it."""

    question: Question
    items: tuple[ScoredItem, ...]
    before: tuple[ScoredItem, ...] | None = None
    "None where the list before was for somebody else, or of another length."
    deed: str = ""
    "What was done in between, if it was done here."


def show() -> None:
    """Draw the view."""
    by_user = st.session_state.get("mode") == BY_USER or (
        "mode" not in st.session_state and "user" in st.query_params
    )
    st.title(
        "What would you recommend to this user?"
        if by_user
        else "What would you recommend to somebody who liked …?",
        anchor=False,
    )
    try:
        address = read_address(os.environ)
        api = connect(address)
        catalogue = read_catalogue(address, api)
    except ApiError as err:
        show_error(err)
        return
    with st.container(key="room"):  # style.css lays the three parts out
        with st.container(key="question"):
            question = choose(catalogue)
        with st.container(key="answer"):
            answer = show_answer(api, question, catalogue)
        with st.container(key="making"):
            if answer is not None:
                show_timing(answer)
                show_trace_link(answer)
            if question is not None:
                with st.expander("Call it yourself", icon=":material/terminal:"):
                    st.code(api.curl(question), language="bash", wrap_lines=True)


@st.cache_resource(show_spinner=False)
def connect(address: Address) -> Api:
    return Api(address)


@st.cache_data(ttl=CATALOGUE_TTL_S, show_spinner="Reading the catalogue …")
def read_catalogue(address: Address, _api: Api) -> dict[ItemId, CatalogueItem]:
    """The catalogue by id, the most popular item first."""
    _api.check_ready()
    return {item.id: item for item in _api.catalogue(MAX_OPTIONS)}


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


def show_answer(
    api: Api, question: Question | None, catalogue: Mapping[ItemId, CatalogueItem]
) -> Answer | None:
    """Ask, and show what comes back; None when there is nothing to ask or no answer."""
    if question is None:
        if st.session_state["mode"] == BY_USER:
            st.info("Type a user id and press Enter.", icon=":material/person_search:")
        else:
            st.info("Pick at least one film.", icon=":material/movie:")
        return None
    try:
        with st.spinner("Asking the API …", show_time=True):
            answer = api.recommend(question)
    except ApiError as err:
        show_error(err)
        return None
    st.subheader(
        "Recommended",
        anchor=False,
        help="Each bar is the score relative to the best one. Scores are comparable within one answer only.",
    )
    whom = "this user's history" if question.user_id else "the films you chose"
    remarks = " ".join([BASES.get(answer.basis, "").format(whom=whom), *_remarks(answer)])
    st.caption(f"{remarks}  \nModel **{answer.variant}**, version {answer.version}")
    shown = _remember(question, answer.items)
    _say_changes(shown)
    _list_items(api, question, answer, catalogue, shown.before)
    return answer


def _remember(question: Question, items: tuple[ScoredItem, ...]) -> Shown:
    """Keep what is shown, beside the list before it if both are for the same person."""
    last: Shown | None = st.session_state.get("shown")
    deed = st.session_state.pop("deed", "")
    same_person = (
        last is not None and last.question.user_id == question.user_id and last.question.k == question.k
    )
    if last is None or not same_person:
        shown = Shown(question, items)
    elif deed or _ids(last.items) != _ids(items):
        shown = Shown(question, items, last.items, deed)
    else:
        shown = Shown(question, items, last.before, last.deed)
    st.session_state["shown"] = shown
    return shown


def _say_changes(shown: Shown) -> None:
    if "event_refused" in st.session_state:
        err: ApiError = st.session_state.pop("event_refused")
        st.warning(f"**{err.what}**  \n{err.remedy}", icon=":material/sync_problem:")
        if err.detail:
            st.text(f"The API says: {err.detail}")
        return
    if st.session_state.pop("event_deferred", False):
        st.warning(
            "The event is kept, but the store of histories does not answer: the list may not show it yet.",
            icon=":material/schedule:",
        )
    if shown.before is not None:
        changed = what_changed(shown.before, shown.items)
        said = f"<strong>{escape(shown.deed)}:</strong> {escape(changed)}" if shown.deed else escape(changed)
        st.html(f'<p class="changed" role="status">{said[:1].upper() + said[1:]}</p>')


def _list_items(
    api: Api,
    question: Question,
    answer: Answer,
    catalogue: Mapping[ItemId, CatalogueItem],
    before: Sequence[ScoredItem] | None,
) -> None:
    """The items, each with what the user can do with it."""
    best = max((item.score for item in answer.items), default=0.0)
    how = moves(_ids(before), _ids(answer.items)) if before is not None else [None] * len(answer.items)
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
                            f"{deed} {item.title}",
                            icon=icon,
                            type="tertiary",
                            key=f"{kind}-{item.id}",
                            help=f"{deed} it: tell the API, and see the next list",
                            on_click=_tell,
                            args=(api, question.user_id, item, kind, answer.recommendation_id),
                        )
                else:
                    st.button(
                        f"Liked {item.title}",
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


def _ids(items: Sequence[ScoredItem]) -> list[ItemId]:
    return [item.id for item in items]


def _remarks(answer: Answer) -> list[str]:
    """What else a reader of the answer should know, a sentence each."""
    remarks = []
    if not answer.items:
        remarks.append("No film is left to recommend.")
    if answer.n_unknown_items:
        lost = "item of the history is" if answer.n_unknown_items == 1 else "items of the history are"
        remarks.append(f"{answer.n_unknown_items} {lost} not in the catalogue.")
    if answer.cold_start:
        remarks.append("Cold start: this question met a process that was not warm yet.")
    if answer.round_trip_ms >= SLOW_MS:
        seconds = answer.round_trip_ms / 1e3
        share = f", {answer.server_ms / 1e3:.1f} s of it in the server" if answer.phases else ""
        remarks.append(f"This took {seconds:.1f} s{share}.")
    return remarks


def show_timing(answer: Answer) -> None:
    """How long the answer took, and what the server did in its part of that time."""
    st.subheader("Where the time went", anchor=False)
    round_trip, server, elsewhere = st.columns(3)
    round_trip.metric(
        "Round trip",
        f"{answer.round_trip_ms:.1f} ms",
        help="From sending the question to having read the whole answer, measured by this console.",
    )
    if not answer.phases:
        st.caption("The answer has no `server-timing` header, so the server's part of it is unknown.")
        return
    server.metric(
        "In the app",
        f"{answer.server_ms:.1f} ms",
        help="The sum of the phases below, from the answer's `server-timing` header.",
    )
    elsewhere.metric(
        "On the way",
        f"{max(answer.round_trip_ms - answer.server_ms, 0):.1f} ms",
        help="The rest: network, Functions host, and this console's own HTTP client.",
    )
    st.altair_chart(phase_bar(answer.phases, current_palette()), width="stretch")


def show_trace_link(answer: Answer) -> None:
    """Where telemetry tells what happened in this answer; nothing where there is no telemetry."""
    sources = settings().sources
    if not sources or not answer.trace_id:
        return
    now = datetime.now(UTC)
    around = Selection(since=now - TRACE_WITHIN, until=now + TRACE_WITHIN)
    link = link_to("trace", resolve(around, sources, now), trace=answer.trace_id)
    st.html(
        f'<p class="trace-of-answer">{anchor("Open the trace of this answer", link)}: every phase, and its '
        "instance at that moment. Telemetry has it after some seconds, in Azure after a few minutes.</p>"
    )


def show_error(err: ApiError) -> None:
    """What happened, what to do, and the API's own words as plain text."""
    message = f"**{err.what}**  \n{err.remedy}"
    if err.is_temporary:
        st.warning(message, icon=":material/sync_problem:")
    else:
        st.error(message, icon=":material/error:")
    if err.detail:
        st.text(f"The API says: {err.detail}")
    if err.is_temporary:
        st.button("Ask again", icon=":material/refresh:")
