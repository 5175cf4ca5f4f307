import numpy as np
import pytest

from training.counts import CountsConfig, fit_counts

SEQUENCES = [np.array([1, 2, 3]), np.array([1, 2]), np.array([2, 1])]


def weight_of(first: int, second: int, config: CountsConfig, sequences: list = SEQUENCES) -> float:
    counts = fit_counts(sequences, 3, config)
    return float(counts.weights[first][counts.neighbours[first] == second].sum())


def test_pairs_count_one_over_their_distance() -> None:
    config = CountsConfig(window=2)

    assert weight_of(1, 2, config) == 2.0
    assert weight_of(1, 3, config) == 0.5
    assert weight_of(2, 1, config) == 1.0
    assert weight_of(3, 1, config) == 0.0


def test_pairs_beyond_the_window_do_not_count() -> None:
    assert weight_of(1, 3, CountsConfig(window=1)) == 0.0


def test_damping_divides_by_popularity() -> None:
    assert weight_of(1, 2, CountsConfig(window=1, damping=1.0)) == pytest.approx(2 / 3)


def test_item_is_not_its_own_neighbour() -> None:
    assert weight_of(1, 1, CountsConfig(window=2), [np.array([1, 1, 2])]) == 0.0


def test_only_the_heaviest_neighbours_are_kept() -> None:
    counts = fit_counts(SEQUENCES, 3, CountsConfig(window=2, n_neighbours=1))

    assert counts.neighbours[1].tolist() == [2]


def test_padding_has_no_neighbours() -> None:
    counts = fit_counts(SEQUENCES, 3, CountsConfig())

    assert not counts.weights[0].any()
