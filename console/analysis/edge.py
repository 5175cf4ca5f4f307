"""What devices answered and why they did not, as they report it, and whether they agree with the cloud."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from console.analysis.proportions import wilson
from console.analysis.quantiles import Numbers, Quantile, quantile, quantiles_over_time
from console.telemetry import Table, table_of

GROWTH = 1.2
"Of the buckets that devices report: percentiles are right to a tenth."
DEVICE, CLOUD = "edge", "cloud"
OTHER = "other"
"Bundles beyond as many as the service tells apart."
RESCUES = ("offline", "cloud_timeout", "cloud_error", "cloud_busy")
"Why a device answered what it had meant to ask of the cloud."


@dataclass(frozen=True, slots=True)
class Meaning:
    """A reason in words, and the view that explains it further."""

    words: str
    view: str = ""
    remedy: str = ""


MEANINGS: Mapping[tuple[str, str], Meaning] = {
    (CLOUD, "no_bundle"): Meaning(
        "no verified bundle on the device",
        remedy="Not loaded yet, tampered, incomplete, or a browser without WASM SIMD.",
    ),
    (CLOUD, "rules"): Meaning("rules that only the cloud applies"),
    (CLOUD, "stale_bundle"): Meaning(
        "the bundle was older than allowed", remedy="RECSERVE_EDGE_MAX_AGE_H says how old it may be."
    ),
    (CLOUD, "clock"): Meaning(
        "the device's clock was wrong", remedy="How old its bundle is, it could not tell."
    ),
    (CLOUD, "no_local_history"): Meaning("the device knew nothing of the user"),
    (CLOUD, "cloud_is_near"): Meaning("the cloud was near, and its model is better"),
    (DEVICE, "default"): Meaning("nothing spoke for the cloud"),
    (DEVICE, "offline"): Meaning(
        "no network", remedy="Nothing of the service's: the device had no way to it."
    ),
    (DEVICE, "cloud_timeout"): Meaning("the cloud did not answer in time", view="latency"),
    (DEVICE, "cloud_error"): Meaning("the cloud failed", view="overview"),
    (DEVICE, "cloud_busy"): Meaning("the cloud refused", view="concurrency"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Answers that one side gave for one reason."""

    answered_by: str
    name: str
    n_answers: float
    share: float
    "Of all answers."
    p50_ms: float
    p95_ms: float

    @property
    def meaning(self) -> Meaning:
        """An unknown one means its own name."""
        return MEANINGS.get((self.answered_by, self.name), Meaning(self.name or "unknown"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How alike lists of devices and of the cloud are; shares with their 95 % intervals.

    The overlap's interval is that of a share with the same mean, which no number between 0 and 1 can exceed in
    variance. Comparisons are taken for independent: of few devices it is too narrow.
    """

    n_compared: float
    overlap: float
    "Mean share of the cloud's ten items that the device showed."
    overlap_low: float
    overlap_high: float
    identical: float
    "Share of lists with the same items in the same order."
    identical_low: float
    identical_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One version in the field on one kind of client."""

    version: str
    "Empty: devices without a bundle."
    client: str
    n_answers: float
    device_share: float
    "Of them, that the device gave."
    p50_ms: float
    "Of those; NaN where it gave none."
    first_seen: datetime
    last_seen: datetime
    agreement: Agreement | None

    @property
    def is_version(self) -> bool:
        """Else it is no bundle, or too many to tell apart."""
        return self.version not in ("", OTHER)


@dataclass(frozen=True, slots=True)
class Totals:
    """Answers in a range."""

    n_device: float
    n_rescued: float
    "Of those, that the cloud should have given."
    n_cloud: float

    @property
    def n_answers(self) -> float:
        return self.n_device + self.n_cloud

    @property
    def device_share(self) -> float:
        return self.n_device / self.n_answers if self.n_answers else float("nan")


def totals_of(answers: Table) -> Totals:
    """Counts of `edge_answers`; all 0 without rows."""
    if not answers.n_rows:
        return Totals(0.0, 0.0, 0.0)
    n, is_device, is_rescue = _counted(answers)
    return Totals(float(n[is_device].sum()), float(n[is_rescue].sum()), float(n[~is_device].sum()))


def shares_over_time(answers: Table) -> Table:
    """Answers of each interval of `edge_answers`, by who gave them: `n_device` holds no rescues here."""
    starts, places = np.unique(answers["interval_start"], return_inverse=True)
    n, is_device, is_rescue = _counted(answers)

    def counted(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(places[rows], n[rows], len(starts)).astype(np.float64)

    return Table(
        ("interval_start", "n_device", "n_rescued", "n_cloud"),
        (starts, counted(is_device & ~is_rescue), counted(is_rescue), counted(~is_device)),
    )


def reasons_of(answers: Table) -> list[Reason]:
    """Every reason of `edge_answers`: those for the cloud first, then those of devices, each by their answers."""
    if not answers.n_rows:
        return []
    n_all = answers["n_answers"].sum()
    pairs = list(zip(answers.list("answered_by"), answers.list("reason"), strict=True))
    found = []
    for pair in dict.fromkeys(pairs):
        own = answers.where(np.array([each == pair for each in pairs]))
        n = float(own["n_answers"].sum())
        found.append(
            Reason(
                answered_by=pair[0] or "",
                name=pair[1] or "",
                n_answers=n,
                share=n / n_all,
                p50_ms=_quantile_ms(own, 0.5),
                p95_ms=_quantile_ms(own, 0.95),
            )
        )
    return sorted(found, key=lambda each: (each.answered_by == DEVICE, -each.n_answers))


def reason_table(reasons: list[Reason]) -> Table:
    """The same as a table, for a download."""
    names = ("answered_by", "name", "n_answers", "share", "p50_ms", "p95_ms")
    return table_of({name: [getattr(each, name) for each in reasons] for name in names})


def side(answers: Table, answered_by: str) -> Table:
    """The rows of `edge_answers` of devices, or of the cloud."""
    if not answers.n_rows:
        return answers
    is_device = answers["answered_by"] == DEVICE
    return answers.where(is_device if answered_by == DEVICE else ~is_device)


def latency_of(answers: Table, share: float) -> Quantile | None:
    """A percentile of what users waited; None without answers."""
    if not answers.n_rows:
        return None
    return quantile(answers["bucket"], answers["n_answers"], share, growth=GROWTH)


def latency_over_time(answers: Table) -> Table:
    """p50 and p95 of each interval of `edge_answers`, of devices and of the cloud; NaN where a side gave none."""
    starts = np.unique(answers["interval_start"])
    columns: dict[str, Numbers] = {}
    for name in (DEVICE, CLOUD):
        own = side(answers, name)
        places = np.searchsorted(starts, np.unique(own["interval_start"]))
        for percent in (50, 95):
            values = np.full(len(starts), np.nan)
            values[places] = quantiles_over_time(
                own["interval_start"], own["bucket"], own["n_answers"], percent / 100, growth=GROWTH
            )
            columns[f"{name}_p{percent}_ms"] = values
    return Table(("interval_start", *columns), (starts, *columns.values()))


def histogram(answers: Table) -> Table:
    """Shares of all answers by latency: `up_to_ms`, then a column for devices and one for the cloud.

    Buckets between the first and the last are all there, with one that is empty at either end.
    """
    buckets = np.arange(answers["bucket"].min() - 1, answers["bucket"].max() + 2)
    n_all = answers["n_answers"].sum()
    shares = []
    for name in (DEVICE, CLOUD):
        own = side(answers, name)
        places = (own["bucket"] - buckets[0]).astype(int)
        shares.append(np.bincount(places, own["n_answers"], len(buckets)) / n_all)
    return Table(("up_to_ms", DEVICE, CLOUD), (GROWTH**buckets, *shares))


def agreement_of(compared: Table) -> Agreement | None:
    """All comparisons of `edge_agreement` together; None without any."""
    if not compared.n_rows or not (n := float(compared["n_compared"].sum())):
        return None
    overlap = wilson(float((compared["n_compared"] * compared["mean_overlap"]).sum()), n)
    identical = wilson(float(compared["n_identical"].sum()), n)
    return Agreement(
        n_compared=n,
        overlap=float(overlap.share),
        overlap_low=float(overlap.low),
        overlap_high=float(overlap.high),
        identical=float(identical.share),
        identical_low=float(identical.low),
        identical_high=float(identical.high),
    )


def agreement_over_time(compared: Table) -> Table:
    """Mean overlap and share of identical lists in each interval of `edge_agreement`, with what it rests on."""
    starts, places = np.unique(compared["interval_start"], return_inverse=True)
    n = np.bincount(places, compared["n_compared"])
    overlaps = np.bincount(places, compared["n_compared"] * compared["mean_overlap"])
    return Table(
        ("interval_start", "n_compared", "overlap", "identical"),
        (starts, n, overlaps / n, np.bincount(places, compared["n_identical"]) / n),
    )


def bundles_of(bundles: Table, compared: Table) -> list[Bundle]:
    """Bundles of `edge_bundles`, the newest version first, with what `edge_agreement` says of each."""
    if not bundles.n_rows:
        return []
    pairs = list(zip(bundles.list("bundle"), bundles.list("client"), strict=True))
    compared_pairs = (
        list(zip(compared.list("bundle"), compared.list("client"), strict=True)) if compared.n_rows else []
    )
    found = []
    for pair in dict.fromkeys(pairs):
        own = bundles.where(np.array([each == pair for each in pairs]))
        on_device = side(own, DEVICE)
        n = float(own["n_answers"].sum())
        of_pair = np.array([each == pair for each in compared_pairs], bool)
        found.append(
            Bundle(
                version=pair[0] or "",
                client=pair[1] or "",
                n_answers=n,
                device_share=float(on_device["n_answers"].sum()) / n,
                p50_ms=_quantile_ms(on_device, 0.5),
                first_seen=min(own.list("first_seen")),
                last_seen=max(own.list("last_seen")),
                agreement=agreement_of(compared.where(of_pair)) if compared_pairs else None,
            )
        )
    # Versions begin with the day of their training.
    return sorted(found, key=lambda each: (each.is_version, each.version, each.n_answers), reverse=True)


def worst_stretch(answers: Table, interval: timedelta) -> tuple[datetime, datetime] | None:
    """The interval in which devices had to answer most in the cloud's place; None where they never had to."""
    shares = shares_over_time(answers) if answers.n_rows else Table()
    if not shares.n_rows or not shares["n_rescued"].any():
        return None
    begin: datetime = shares.list("interval_start")[int(shares["n_rescued"].argmax())]
    return begin, begin + interval


def _counted(answers: Table) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Counts of the rows, which of them devices gave, and which of those in the cloud's place."""
    is_device = answers["answered_by"] == DEVICE
    return answers["n_answers"], is_device, is_device & np.isin(answers["reason"].astype(str), RESCUES)


def _quantile_ms(answers: Table, share: float) -> float:
    found = latency_of(answers, share)
    return found.value_ms if found else float("nan")
