import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.edge.histories import (
    LONGEST_PREFIX,
    UNKNOWN_IDS,
    draw_histories,
    held_out_histories,
    write_histories,
)


@pytest.fixture
def source(ml_latest_small: Path) -> str:
    return str(ml_latest_small)


def test_histories_are_of_all_kinds_and_drawn_the_same_again(source: str) -> None:
    drawn = draw_histories(200, source=source, seed=3)

    assert drawn == draw_histories(200, source=source, seed=3)
    assert drawn != draw_histories(200, source=source, seed=4)
    assert Counter(history.kind for history in drawn) == {"prefix": 140, "random": 50, "odd": 10}
    assert all(history.item_ids for history in drawn)
    assert max(len(history.item_ids) for history in drawn if history.kind == "prefix") <= LONGEST_PREFIX
    assert all(history.target not in history.item_ids for history in drawn)
    assert {*UNKNOWN_IDS} & {item_id for history in drawn for item_id in history.item_ids}


def test_held_out_item_is_not_in_the_history_before_it(source: str) -> None:
    users = held_out_histories(source=source)

    assert len(users) == 671
    assert all(user.target not in user.item_ids for user in users)
    assert max(len(user.item_ids) for user in users) == 1000


def test_histories_are_written_for_clients_in_other_languages(source: str, tmp_path: Path) -> None:
    drawn = draw_histories(20, source=source)
    write_histories(tmp_path / "histories.json", drawn)

    read = json.loads((tmp_path / "histories.json").read_text())

    assert [row["history"] for row in read] == [history.item_ids for history in drawn]
