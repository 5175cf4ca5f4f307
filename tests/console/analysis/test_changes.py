from datetime import UTC, datetime, timedelta

import numpy as np

from console.analysis.changes import gather, tally
from console.analysis.fleet import instances_over_time
from console.telemetry import Table, table_of

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def changes(*told: tuple[float, str, str]) -> Table:
    """What was told, the newest first as the query gives it: seconds, kind, instance."""
    rows = sorted(told, reverse=True)
    return table_of(
        {
            "at": [at(seconds) for seconds, _, _ in rows],
            "change": [kind for _, kind, _ in rows],
            "what": [f"{kind} {instance}" for _, kind, instance in rows],
            "instance": [instance for _, _, instance in rows],
        }
    )


def test_changes_that_come_together_are_one() -> None:
    gathered = gather(
        changes(
            (0, "scale_out", "I1"), (2, "scale_out", "I2"), (3, "scale_out", "I1"), (600, "scale_in", "I2")
        )
    )

    assert [(each.kind, each.n, each.instances) for each in gathered] == [
        ("scale_in", 1, ("I2",)),
        ("scale_out", 3, ("I1", "I2")),
    ]
    assert gathered[1].what == "scale_out I1"
    assert (gathered[1].since, gathered[1].until) == (at(0), at(3))


def test_models_that_answered_from_the_first_are_no_change() -> None:
    gathered = gather(changes((0, "model", ""), (20, "model", ""), (900, "model", "")))

    assert [each.since for each in gathered] == [at(900)]


def test_unknown_kinds_are_left_out() -> None:
    assert gather(changes((0, "of another release", "I1"))) == []
    assert gather(Table()) == []


def test_tally_counts_records_by_kind() -> None:
    gathered = gather(changes((0, "deployment", ""), (1, "scale_out", "I1"), (2, "scale_out", "I2")))

    assert tally(gathered) == "1 deployment, 2 scale-outs"


def test_instances_are_counted_while_they_were_seen() -> None:
    table = table_of(
        {
            "instance": ["I1", "I2"],
            "first_seen": [at(0), at(3000)],
            "last_seen": [at(6000), at(3600)],
        }
    )

    course = instances_over_time(table, at(-600), at(7200), n_points=10)

    assert course.max() == 2
    assert course[0] == course[-1] == 1
    assert np.flatnonzero(course == 2).tolist() == [4, 5, 6]


def test_a_short_life_between_two_points_is_seen() -> None:
    table = table_of(
        {"instance": ["I1", "I2"], "first_seen": [at(0), at(43_000)], "last_seen": [at(86_400), at(43_060)]}
    )

    assert instances_over_time(table, at(0), at(86_400), n_points=60).max() == 2
