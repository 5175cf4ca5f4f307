"""What an hour, a gigabyte or a request costs: dated lists, each of one region.

A list is a file `prices/<region>-<date>.json`; the newest date of a region counts, and older files stay as
its history. Each plan in it says where its prices come from, when they were checked, and what nobody has
confirmed. Prices are decimals, as they are published, so that sums of them are exact.

Services elsewhere stand in the lists of Azure regions too, with the region that their own prices are of.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

PRICES_DIR = Path(__file__).parent / "prices"

METERS: Mapping[str, Mapping[str, str]] = {
    "premium": {"vcpu": "vCPU-hour", "memory": "GiB-hour"},
    "flex": {
        "on_demand_execution": "GB-s",
        "on_demand_executions": "million",
        "always_ready_baseline": "GB-s",
        "always_ready_execution": "GB-s",
        "always_ready_executions": "million",
    },
    "consumption": {"execution": "GB-s", "executions": "million"},
    "telemetry": {"ingestion": "GB"},
    "egress": {"internet": "GB"},
    "aws_lambda": {
        "duration": "GB-s",
        "requests": "million",
        "provisioned": "GB-s",
        "provisioned_duration": "GB-s",
        "provisioned_requests": "million",
    },
    "cloud_run": {
        "vcpu": "vCPU-s",
        "memory": "GiB-s",
        "requests": "million",
        "idle_vcpu": "vCPU-s",
        "idle_memory": "GiB-s",
    },
}
"Every meter that a bill may need, with its unit, by plan."


class PriceError(ValueError):
    """Prices that are not there or cannot be right; the message names value and remedy."""


class Meter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a price list."""

    price: Decimal
    "Of one unit."
    unit: str
    free: Decimal = Decimal(0)
    "Units that cost nothing, each month."
    since: str | None = None
    "Day from which the price holds, where the source says."

    def __post_init__(self) -> None:
        if not (self.price.is_finite() and self.price >= 0):
            raise ValueError(f"a price of {self.price}; give a number, 0 or more")
        if not (self.free.is_finite() and self.free >= 0):
            raise ValueError(f"a free amount of {self.free}; give a number, 0 or more")


class PlanPrices(msgspec.Struct, frozen=True, kw_only=True):
    """All meters of one plan, and how much to trust them."""

    region: str
    "As its provider calls it."
    checked: str
    source: str
    unconfirmed: str | None
    meters: dict[str, Meter]


class PriceList(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one region on one day.

    Raises:
        ValueError: a meter is missing or has another unit than bills are made in.
    """

    region: str
    currency: Literal["USD"]
    checked: str
    "Day or month."
    plans: dict[str, PlanPrices]

    def __post_init__(self) -> None:
        missing = []
        for plan, meters in METERS.items():
            for name, unit in meters.items():
                meter = self.plans[plan].meters.get(name) if plan in self.plans else None
                if meter is None:
                    missing.append(f"{plan}.{name}")
                elif meter.unit != unit:
                    raise ValueError(f"{plan}.{name} is priced per {meter.unit!r}; give a price per {unit!r}")
        if missing:
            raise ValueError(f"no price of {', '.join(missing)}; add what is missing")

    def lines(self) -> Iterator[tuple[str, str, Meter]]:
        """Plan, name and price of every meter, in the order in which bills name them."""
        for plan, meters in METERS.items():
            for name in meters:
                yield plan, name, self.plans[plan].meters[name]


def read_prices(region: str, *, folder: Path = PRICES_DIR) -> PriceList:
    """The newest price list of a region.

    Raises:
        PriceError: there is none, or it is damaged; the message names the regions there are, or the file.
    """
    dated = (
        sorted(folder.glob(f"{region}-[0-9]*.json"), key=lambda path: path.stem) if is_region(region) else []
    )
    if not dated:
        known = ", ".join(sorted({path.stem.partition("-")[0] for path in folder.glob("*-[0-9]*.json")}))
        raise PriceError(f"no prices for region {region!r}; there are {known or 'none at all'}")
    try:
        prices = msgspec.json.decode(dated[-1].read_bytes(), type=PriceList)
    except (OSError, msgspec.MsgspecError) as err:
        raise PriceError(
            f"cannot read prices from {str(dated[-1])!r}: {err}; mend the file, or delete it"
        ) from err
    if prices.region != region:
        raise PriceError(
            f"{str(dated[-1])!r} has the prices of {prices.region!r}; a file is named after its region"
        )
    return prices


def is_region(name: str) -> bool:
    """Whether an Azure region may have this name."""
    return re.fullmatch(r"[a-z0-9]+", name) is not None


def write_prices(prices: PriceList, *, folder: Path = PRICES_DIR) -> Path:
    """Write a list to the file of its region and date, whole or not at all.

    Raises:
        PriceError: the folder cannot be written to.
    """
    path = folder / f"{prices.region}-{prices.checked}.json"
    encoder = msgspec.json.Encoder(decimal_format="number")
    text = msgspec.json.format(encoder.encode(prices), indent=2) + b"\n"
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".part", delete=False) as file:
            part = Path(file.name)
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                part.chmod(0o644)
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
    except OSError as err:
        raise PriceError(
            f"cannot write {str(path)!r}: {err.strerror}; name a folder that can be written to"
        ) from err
    return path
