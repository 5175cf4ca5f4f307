"""Around every view: navigation, who may look, the global bar, the status line and the refresh."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import streamlit as st

from console.access import check_access
from console.asking import Question, ask
from console.bar import begin_run, refresh_s, remember_names, show_bar, take_link
from console.page import say
from console.palette import css_variables
from console.scope import Scope
from console.settings import SettingsError, Source, settings
from console.status import LOOK_BACK, Coverage, Remark, ask_coverage, badges, failed, read_coverage, remark

CONSOLE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class View:
    """A page: `console/views/<name>.py` with its `show`, which may give a `Remark` for the status line."""

    name: str
    title: str
    has_bar: bool = True
    "It is about telemetry, and so about what the bar says."

    @property
    def exists(self) -> bool:
        return find_spec(f"console.views.{self.name}") is not None


def run(views: Sequence[View]) -> None:
    """Draw the page that the address names, in its shell."""
    st.html(f"<style>{css_variables()}{_styles()}</style>")
    listed = [view for view in views if view.exists]
    # The first page is at the root; who writes its name into the address means it too.
    first, *others = listed
    pages = [_page(first, is_root=True), *map(_page, others), _page(first, is_hidden=True)]
    page = st.navigation(pages, position="top")
    view = next(view for view in listed if view.title == page.title)
    try:
        configured = settings()
    except SettingsError as err:
        say(f"{err}.", "bad")
        return
    if not check_access(configured):
        return
    # Here and not in the page: what the entry point draws keeps its state, and its part of the address, when
    # another page is chosen.
    if view.has_bar:
        take_link(configured.sources, page=view.name)
        show_bar(configured.sources)
    page.run()


def _page(view: View, *, is_root: bool = False, is_hidden: bool = False) -> st.Page:
    def show() -> None:
        module = import_module(f"console.views.{view.name}")
        if view.has_bar:
            _show_telemetry(settings().sources, module.show)
        else:
            module.show()

    return st.Page(
        show,
        title=view.title,
        url_path="root" if is_root else view.name.replace("_", "-"),  # every page needs a name of its own
        default=is_root,
        visibility="hidden" if is_hidden else "visible",
    )


def _show_telemetry(sources: tuple[Source, ...], show: Callable[[], Remark | None]) -> None:
    @st.fragment(run_every=refresh_s())
    def body() -> None:
        scope = begin_run(sources)
        status = st.container(key="status")
        pending = ask_coverage(scope)
        said = show()
        with status:
            answer = pending.result()
            if answer.failure is not None and answer.is_failed:
                st.html(failed(answer.failure))
            else:
                coverage = read_coverage(answer)
                remember_names(scope, coverage)
                _show_status(scope, coverage, answer.asked_at, said)

    body()


def _show_status(scope: Scope, coverage: Coverage, asked_at: datetime, said: Remark | None) -> None:
    """Draw the status line.

    Args:
        said: what the view itself remarks on the range, in the place of what the line would.
    """
    now = datetime.now(UTC)
    latest = coverage
    if coverage.is_empty and said is None:
        asked = ask(scope, since=scope.until - LOOK_BACK, until=now, latest=Question("coverage"))
        latest = read_coverage(asked["latest"])
    st.html(badges(scope, coverage, asked_at=asked_at))
    said = said or remark(scope, coverage, latest, now=now)
    if said is not None:
        sentence, tone = said
        st.html(f'<div class="rs-say rs-compact rs-{tone}" role="status"><p>{sentence}</p></div>')


@st.cache_data(show_spinner=False, ttl=None)
def _read_styles(paths: tuple[tuple[str, float], ...]) -> str:
    return "\n".join(Path(path).read_text() for path, _ in paths)


def _styles() -> str:
    files = [CONSOLE / "style.css", *sorted((CONSOLE / "styles").glob("*.css"))]
    return _read_styles(tuple((str(path), path.stat().st_mtime) for path in files))
