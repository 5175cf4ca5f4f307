import numpy as np
import pytest

from training.synthetic import SyntheticCatalogue, SyntheticConfig, make_catalogue

CONFIG = SyntheticConfig(n_items=4_000, dim=16, n_clusters=20)


@pytest.fixture(scope="module")
def catalogue() -> SyntheticCatalogue:
    return make_catalogue(CONFIG, np.random.default_rng(3))


def test_equal_seeds_draw_equal_catalogues_and_queries(catalogue: SyntheticCatalogue) -> None:
    again = make_catalogue(CONFIG, np.random.default_rng(3))
    other = make_catalogue(CONFIG, np.random.default_rng(4))

    np.testing.assert_array_equal(again.vectors, catalogue.vectors)
    np.testing.assert_array_equal(again.popularity, catalogue.popularity)
    assert not np.array_equal(other.vectors, catalogue.vectors)
    np.testing.assert_array_equal(
        catalogue.draw_queries(5, np.random.default_rng(1)), again.draw_queries(5, np.random.default_rng(1))
    )


def test_catalogue_says_that_it_is_synthetic(catalogue: SyntheticCatalogue) -> None:
    assert catalogue.is_synthetic
    assert catalogue.vectors.shape == (4_000, 16)
    assert catalogue.vectors.dtype == np.float32


def test_items_lie_closer_to_their_cluster_than_to_others(catalogue: SyntheticCatalogue) -> None:
    means = np.stack([catalogue.vectors[catalogue.clusters == c].mean(axis=0) for c in range(20)])
    nearest = ((catalogue.vectors[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)

    assert (nearest == catalogue.clusters).mean() > 0.8


def test_cluster_sizes_and_popularity_fall_off_by_rank(catalogue: SyntheticCatalogue) -> None:
    sizes = np.bincount(catalogue.clusters)
    popularity = np.sort(catalogue.popularity)[::-1]

    assert sizes[:5].sum() > 2 * sizes[-5:].sum()
    assert popularity.sum() == pytest.approx(1)
    assert popularity[0] == pytest.approx(10 * popularity[9])


def test_queries_lie_near_popular_items(catalogue: SyntheticCatalogue) -> None:
    queries = catalogue.draw_queries(300, np.random.default_rng(5))
    nearest = ((queries[:, None] - catalogue.vectors) ** 2).sum(axis=2).argmin(axis=1)

    assert catalogue.popularity[nearest].mean() > 5 * catalogue.popularity.mean()


@pytest.mark.parametrize("wrong", [{"n_items": 0}, {"dim": 0}, {"n_clusters": 0}, {"n_clusters": 11}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        make_catalogue(
            SyntheticConfig(**({"n_items": 10, "dim": 2, "n_clusters": 2} | wrong)), np.random.default_rng()
        )
