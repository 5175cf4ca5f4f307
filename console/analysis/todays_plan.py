"""The plan that runs: as it said itself, or as its instances let one conclude."""

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from console.analysis.bill import sku_of
from console.analysis.plan_question import Setup
from console.telemetry import Table
from planner.plans import MOST_ALWAYS_READY, MOST_INSTANCES, SKUS

DEFAULT_BURST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TodaysPlan:
    setup: Setup
    is_told: bool
    "By the plan itself; else concluded from what was allocated."


class _Sku(msgspec.Struct, frozen=True):
    name: str


class _Settings(msgspec.Struct, frozen=True):
    sku: _Sku
    always_ready: int
    pre_warmed: int
    max_burst: int


def todays_plan(
    settings: Table, allocation: Table, instances: Table, *, interval_s: float
) -> TodaysPlan | None:
    """The plan that runs; None where nothing tells.

    Args:
        settings: answer to `plan_settings`.
        allocation: answer to `allocation`, or to `allocation_observed`.
        instances: answer to `instances`.
        interval_s: width of the allocation's bins.
    """
    if settings.n_rows:
        told = _read(str(settings["settings"][0]))
        if told is not None:
            return TodaysPlan(setup=told, is_told=True)
    if not allocation.n_rows or interval_s <= 0:
        return None
    starts, bins = np.unique(allocation["interval_start"], return_inverse=True)

    def per_bin(*classes: str) -> float:
        """The usual number of instances in these classes."""
        chosen = np.isin(allocation["class"], classes)
        totals_s = np.bincount(bins[chosen], allocation["allocated_s"][chosen], minlength=starts.size)
        return float(np.median(totals_s) / interval_s)

    if "class" in allocation.columns:
        always_ready, pre_warmed = round(per_bin("active", "idle")), round(per_bin("pre_warmed"))
        totals_s = np.bincount(bins, allocation["allocated_s"])
    else:
        totals_s = np.bincount(bins, allocation["observed_s"])
        always_ready, pre_warmed = math.floor(float(np.quantile(totals_s, 0.1)) / interval_s + 0.1), 1
    most = math.ceil(float(totals_s.max()) / interval_s - 0.05)
    always_ready = min(max(always_ready, 1), MOST_ALWAYS_READY)
    burst = min(max(DEFAULT_BURST, most, always_ready + pre_warmed), MOST_INSTANCES)
    return TodaysPlan(
        setup=Setup(sku=sku_of(instances), always_ready=always_ready, pre_warmed=pre_warmed, max_burst=burst),
        is_told=False,
    )


def _read(text: str) -> Setup | None:
    try:
        told = msgspec.json.decode(text, type=_Settings)
    except msgspec.DecodeError:
        return None
    if told.sku.name not in SKUS:
        return None
    return Setup(
        sku=told.sku.name,
        always_ready=told.always_ready,
        pre_warmed=told.pre_warmed,
        max_burst=told.max_burst,
    )
