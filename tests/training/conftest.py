"""A MovieLens release small enough to train on in seconds."""

from pathlib import Path

import numpy as np
import pytest

N_USERS, N_ITEMS, N_RATINGS = 40, 30, 12


def write_release(target: Path) -> Path:
    """Users walk round a ring of films, so that each film strongly predicts the next one."""
    rng = np.random.default_rng(7)
    target.mkdir(parents=True, exist_ok=True)
    ratings = ["userId,movieId,rating,timestamp"]
    for user in range(1, N_USERS + 1):
        start = int(rng.integers(N_ITEMS))
        ratings += [
            f"{user},{(start + step) % N_ITEMS + 1},4.0,{1_000_000 + step}" for step in range(N_RATINGS)
        ]
    (target / "ratings.csv").write_text("\n".join(ratings) + "\n")
    movies = ["movieId,title,genres", '1,"Ring, The (2002)",Horror|Thriller']
    movies += [f"{item},Film {item} ({1990 + item % 30}),Drama" for item in range(2, N_ITEMS + 1)]
    (target / "movies.csv").write_text("\n".join(movies) + "\n")
    (target / "README.txt").write_text("terms of the ring\n")
    return target


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "ml-ring")
