"""Devices in a plan: who is left for the cloud, what users see, and what bundles cost to send."""

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from planner.edge import Downloads, Edge, as_users_see, cloud_traffic, downloads_bill
from planner.price_list import read_prices
from planner.traffic import parse_traffic

PRICES = read_prices("eastus")


def edge(share: float = 0.6, **more: object) -> Edge:
    return Edge(**({"share": share, "answer_s": (0.001,)} | more))  # type: ignore[arg-type]


def trace(tmp_path: Path, n: int) -> str:
    path = tmp_path / "arrivals.csv"
    path.write_text("timestamp\n" + "\n".join(str(0.5 * at) for at in range(n)))
    return str(path)


def test_cloud_gets_exactly_what_devices_leave_and_compare(tmp_path: Path) -> None:
    whole = parse_traffic(trace(tmp_path, 1000))

    compared = cloud_traffic(whole, share=0.6).arrivals_s(seed=0)
    alone = cloud_traffic(whole, share=0.6, compare_every=0).arrivals_s(seed=0)

    # Devices answer 600 of 1,000, of which one of fifty is asked of the cloud too.
    assert (len(compared), len(alone)) == (412, 400)
    assert set(compared) <= set(whole.arrivals_s(seed=0))


def test_who_asks_the_cloud_is_drawn_with_the_seed(tmp_path: Path) -> None:
    left = cloud_traffic(parse_traffic(trace(tmp_path, 1000)), share=0.6)

    assert left.is_drawn
    assert np.array_equal(left.arrivals_s(seed=1), left.arrivals_s(seed=1))
    assert not np.array_equal(left.arrivals_s(seed=1), left.arrivals_s(seed=2))


def test_bursts_stay_bursts() -> None:
    whole = parse_traffic("bursty:200/s,burst=8,calm=10s,spell=2s", duration_s=600)

    counts = np.bincount(cloud_traffic(whole, share=0.5).arrivals_s(seed=0).astype(int))
    assert counts.var() > 4 * counts.mean()


def test_users_see_devices_and_the_cloud_by_their_shares() -> None:
    cloud_s = np.array([0.010, 0.020, 0.030, math.nan])

    seen = as_users_see(cloud_s, slo_s=0.125, quality=0.09, edge=edge(ndcg_10=0.08), round_trip_s=0.1)

    # 60 % wait 1 ms; 10 % each 110, 120 and 130 ms; 10 % are refused.
    assert seen.p50_s == 0.001
    assert (seen.p95_s, seen.p99_s) == (math.inf, math.inf)
    assert seen.slo_share == pytest.approx(0.8)
    assert seen.quality == pytest.approx(0.6 * 0.08 + 0.4 * 0.09)


def test_percentiles_lie_in_the_distribution_that_reaches_them() -> None:
    cloud_s = np.linspace(0.010, 0.020, 1001)
    devices = edge(0.9, answer_s=tuple(np.linspace(0.001, 0.003, 101)))

    seen = as_users_see(cloud_s, slo_s=0.025, quality=None, edge=devices)

    # The median is at 50 / 90 of the devices' answers, p95 at half of the cloud's, p99 at nine tenths of them.
    assert seen.p50_s == pytest.approx(0.001 + 0.002 * 50 / 90, rel=0.01)
    assert (seen.p95_s, seen.p99_s) == (pytest.approx(0.015, rel=0.01), pytest.approx(0.019, rel=0.01))
    assert seen.quality is None


def test_cloud_alone_is_seen_behind_its_round_trip() -> None:
    seen = as_users_see(np.full(10, 0.005), slo_s=0.025, quality=0.09, round_trip_s=0.1)

    assert (seen.p50_s, seen.p99_s) == (pytest.approx(0.105), pytest.approx(0.105))
    assert (seen.slo_share, seen.quality) == (0.0, 0.09)


def test_unknown_quality_of_devices_leaves_the_mixture_unknown() -> None:
    assert as_users_see(np.full(3, 0.005), slo_s=0.025, quality=0.09, edge=edge()).quality is None


@pytest.mark.parametrize(
    ("n_devices", "updates", "n_bytes", "usd"),
    [
        # 10,000 x 4 x 700 kB = 28 GB, of which 100 are free
        (10_000, 4, 700_000, "0"),
        # 100,000 x 4 x 700 kB = 280 GB; 180 x 0.087
        (100_000, 4, 700_000, "15.66"),
        # 1,000,000 x 1 x 1 MB = 1,000 GB; 900 x 0.087
        (1_000_000, 1, 1_000_000, "78.3"),
        # 2,000,000 x 0.5 x 100.1 kB = 100.1 GB; 0.1 x 0.087
        (2_000_000, 0.5, 100_100, "0.0087"),
    ],
)
def test_downloads_are_billed_as_egress(n_devices: int, updates: float, n_bytes: int, usd: str) -> None:
    downloads = Downloads(n_devices=n_devices, updates_per_month=updates, bundle_bytes=n_bytes)

    bill = downloads_bill(downloads, PRICES)

    assert bill.total == Decimal(usd)
    assert bill.title == "Bundle downloads"
    assert any("from memory" in said for said in bill.unconfirmed)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"share": 1.0}, "leave the cloud no traffic, and nothing to plan; give an edge share below 1"),
        ({"share": 1.2}, "an edge share of 1.2; give the share of requests that devices answer"),
        ({"share": -0.1}, "an edge share of -0.1"),
        ({"share": math.nan}, "an edge share of nan"),
        ({"round_trip_s": -0.01}, "a round trip of -10 ms"),
        ({"ndcg_10": 2.0}, "NDCG@10 of 2 on devices"),
        ({"compare_every": -1}, "one of -1 answers compared"),
    ],
)
def test_impossible_devices_are_told_with_value_and_remedy(given: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        edge(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n_devices", "updates", "n_bytes", "said"),
    [
        (-5, 4, 1, "-5 devices that fetch the bundle; give at least 1"),
        (5, math.inf, 1, "inf updates of the bundle a month"),
        (5, 4, 0, "a bundle of 0 bytes"),
    ],
)
def test_impossible_downloads_are_told(n_devices: int, updates: float, n_bytes: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Downloads(n_devices=n_devices, updates_per_month=updates, bundle_bytes=n_bytes)
