from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recserve.errors import InvalidModels
from recserve.inference.comparison import N_HISTORIES, canned_histories, check_answers, overlaps, warm
from recserve.inference.loading import LoadedModels
from recserve.inference.session import Ranked
from tests.recserve.inference.versions import edit_manifest, load


class FixedSession:
    """Answers everybody alike, and remembers how many it was asked for."""

    name = "near"

    def __init__(self, items: list[int], scores: list[float]) -> None:
        self._row = items, scores
        self.batch_sizes: list[int] = []

    def recommend(self, history: np.ndarray, seen: np.ndarray, k: int) -> Ranked:
        self.batch_sizes.append(len(history))
        items, scores = self._row
        return Ranked(
            np.tile(np.array(items, np.int64), (len(history), 1)),
            np.tile(np.array(scores, np.float32), (len(history), 1)),
        )


@pytest.fixture
def models(models_dir: Path) -> LoadedModels:
    return load(models_dir)


def with_repeats(models: LoadedModels) -> LoadedModels:
    """Models that may recommend what was seen, so that one fixed answer can be sound."""
    dataset = msgspec.structs.replace(models.manifest.dataset, allow_repeats=True)
    return replace(models, manifest=msgspec.structs.replace(models.manifest, dataset=dataset))


def test_canned_histories_are_the_same_each_time_and_start_with_nobody(models: LoadedModels) -> None:
    histories = canned_histories(models)

    assert histories == canned_histories(models)
    assert histories[0] == [0]
    assert len(histories) == N_HISTORIES + 1
    assert all(1 <= number <= 6 for history in histories[1:] for number in history)
    assert all(1 <= len(history) == len(set(history)) <= 4 for history in histories[1:])


def test_sound_models_pass(models: LoadedModels) -> None:
    check_answers(models)


@pytest.mark.parametrize(
    ("items", "scores", "said"),
    [
        ([0, 0], [-np.inf, -np.inf], "answers nothing"),
        ([1, 2, 1], [3, 2, 1], r"repeats an item in \[1, 2, 1\]"),
        ([1, 7], [2, 1], r"answers \[1, 7\], of which the catalogue of 6 items lacks some"),
        ([1, -1], [2, 1], "answers .* lacks some"),
        ([1, 2], [np.nan, 1], "scores"),
        ([1, 2], [np.inf, 1], "scores"),
    ],
)
def test_unsound_answers_are_refused(
    models: LoadedModels, items: list[int], scores: list[float], said: str
) -> None:
    unsound = replace(with_repeats(models), sessions={"near": FixedSession(items, scores)})

    with pytest.raises(InvalidModels, match=f"variant 'near' {said}"):
        check_answers(unsound)


def test_answer_with_what_was_seen_is_refused_unless_repeats_are_allowed(models: LoadedModels) -> None:
    everything = FixedSession([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1])

    check_answers(replace(with_repeats(models), sessions={"near": everything}))
    with pytest.raises(InvalidModels, match="which the user has seen, for the history"):
        check_answers(replace(models, sessions={"near": everything}))


def test_version_overlaps_fully_with_itself(models: LoadedModels) -> None:
    assert overlaps(models, models) == {"near": 1.0, "popular": 1.0}


def test_overlap_goes_by_item_id_and_not_by_number(models: LoadedModels) -> None:
    columns = models.catalogue.columns
    others = type(models.catalogue)(msgspec.structs.replace(columns, ids=[110, 120, 130, 140, 150, 160]))
    stranger = replace(models, catalogue=others)

    assert overlaps(models, stranger) == {"near": 0.0, "popular": 0.0}


def test_overlap_covers_the_variants_that_both_serve(models_dir: Path, models: LoadedModels) -> None:
    edit_manifest(models_dir, lambda manifest: manifest.update(serving=["popular"], similar="popular"))

    assert list(overlaps(load(models_dir), models)) == ["popular"]
    assert list(overlaps(models, load(models_dir))) == ["popular"]


def test_every_variant_runs_warm_at_every_batch_size(models: LoadedModels) -> None:
    sessions = {name: FixedSession([1], [1]) for name in ("near", "popular")}

    warm(replace(models, sessions=sessions), batch_sizes=(1, 8))

    assert [sorted(set(session.batch_sizes)) for session in sessions.values()] == [[1, 8], [1, 8]]
