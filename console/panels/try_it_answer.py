"""What the API recommends, what it rests on, and what changed since the list before."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import streamlit as st

from console.api import Api, ApiError
from console.api_values import Answer, CatalogueItem, ItemId, Question, ScoredItem
from console.charts.answers import what_changed
from console.formats import as_markdown
from console.panels.try_it_failure import show_error
from console.panels.try_it_items import ids_of, show_items
from console.panels.try_it_question import BY_USER

SLOW_MS = 1000.0
"From here on, an answer's time deserves a sentence."
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
    st.caption(f"{remarks}  \nModel **{as_markdown(answer.variant)}**, version {as_markdown(answer.version)}")
    shown = _remember(question, answer.items)
    _say_changes(shown)
    show_items(api, question, answer, catalogue, shown.before)
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
    elif deed or ids_of(last.items) != ids_of(items):
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
