"""The overview's tables: what made answers late, and what changed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from console.analysis.changes import KINDS, Change
from console.analysis.slo import Kept, Promise, Worst
from console.analysis.tail import FEW, Contributor
from console.formats import between, clock, moment, ms, share, short
from console.palette import Palette
from console.pieces import Cell, Column, Row, anchor, data_table, legend, nothing
from console.scope import Scope, link_to

MINUTE = timedelta(minutes=1)
MOST_CHANGES = 40
AROUND = timedelta(minutes=3)
"What a change's link shows of the time before and after it."


def causes_title(contributors: Sequence[Contributor]) -> str:
    """The top cause as a statement."""
    if not contributors:
        return "What made answers late?"
    top = contributors[0]
    return f"{top.cause.title} cost {share(top.share)} of the time over the SLO"


def causes_note(contributors: Sequence[Contributor], promise: Promise) -> str:
    """What the ranking is of, and whether it is of enough."""
    if not contributors:
        return ""
    n = sum(each.n_requests for each in contributors)
    note = f"Milliseconds beyond {promise.within_ms:g} ms of {short(n)} late answers, by what caused them."
    return note + (" So few that the order may be chance." if n < FEW else "")


def causes_table(scope: Scope, contributors: Sequence[Contributor], palette: Palette) -> str:
    """The ranking as a bar and a table, each cause linked to the view that looks into it."""
    if not contributors:
        return nothing("No answer was later than promised.")
    rows: list[Row] = [
        [
            Cell(
                each.cause.title, href=link_to(each.cause.view, scope), help=f"Open {each.cause.view_title}"
            ),
            each.cause.meaning,
            each.share,
            ms(each.over_ms),
            short(each.n_requests),
        ]
        for each in contributors
    ]
    columns = [
        Column("Cause"),
        Column("What it is"),
        Column("Share", is_bar=True, tone="warn"),
        Column("Over the SLO", is_number=True),
        Column("Requests", is_number=True),
    ]
    marks = [(each.cause.title, palette.phase(each.cause.phase)) for each in contributors]
    stack = "".join(
        f'<i style="width:{each.share:.2%};background:{colour}" title="{escape(title)}: {share(each.share)}"></i>'
        for each, (title, colour) in zip(contributors, marks, strict=True)
    )
    return (
        f'<div class="rs-causes" role="img" aria-label="Shares of the causes">{stack}</div>'
        + legend(marks)
        + data_table(columns, rows, label="Causes of late answers")
    )


def refused_note(scope: Scope, kept: Kept) -> str:
    """What missed the SLO without being late."""
    if not kept.n_shed + kept.n_failed:
        return ""
    link = anchor("who refused them", link_to("concurrency", scope))
    return (
        f'<p class="rs-remark">Not in here: {short(kept.n_shed)} requests were shed and {short(kept.n_failed)} failed. '
        f"They missed the SLO without being late: {link}.</p>"
    )


def worst_note(scope: Scope, worst: Worst | None) -> str:
    """The worst minute and the way to its requests."""
    if worst is None:
        return (
            '<p class="rs-remark">No request missed the SLO in this range, so there is no worst minute.</p>'
        )
    is_minute = worst.until - worst.since == MINUTE
    name = "worst minute" if is_minute else "worst stretch"
    link = anchor(
        f"Open the {name}, {between(worst.since, worst.until)}",
        link_to("latency", scope, since=worst.since, until=worst.until),
    )
    return (
        f'<p class="rs-remark">{link}: {short(worst.kept.n_missed)} of its {short(worst.kept.n_requests)} requests '
        "missed the SLO. It is shaded.</p>"
    )


def changes_table(scope: Scope, changes: Sequence[Change]) -> str:
    """The newest changes, each linked to the latency around it."""
    is_one_day = scope.since.date() == scope.until.date()
    rows: list[Row] = [
        [
            Cell(
                _at(change.since, is_one_day=is_one_day),
                href=link_to("latency", scope, since=change.since - AROUND, until=change.until + AROUND),
                help="Latency around it",
            ),
            Cell(KINDS[change.kind].title, tone=KINDS[change.kind].tone),
            _what(change),
            _instances(change),
        ]
        for change in changes[:MOST_CHANGES]
    ]
    columns = [Column("Time, UTC"), Column("Change"), Column("What"), Column("Instance")]
    left_out = len(changes) - len(rows)
    more = f'<p class="rs-remark">And {left_out} before these.</p>' if left_out > 0 else ""
    table = data_table(columns, rows, label="What changed")
    return f'<div class="rs-changes">{table}</div>{more}'


def _at(at: datetime, *, is_one_day: bool) -> str:
    return clock(at) if is_one_day else moment(at.replace(second=0, microsecond=0))


def _what(change: Change) -> Cell:
    more = f" (and {change.n - 1} more)" if change.n > 1 else ""
    return Cell(f"{change.what}{more}", help=change.what)


def _instances(change: Change) -> str:
    return ", ".join(change.instances[:2]) + (" …" if len(change.instances) > 2 else "")
