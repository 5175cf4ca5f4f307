from uuid import uuid4

import numpy as np
import pytest

from recserve.state.packing import KINDS, Unreadable, pack, unpack
from recserve.state.store import Event
from tests.recserve.state.conftest import NOW_S, event


def test_packed_events_come_back_whole() -> None:
    events = [Event(f"e{i}", "ana", f"ítem {i}", kind, NOW_S + i / 3, "r") for i, kind in enumerate(KINDS)]

    assert unpack(pack(events, max_bytes=10_000), "ana") == events


def test_kinds_keep_their_numbers() -> None:
    assert KINDS == ("view", "click", "add", "purchase")


def test_user_is_not_among_the_bytes() -> None:
    assert unpack(pack([event("a", user_id="ana")], max_bytes=1000), "ben")[0].user_id == "ben"


def test_thousand_usual_events_fit_into_a_tenth_of_an_entity() -> None:
    events = [Event(str(uuid4()), "ana", str(i % 9000), "view", NOW_S + i, uuid4().hex) for i in range(1000)]

    assert len(pack(events, max_bytes=10**6)) < 100_000


def test_oldest_events_give_way_when_the_bytes_do_not_suffice() -> None:
    rng = np.random.default_rng(1)
    events = [event(rng.bytes(500).hex(), at_s=NOW_S + i) for i in range(1000)]

    packed = pack(events, max_bytes=200_000)

    kept = unpack(packed, "ana")
    assert 150_000 < len(packed) <= 200_000
    assert kept == events[-len(kept) :]


@pytest.mark.parametrize("content", [b"", b"\x02abc", b"\x01no zlib", pack([], max_bytes=100)[:-3]])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack(content, "ana")
