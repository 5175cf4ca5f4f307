"""The view "Try it", run by Streamlit without a browser: against the real service, and in every state."""

import json
import re
from collections.abc import Callable
from html import unescape

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from console.panels import try_it_answer, try_it_question
from tests.console.conftest import ANSWER, FILMS, OpenConsole, Reply, StandIn

Open = Callable[..., AppTest]


@pytest.fixture
def open_view(open_console: OpenConsole, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the view for an API, at a link."""

    def open_at(url: str, **link: str) -> AppTest:
        monkeypatch.setenv("RECSERVE_API_URL", url)
        return open_console("try_it", link=link)

    return open_at


def settle(app: AppTest) -> AppTest:
    """The app after a run, which never ends in a traceback."""
    assert not app.exception, app.exception[0].stack_trace
    return app


def titles(app: AppTest) -> list[str]:
    """Of the list that is shown, best first."""
    rows = (re.search(r'class="title">([^<]*)<', html.body) for html in app.html)
    return [row[1] for row in rows if row]


def marks(app: AppTest) -> list[str]:
    """How each item of the list got to its place; empty for one that stayed."""
    rows = [html.body for html in app.html if 'class="title"' in html.body]
    found = (re.search(r'class="move move-(\w+)"', row) for row in rows)
    return [mark[1] if mark else "" for mark in found]


def changed(app: AppTest) -> str:
    """What is said of the list before."""
    found = (re.search(r'class="changed"[^>]*>(.*)</p>', html.body) for html in app.html)
    return next((re.sub("<[^>]+>", "", said[1]) for said in found if said), "")


def said(app: AppTest) -> str:
    """All sentences on the screen."""
    elements = [*app.info, *app.warning, *app.error, *app.caption, *app.text]
    return "\n".join(element.value for element in elements)


def ask_again(app: AppTest) -> Button:
    (button,) = [button for button in app.button if button.label == "Ask again"]
    return button


def test_screen_is_alive_at_once(open_view: Open, service_url: str) -> None:
    app = open_view(service_url)

    assert app.title[0].value == "What would you recommend to somebody who liked …?"
    assert app.multiselect(key="films").value == [260, 1196, 1210]
    assert len(titles(app)) == 8
    assert "Personalised from the films you chose." in said(app)
    assert re.search(r"Model \*\*\w+\*\*, version \S+", said(app))
    assert not app.warning


def test_answer_shows_where_its_time_went(open_view: Open, service_url: str) -> None:
    app = open_view(service_url)

    times = {metric.label: float(metric.value.removesuffix(" ms")) for metric in app.metric}
    assert list(times) == ["Round trip", "In the app", "On the way"]
    assert times["Round trip"] == pytest.approx(times["In the app"] + times["On the way"], abs=0.11)
    assert app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")


def test_choosing_another_film_changes_answer_and_link(open_view: Open, service_url: str) -> None:
    app = open_view(service_url)
    before = titles(app)

    settle(app.multiselect(key="films").set_value([260, 1]).run())

    assert titles(app) != before
    assert app.query_params == {"items": "260,1", "k": "8"}


def test_answer_has_as_many_films_as_asked_for(open_view: Open, service_url: str) -> None:
    app = open_view(service_url)

    settle(app.slider(key="k").set_value(3).run())

    assert len(titles(app)) == 3
    assert app.query_params["k"] == "3"


def test_link_opens_what_it_names(open_view: Open, service_url: str) -> None:
    app = open_view(service_url, items="1,356", k="5")

    assert app.multiselect(key="films").value == [1, 356]
    assert len(titles(app)) == 5


def test_tampered_link_is_ignored_with_a_sentence(open_view: Open, service_url: str) -> None:
    app = open_view(service_url, items="260,**x**,<b>", k="1000")

    assert [warning.value for warning in app.warning] == [
        "The link asks for a number of films that is not between 1 and 20; here are 8.",
        "The catalogue lacks 2 of the 3 films in the link; the rest are shown.",
    ]
    assert len(titles(app)) == 8
    assert app.query_params == {"items": "260", "k": "8"}


def test_known_user_is_recommended_to_from_their_history(open_view: Open, service_url: str) -> None:
    app = open_view(service_url, user="ana", k="5")

    assert app.title[0].value == "What would you recommend to this user?"
    assert "Personalised from this user's history." in said(app)
    assert len(titles(app)) == 5


def test_unknown_user_is_explained(open_view: Open, service_url: str) -> None:
    app = open_view(service_url, user="nobody-of-this-name")

    assert "No history is stored under this user id, so these are the most popular films" in said(app)
    assert len(titles(app)) == 8


def test_switching_to_users_and_back_keeps_both_questions(open_view: Open, service_url: str) -> None:
    app = open_view(service_url, items="1,356", k="5")

    settle(app.segmented_control(key="mode").set_value(try_it_question.BY_USER).run())
    assert said(app) == "Type a user id and press Enter."
    settle(app.text_input(key="user").set_value(" ana ").run())
    assert app.query_params == {"user": "ana", "k": "5"}
    settle(app.segmented_control(key="mode").set_value(try_it_question.BY_FILMS).run())

    assert app.multiselect(key="films").value == [1, 356]
    assert app.query_params == {"items": "1,356", "k": "5"}


def test_switching_to_films_from_a_link_to_a_user_starts_with_the_example(
    open_view: Open, service_url: str
) -> None:
    app = open_view(service_url, user="ana")

    settle(app.segmented_control(key="mode").set_value(try_it_question.BY_FILMS).run())

    assert app.multiselect(key="films").value == [260, 1196, 1210]
    assert len(titles(app)) == 8


def test_nothing_chosen_asks_for_a_film_and_not_the_api(open_view: Open, stand_in: StandIn) -> None:
    app = open_view(stand_in.url, items="")

    assert said(app) == "Pick at least one film."
    assert not any(path.startswith("/api/recommend") for _, path, _, _ in stand_in.asked)


def test_call_can_be_copied(open_view: Open, stand_in: StandIn) -> None:
    app = open_view(stand_in.url, items="356", k="2")

    assert app.code[0].value.startswith(f"curl {stand_in.url}/recommend \\\n")
    assert """-d '{"history":[356],"k":2}'""" in app.code[0].value


def test_films_of_the_same_title_are_told_apart(open_view: Open, stand_in: StandIn) -> None:
    app = open_view(stand_in.url)

    assert app.multiselect(key="films").options[2:] == [
        "Heat & Dust <b>",
        "Heat (1995) · 593",
        "Heat (1995) · 594",
    ]


def test_film_that_a_newer_catalogue_lacks_is_no_longer_chosen(open_view: Open, stand_in: StandIn) -> None:
    app = open_view(stand_in.url, items="356,296")

    stand_in.replies["items"] = Reply({"total": 1, "items": FILMS[:1]})
    st.cache_data.clear()
    settle(app.run())

    assert app.multiselect(key="films").value == [356]
    assert app.query_params["items"] == "356"


def test_api_that_is_not_there_is_named_with_a_remedy(open_view: Open, nowhere: str) -> None:
    app = open_view(nowhere)

    assert f"No recommendation API answers at `{nowhere}`" in said(app)
    assert "Start one with `make run`, or set `RECSERVE_API_URL`" in said(app)
    assert not app.multiselect


def test_starting_api_is_asked_again_at_the_press_of_a_button(open_view: Open, stand_in: StandIn) -> None:
    ready = stand_in.replies["health/ready"]
    stand_in.replies["health/ready"] = Reply({"detail": "the process is still starting"}, 503)
    app = open_view(stand_in.url, items="356", k="2")
    assert "not ready to answer" in said(app)
    assert "The API says: the process is still starting" in said(app)

    stand_in.replies["health/ready"] = ready
    settle(ask_again(app).click().run())

    assert titles(app) == ["Heat (1995)", "Heat &amp; Dust &lt;b&gt;"]
    assert app.multiselect(key="films").value == [356]


def test_busy_api_says_when_to_ask_again(open_view: Open, stand_in: StandIn) -> None:
    stand_in.replies["recommend"] = Reply({"detail": "64 requests are in flight"}, 429, {"retry-after": "1"})

    app = open_view(stand_in.url)

    assert "turned this question away.**  \nAsk again in 1 s." in said(app)
    assert app.multiselect(key="films").value
    assert ask_again(app)


def test_refusal_is_shown_as_the_plain_text_it_is(open_view: Open, stand_in: StandIn) -> None:
    stand_in.replies["recommend"] = Reply({"detail": "**no** [link](http://x)"}, 400)

    app = open_view(stand_in.url)

    assert app.text[0].value == "The API says: **no** [link](http://x)"
    assert not app.button


def test_slow_answer_is_remarked_on(
    open_view: Open, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_it_answer, "SLOW_MS", 50.0)
    stand_in.replies["recommend"] = Reply(ANSWER, headers={"server-timing": "infer;dur=900"}, delay_s=0.06)

    app = open_view(stand_in.url)

    assert re.search(r"This took 0\.\d s, 0\.9 s of it in the server\.", said(app))


def test_answer_without_server_timing_still_shows_the_round_trip(open_view: Open, stand_in: StandIn) -> None:
    stand_in.replies["recommend"] = Reply(ANSWER)

    app = open_view(stand_in.url)

    assert [metric.label for metric in app.metric] == ["Round trip"]
    assert "no `server-timing` header" in said(app)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"basis": "no_known_items", "n_unknown_items": 2}, "The catalogue holds none of the films"),
        ({"basis": "empty_history"}, "Nothing is known about this person's taste"),
        ({"n_unknown_items": 1}, "1 item of the history is not in the catalogue."),
        ({"n_unknown_items": 2}, "2 items of the history are not in the catalogue."),
        ({"cold_start": True}, "Cold start: this question met a process that was not warm yet."),
        ({"basis": "a_later_idea"}, "Model **blend**"),
        ({"items": []}, "No film is left to recommend."),
    ],
)
def test_answer_says_what_it_rests_on(
    open_view: Open, stand_in: StandIn, answer: dict[str, object], sentence: str
) -> None:
    stand_in.replies["recommend"] = Reply(ANSWER | answer)

    assert sentence in said(open_view(stand_in.url))


def test_liked_item_of_a_user_leaves_the_list_and_what_changed_is_marked(
    open_view: Open, service_url: str
) -> None:
    app = open_view(service_url, user="ana")
    before = titles(app)
    assert set(marks(app)) == {""}

    settle(button(app, f"Liked {unescape(before[0])}").click().run())

    assert before[0] not in titles(app)
    assert "new" in marks(app)
    assert changed(app).startswith(f"Liked {before[0]}:")
    assert f"gone: {before[0]}" in changed(app)


def test_event_says_who_did_what_with_which_item_of_which_answer(open_view: Open, stand_in: StandIn) -> None:
    stand_in.replies["events"] = Reply({"n_new": 1, "is_deferred": False})
    app = open_view(stand_in.url, user="ana")

    settle(button(app, "Watched Heat (1995)").click().run())

    [posted] = [json.loads(body) for method, path, _, body in stand_in.asked if path == "/api/events"]
    [event] = posted["events"]
    assert event.pop("event_id").startswith("console-")
    assert event == {
        "user_id": "ana",
        "item_id": 593,
        "kind": "view",
        "recommendation_id": ANSWER["recommendation_id"],
    }
    assert changed(app) == "Watched Heat (1995): the list stays as it was."


def test_event_that_waits_for_the_store_is_said_to(open_view: Open, stand_in: StandIn) -> None:
    stand_in.replies["events"] = Reply({"n_new": 0, "is_deferred": True})
    app = open_view(stand_in.url, user="ana")

    settle(button(app, "Watched Heat (1995)").click().run())

    assert "the list may not show it yet" in said(app)


def test_refused_event_is_explained_and_the_list_stays(open_view: Open, stand_in: StandIn) -> None:
    stand_in.replies["events"] = Reply({"detail": "no room"}, 429, {"retry-after": "3"})
    app = open_view(stand_in.url, user="ana")

    settle(button(app, "Liked Heat (1995)").click().run())

    assert "turned this question away.**  \nAsk again in 3 s." in said(app)
    assert "The API says: no room" in said(app)
    assert len(titles(app)) == 2


def test_liked_film_joins_those_that_are_asked_about_without_an_event(
    open_view: Open, stand_in: StandIn
) -> None:
    app = open_view(stand_in.url, items="356", k="2")

    settle(button(app, "Liked Heat (1995)").click().run())

    assert app.multiselect(key="films").value == [356, 593]
    assert not any(path == "/api/events" for _, path, _, _ in stand_in.asked)
    assert changed(app).startswith("Liked Heat (1995):")


def test_list_of_another_length_is_not_compared(open_view: Open, service_url: str) -> None:
    app = open_view(service_url)

    settle(app.slider(key="k").set_value(3).run())

    assert changed(app) == ""
    assert set(marks(app)) == {""}


def test_answer_links_to_its_trace_where_there_is_telemetry(
    open_view: Open, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_LOGS_URL", "http://127.0.0.1:9/v1")

    app = open_view(stand_in.url)

    asked = {
        headers["traceparent"].split("-")[1] for _, path, headers, _ in stand_in.asked if "recommend" in path
    }
    [linked] = [found[1] for html in app.html if (found := re.search(r"trace=([0-9a-f]+)", html.body))]
    assert linked in asked


def test_answer_links_nowhere_without_telemetry(
    open_view: Open, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECSERVE_LOGS_URL", raising=False)

    app = open_view(stand_in.url)

    assert not any("trace=" in html.body for html in app.html)


def button(app: AppTest, label: str) -> Button:
    (found,) = [button for button in app.button if button.label == label]
    return found
