"""From a mark of a chart to the requests behind it: the slowest of one instance in one interval."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

import streamlit as st

from console.asking import Answer, Question, ask
from console.charts.requests import wait_table
from console.failures import Failure
from console.formats import between
from console.page import Click, Region, say
from console.pieces import anchor
from console.scope import Scope, link_to

N_ROWS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """One instance in one interval."""

    instance: str
    since: datetime


def clicked_place(touched: Click | Region | None, *, instance_at: int, start_at: int) -> Place | None:
    """What a clicked mark stands for, told from its value; None where nothing was clicked, or something else.

    Args:
        instance_at: where in the value the instance is.
        start_at: where in it the interval's start is, milliseconds since the epoch.
    """
    if not isinstance(touched, Click) or not isinstance(touched.value, list):
        return None
    try:
        instance, start_ms = touched.value[instance_at], touched.value[start_at]
        return Place(str(instance), datetime.fromtimestamp(float(start_ms) / 1000, UTC))
    except (IndexError, TypeError, ValueError, OverflowError, OSError):
        return None


def show_requests_behind(place: Place, scope: Scope, width: timedelta) -> None:
    """The slowest requests of a place, each a link to its trace, and the place in other views."""
    until = place.since + width
    asked = ask(
        scope, since=place.since, until=until, slow=Question("slow_requests", instance_name=place.instance)
    )
    answer = asked["slow"]
    if answer.failure is not None and answer.is_failed:
        say(answer.failure, compact=True)
        return
    st.html(
        f'<p class="rs-behind"><strong>{escape(place.instance)}, {between(place.since, until)} UTC</strong>'
        + "".join(
            anchor(words, link_to(view, scope, since=place.since, until=until))
            for view, words in (("latency", "latency then"), ("contention", "contention then"))
        )
        + "</p>"
    )
    if answer.has_rows:
        st.html(wait_table(scope, answer.table, most=N_ROWS, label="Slowest requests of the interval"))
    else:
        say("No request of this instance was kept in that interval.", compact=True)


def failure_of_all(answers: dict[str, Answer]) -> Failure | None:
    """Why none of the questions was answered: said once, not in every panel. None where one was."""
    failures = [answer.failure for answer in answers.values() if answer.is_failed]
    return failures[0] if len(failures) == len(answers) else None
