"""Which version may have answered, and how the versions are made."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.swap import Exchange, count_misplaced, make_versions, put_in_place, spans_served
from recserve.errors import InvalidModels
from recserve.inference.loading import load_models


def exchange(
    put_s: float, *, outcome: str = "swapped", from_version: str = "a", to_version: str = "b"
) -> Exchange:
    reload = {"outcome": outcome, "from_version": from_version, "to_version": to_version}
    return Exchange(put_s, put_s + 0.1, put_s + 1.0, reload, rss_mib=0.0)


@pytest.mark.parametrize(
    ("version", "sent_s", "ended_s", "n_misplaced"),
    [
        ("a", 5.0, 5.1, 0),
        ("b", 5.0, 5.1, 1),
        ("b", 9.9, 10.0, 0),
        ("a", 11.0, 11.5, 0),
        ("a", 11.1, 11.5, 1),
        ("b", 11.1, 11.5, 0),
        ("c", 11.1, 11.5, 1),
    ],
)
def test_version_may_answer_from_when_it_is_in_place_until_another_has_followed(
    version: str, sent_s: float, ended_s: float, n_misplaced: int
) -> None:
    found = count_misplaced(
        [version], sent_s=np.array([sent_s]), ended_s=np.array([ended_s]), exchanges=[exchange(10.0)]
    )

    assert found == n_misplaced


def test_refused_version_may_never_answer() -> None:
    exchanges = [exchange(10.0), exchange(20.0, outcome="refused", from_version="b", to_version="")]

    assert list(spans_served(exchanges)) == [("a", -np.inf, 11.0), ("b", 10.0, np.inf)]


def test_versions_serve_different_variants_and_the_damaged_one_does_not_load(
    repository: Path, tmp_path: Path
) -> None:
    versions = make_versions(repository / "models", tmp_path, first="int8")
    served = tmp_path / "models"
    loaded = []

    for version in versions.good:
        put_in_place(version, served)
        loaded.append(load_models(served, n_threads=1, mark=lambda _: None).manifest)
    put_in_place(versions.damaged, served)

    assert [manifest.serving[0] for manifest in loaded] == ["student", "int8"]
    assert loaded[0].version != loaded[1].version
    with pytest.raises(InvalidModels, match=r"student\.onnx is damaged"):
        load_models(served, n_threads=1, mark=lambda _: None)
