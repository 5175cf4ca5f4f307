"""The console's benchmark: what it makes of its figures and pictures; the browser itself has its own tests."""

import io

import numpy as np
from PIL import Image

from benchmarks.console import _turned, format_table
from benchmarks.console_pictures import MOST_BYTES, _small


def test_another_view_is_first_in_each_round() -> None:
    paths = {name: f"/{name}" for name in "abcdefghij"}

    first = [_turned(paths, turn)[0][0] for turn in range(5)]

    assert first == ["a", "d", "g", "j", "c"]
    assert sorted(_turned(paths, 3)) == sorted(paths.items())


def test_table_has_a_line_for_each_view_and_two_figures_for_each_store() -> None:
    def store(n: int) -> dict[str, object]:
        times = {"cold_ms": {"median": 1234 + n}, "cached_ms": {"median": 321}}
        return {"requests": n, "views": {"Overview": times}}

    head, line = format_table({"stores": [store(1000), store(5000)]}).splitlines()

    assert head.split() == ["1,000", "cached", "5,000", "cached"]
    assert line.split() == ["Overview", "2,234", "321", "6,234", "321"]


def test_picture_stays_below_its_bound_and_keeps_its_size() -> None:
    noise = np.random.default_rng(1).integers(0, 40, (500, 700, 3), dtype=np.uint8)
    picture = io.BytesIO()
    Image.fromarray(noise).save(picture, "PNG")

    small = _small(picture.getvalue())

    assert len(picture.getvalue()) > MOST_BYTES
    assert len(small) < len(picture.getvalue())
    assert Image.open(io.BytesIO(small)).size == (700, 500)
