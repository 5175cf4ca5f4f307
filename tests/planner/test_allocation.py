import numpy as np
import pytest

from planner.allocation import AllocationLedger, classify
from planner.scale_rules import Instance


def test_each_instance_is_in_the_class_of_its_role_and_state() -> None:
    instances = [
        Instance("gone", "active", "draining", in_flight=2),
        Instance("busy", "active", "ready", in_flight=1),
        Instance("quiet", "active", "ready"),
        Instance("more", "active", "ready"),
        Instance("cold", "active", "starting", in_flight=3),
        Instance("reserve", "pre_warmed", "ready"),
    ]

    assert dict(classify(instances, always_ready=2)) == {
        "gone": "draining",
        "busy": "active",
        "quiet": "idle",
        "more": "burst",
        "cold": "starting",
        "reserve": "pre_warmed",
    }


def test_time_belongs_to_what_was_observed_before_it() -> None:
    ledger = AllocationLedger(always_ready=1)
    instance = Instance("I1", "active", "starting")
    ledger.observe(10.0, [instance])
    instance.state = "ready"
    ledger.observe(10.75, [instance])
    instance.in_flight = 1
    ledger.observe(12.0, [instance])
    ledger.observe(12.5, [])
    ledger.observe(100.0, [])

    assert ledger.total_s == {"starting": 0.75, "idle": 1.25, "active": 0.5}


def test_taken_seconds_are_told_once() -> None:
    ledger = AllocationLedger(always_ready=1)
    instances = [Instance("I1", "active", "ready"), Instance("I2", "pre_warmed", "ready")]
    ledger.observe(0.0, instances)
    ledger.observe(1.0, instances)

    assert ledger.take() == {("I1", "idle"): 1.0, ("I2", "pre_warmed"): 1.0}
    assert ledger.take() == {}
    assert ledger.total_s == {"idle": 1.0, "pre_warmed": 1.0}


def test_seconds_add_up_to_lifetimes_whatever_happens_meanwhile() -> None:
    rng = np.random.default_rng(7)
    ledger, instances, lifetimes_s, now_s = AllocationLedger(always_ready=2), [], 0.0, 0.0
    ledger.observe(now_s, instances)
    for step in range(2000):
        elapsed_s = float(rng.exponential(0.3))
        now_s += elapsed_s
        lifetimes_s += elapsed_s * len(instances)
        if rng.random() < 0.2 or not instances:
            role = "active" if rng.random() < 0.7 else "pre_warmed"
            instances.append(Instance(f"I{step}", role, "starting"))
        elif rng.random() < 0.2:
            instances.pop(int(rng.integers(len(instances))))
        for instance in instances:
            instance.state = str(rng.choice(["starting", "ready", "draining"]))
            instance.in_flight = int(rng.integers(2))
        ledger.observe(now_s, instances)

    assert sum(ledger.total_s.values()) == pytest.approx(lifetimes_s)
    assert sum(ledger.take().values()) == pytest.approx(lifetimes_s)
