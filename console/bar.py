"""The global bar: which workspace, which time, which variant and version, how often to look again.

Its widgets are bound to query parameters, so that the address of a view is a link to what it shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import streamlit as st

from console.page import say
from console.scope import (
    DEFAULT_RANGE,
    DEFAULT_REFRESH,
    LONGEST,
    RANGES,
    REFRESHES,
    SHORTEST,
    Scope,
    Selection,
    floor_to_step,
    read_params,
    resolve,
    write_moment,
)
from console.settings import Source
from console.status import Coverage, ask_coverage, read_coverage

ALL = ""
BOUND = ("range", "variant", "version", "refresh")
_ABSOLUTE, _SCOPE, _RELOADED, _PAGE = "_absolute", "_scope", "_reloaded_at", "_page"


def current_scope() -> Scope:
    """What the view that runs is about."""
    scope: Scope = st.session_state[_SCOPE]
    return scope


def set_range(since: datetime, until: datetime) -> None:
    """Show another time range, from the next run on, which begins at once."""
    _choose_absolute(since, until)
    st.rerun(scope="app")


def take_link(sources: tuple[Source, ...], *, page: str) -> None:
    """Read what the address says, before the widgets that are bound to it; say what of it cannot be used."""
    params = st.query_params.to_dict()
    selection, complaints = read_params(params, sources, datetime.now(UTC))
    for complaint in complaints:
        say(complaint, "warn", compact=True)
    if "from" in params or "to" in params:
        if selection.since is not None and selection.until is not None:
            st.session_state[_ABSOLUTE] = (selection.since, selection.until)
        else:
            _forget_absolute()
    elif st.session_state.get(_ABSOLUTE) is not None:
        _choose_absolute(*st.session_state[_ABSOLUTE])
    if st.session_state.get(_PAGE) != page and _SCOPE in st.session_state:
        _restore(current_scope().selection, params)
    st.session_state[_PAGE] = page


def _restore(chosen: Selection, params: Mapping[str, str]) -> None:
    """Give the widgets what was chosen on the page before, unless the address says otherwise."""
    for name in ("source", *BOUND):
        value = getattr(chosen, name)
        if value and name not in params:
            st.session_state[name] = value


def begin_run(sources: tuple[Source, ...]) -> Scope:
    """The scope of the run that begins; `current_scope` gives the same until the next."""
    selection = _selection()
    now = floor_to_step(datetime.now(UTC), selection.refresh)
    reloaded_at = st.session_state.get(_RELOADED)
    scope = resolve(selection, sources, max(now, reloaded_at) if reloaded_at else now)
    st.session_state[_SCOPE] = scope
    return scope


def show_bar(sources: tuple[Source, ...]) -> None:
    """Draw the bar."""
    scope = begin_run(sources)
    names = _names_of(scope)
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        if len(sources) > 1:
            st.selectbox(
                "Workspace",
                [source.name for source in sources],
                key="source",
                label_visibility="collapsed",
                icon=":material/database:",
                width=190,
                bind="query-params",
            )
        _show_range(scope)
        for name, icon in (("variant", ":material/layers:"), ("version", ":material/tag:")):
            _show_choice(name, names.get(name, ()), scope, icon=icon)
        with st.container(
            key="bar-refresh",
            horizontal=True,
            horizontal_alignment="right",
            vertical_alignment="center",
            gap="xsmall",
        ):
            st.segmented_control(
                "Refresh",
                list(REFRESHES),
                key="refresh",
                default=DEFAULT_REFRESH,
                required=True,
                label_visibility="collapsed",
                bind="query-params",
                help="How often the page looks again by itself.",
            )
            if st.button("Look again", icon=":material/refresh:", key="reload", type="tertiary"):
                st.session_state[_RELOADED] = datetime.now(UTC)
    begin_run(sources)


def remember_names(scope: Scope, coverage: Coverage) -> None:
    """Keep what answered, for the bars that are drawn from now on."""
    if not coverage.is_empty:
        _known_names()[scope.workspace] = {"variant": coverage.variants, "version": coverage.versions}


def refresh_s() -> int | None:
    """Seconds between two looks; None for never."""
    return REFRESHES[_selection().refresh]


def _selection() -> Selection:
    """What the widgets say, and where there are none yet, the link."""
    state, params = st.session_state, st.query_params
    chosen = {name: state.get(name) or params.get(name, "") for name in BOUND}
    selection, _ = read_params(
        {name: value for name, value in chosen.items() if value}, (), datetime.now(UTC)
    )
    since, until = state.get(_ABSOLUTE) or (None, None)
    return replace(
        selection, source=state.get("source") or params.get("source", ""), since=since, until=until
    )


def _show_choice(name: str, known: Sequence[str], scope: Scope, *, icon: str) -> None:
    """A list of what answered lately, and of what the link names: links outlive ranges."""
    params = {name: st.query_params.get(name, "") or st.session_state.get(name, ALL)}
    linked, _ = read_params(params, (), scope.as_of)
    options: list[str] = [ALL, *sorted({*known, getattr(linked, name)} - {ALL})]

    def label(value: str) -> str:
        return value or f"All {name}s"

    st.selectbox(
        name.capitalize(),
        options,
        key=name,
        format_func=label,
        label_visibility="collapsed",
        icon=icon,
        width=190,
        bind="query-params",
    )


def _show_range(scope: Scope) -> None:
    with st.popover(scope.label, icon=":material/schedule:", key="bar-range", width="content"):
        st.segmented_control(
            "Until now",
            list(RANGES),
            key="range",
            default=DEFAULT_RANGE,
            required=True,
            on_change=_forget_absolute,
            bind="query-params",
        )
        if scope.selection.is_absolute:
            st.button("Until now again", icon=":material/update:", on_click=_forget_absolute)
        with st.form("absolute", border=False):
            st.caption("From – to, UTC")
            since = _pick("From", scope.since)
            until = _pick("To", scope.until)
            if st.form_submit_button("Show this range", type="primary"):
                if not SHORTEST <= until - since <= LONGEST:
                    say(f"`To` is a second to {LONGEST.days} days after `From`.", "warn", compact=True)
                else:
                    set_range(since, until)


def _pick(label: str, at: datetime) -> datetime:
    day_column, time_column = st.columns(2, wrap=False)
    day: Any = day_column.date_input(label, at.date(), key=f"{label}-day-{at:%Y%m%d}")
    of_day = time_column.time_input(
        f"{label}, time of day",
        time(at.hour, at.minute),
        step=timedelta(minutes=1),
        label_visibility="hidden",
        key=f"{label}-time-{at:%H%M}",
    )
    assert isinstance(day, date)
    return datetime.combine(day, of_day or time(), UTC)


def _choose_absolute(since: datetime, until: datetime) -> None:
    st.session_state[_ABSOLUTE] = (since, until)
    st.query_params["from"] = write_moment(since)
    st.query_params["to"] = write_moment(until)


def _forget_absolute() -> None:
    st.session_state[_ABSOLUTE] = None
    for name in ("from", "to"):
        st.query_params.pop(name, None)


@st.cache_resource(show_spinner=False)
def _known_names() -> dict[Source | None, dict[str, tuple[str, ...]]]:
    """Variants and versions that answered in a range that somebody has looked at last, by workspace."""
    return {}


def _names_of(scope: Scope) -> Mapping[str, Sequence[str]]:
    """Variants and versions of the workspace; none where that cannot be told.

    A bar that waited for those of its own range would keep all of the page waiting: only the first does.
    """
    if scope.workspace not in _known_names():
        remember_names(scope, read_coverage(ask_coverage(scope).result()))
    return _known_names().get(scope.workspace, {})
