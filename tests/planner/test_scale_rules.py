"""The rules of a Premium plan, with instances that do what was decided and a clock that is a number."""

from itertools import pairwise

import pytest

from planner.plans import SKUS, PremiumPlan
from planner.scale_rules import Decision, Instance, Load, ScaleRules, ScaleSettings

SETTINGS = ScaleSettings(
    target_outstanding=4, window_s=1, idle_s=60, scale_in_after_s=30, scale_in_every_s=10, scale_in_margin=0.8
)


class Plan:
    """Does what the rules decide; added instances start until told otherwise."""

    def __init__(self, *, settings: ScaleSettings = SETTINGS, **limits: int) -> None:
        self.rules = ScaleRules(PremiumPlan(sku=SKUS["EP1"], **limits), settings)
        self.instances: list[Instance] = []
        self.now_s = 0.0
        self.n_arrived = 0
        self.n_held = 0
        self._n_added = 0

    def tick(self, after_s: float = 0.1) -> list[tuple[str, ...]]:
        """Let time pass and follow the decisions; gives action, what it is about, and reason of each."""
        self.now_s += after_s
        steps = self.rules.decide(self.now_s, self.instances, Load(self.n_arrived, self.n_held))
        for step in steps:
            self._follow(step)
        return [(step.action, step.instance or step.role, step.reason) for step in steps]

    def run(self, duration_s: float) -> list[tuple[str, ...]]:
        return [step for _ in range(round(duration_s * 10)) for step in self.tick()]

    def be_ready(self, *ids: str) -> None:
        for instance in self.instances:
            if not ids or instance.id in ids:
                instance.state = "ready"

    def load(self, in_flight: int) -> None:
        """Requests in flight, spread over the active instances."""
        self.n_arrived += in_flight
        active = self.of("active")
        for index, instance in enumerate(active):
            instance.in_flight = in_flight // len(active) + (index < in_flight % len(active))

    def of(self, role: str) -> list[Instance]:
        return [instance for instance in self.instances if instance.role == role]

    def lose(self, instance_id: str) -> None:
        self.instances = [instance for instance in self.instances if instance.id != instance_id]

    def _follow(self, step: Decision) -> None:
        if step.action == "add":
            self._n_added += 1
            self.instances.append(Instance(f"I{self._n_added}", step.role, "starting"))
        elif step.action == "activate":
            next(each for each in self.instances if each.id == step.instance).role = "active"
        else:
            self.lose(str(step.instance))


def idle(**limits: int) -> Plan:
    """A plan whose always-ready instances are there."""
    plan = Plan(**limits)
    plan.tick()
    plan.be_ready()
    return plan


def warm(**limits: int) -> Plan:
    """A plan with a first request behind it and a full buffer."""
    plan = idle(**limits)
    plan.load(1)
    plan.run(3)
    plan.be_ready()
    plan.load(0)
    return plan


def test_always_ready_instances_are_added_at_once() -> None:
    assert Plan(always_ready=3).tick() == [("add", "active", "minimum")] * 3


def test_nothing_is_pre_warmed_without_load() -> None:
    assert idle(always_ready=1, pre_warmed=2).run(600) == []


def test_first_request_fills_the_buffer_one_instance_a_second() -> None:
    plan = idle(pre_warmed=2)
    plan.load(1)

    assert plan.tick() == [("add", "pre_warmed", "first_load")]
    assert plan.run(0.8) == []
    assert plan.run(0.4) == [("add", "pre_warmed", "refill")]
    assert plan.run(10) == []


def test_demand_activates_a_pre_warmed_instance_and_refills_the_buffer() -> None:
    plan = warm()
    plan.load(40)

    assert plan.tick(5) == [("activate", "I2", "demand"), ("add", "pre_warmed", "refill")]


def test_ready_instance_of_the_buffer_comes_before_one_that_starts() -> None:
    plan = idle(pre_warmed=2)
    plan.load(1)
    plan.run(3)
    plan.be_ready("I3")
    plan.load(40)

    assert plan.tick(5)[0] == ("activate", "I3", "demand")
    assert plan.tick(5)[0] == ("activate", "I2", "demand")


def test_cold_instance_is_added_where_the_buffer_is_empty() -> None:
    plan = idle(pre_warmed=0)
    plan.load(40)

    assert plan.tick(5) == [("add", "active", "demand")]


def test_scale_out_adds_at_most_one_instance_a_second() -> None:
    plan = idle(pre_warmed=0)
    plan.load(400)
    added = plan.run(5.05)

    assert added == [("add", "active", "demand")] * 5


def test_scale_out_stops_where_the_demand_is_met() -> None:
    plan = idle(pre_warmed=0)
    for _ in range(20):
        plan.load(10)
        plan.tick(1)
        plan.be_ready()

    assert len(plan.instances) == 3


@pytest.mark.parametrize(("limits", "n_active", "n_all"), [
    ({"max_burst": 3, "pre_warmed": 1}, 3, 3),
    ({"max_burst": 10, "scale_limit": 4, "pre_warmed": 1}, 4, 4),
    ({"max_burst": 4, "pre_warmed": 2}, 4, 4),
])  # fmt: skip
def test_limits_hold_under_any_load(limits: dict[str, int], n_active: int, n_all: int) -> None:
    plan = idle(**limits)
    for _ in range(40):
        plan.load(1000)
        plan.tick(1)
        plan.be_ready()

        assert len(plan.instances) <= n_all

    assert len(plan.of("active")) == n_active


def test_requests_that_wait_for_a_starting_instance_ask_for_no_further_one() -> None:
    plan = idle(pre_warmed=0)
    plan.load(6)
    plan.tick(5)
    starting = plan.instances[-1]
    starting.in_flight, plan.n_held = 300, 300
    plan.instances[0].in_flight = 4

    assert plan.run(5) == []


def test_requests_that_wait_for_any_instance_are_demand() -> None:
    plan = idle(pre_warmed=0)
    plan.n_held = 9

    assert plan.tick(5) == [("add", "active", "demand")]


def test_lost_always_ready_instance_is_replaced_from_the_buffer() -> None:
    plan = warm()
    plan.lose("I1")

    assert plan.tick() == [("activate", "I2", "minimum"), ("add", "pre_warmed", "refill")]


def test_lost_always_ready_instance_is_replaced_cold_where_there_is_no_load() -> None:
    plan = idle()
    plan.lose("I1")

    assert plan.tick() == [("add", "active", "minimum")]


def test_draining_instance_neither_counts_nor_is_chosen() -> None:
    plan = idle(always_ready=1)
    plan.instances[0].state = "draining"

    assert plan.tick() == [("add", "active", "minimum")]


def test_active_instances_go_one_after_the_other_once_fewer_would_do() -> None:
    plan = idle(pre_warmed=0, max_burst=5)
    while len(plan.instances) < 5:
        plan.load(400)
        plan.tick(1)
        plan.be_ready()
    times = []
    for _ in range(1200):
        plan.load(1)  # requests go on
        times += [(round(plan.now_s), step[1], step[2]) for step in plan.tick()]

    assert [step[1:] for step in times] == [(f"I{n}", "low_demand") for n in (5, 4, 3, 2)]
    assert times[0][0] >= 30
    assert {later[0] - earlier[0] for earlier, later in pairwise(times)} == {10}


def test_demand_near_the_target_keeps_its_instances() -> None:
    plan = idle(pre_warmed=0)
    plan.load(8)
    plan.tick(5)
    plan.be_ready()
    for _ in range(3000):
        plan.load(4)  # one could carry these, with nothing to spare
        assert plan.tick() == []


def test_buffer_goes_when_load_has_ended_and_comes_back_with_it() -> None:
    plan = warm()

    assert plan.run(59) == []
    assert plan.run(5) == [("remove", "I2", "load_ended")]
    assert plan.run(600) == []

    plan.load(1)

    assert plan.tick() == [("add", "pre_warmed", "first_load")]


def test_minimum_is_never_scaled_in() -> None:
    plan = warm(always_ready=3)
    plan.run(3600)

    assert [instance.role for instance in plan.instances] == ["active"] * 3


def test_decision_carries_the_numbers_behind_it() -> None:
    plan = warm()
    plan.load(40)
    [decision, _] = plan.rules.decide(plan.now_s + 100, plan.instances, Load(plan.n_arrived))

    assert decision.demand == pytest.approx(40)
    assert (decision.n_wanted, decision.n_active, decision.n_pre_warmed) == (10, 1, 1)


def test_same_numbers_give_the_same_decisions() -> None:
    def history() -> list[tuple[str, ...]]:
        plan, steps = idle(pre_warmed=1, max_burst=5), []
        for second in range(300):
            plan.load((second * 7) % 50 if second < 100 else 0)
            steps += plan.tick(1)
            plan.be_ready()
        return steps

    assert history() == history()
    assert {step[0] for step in history()} == {"add", "activate", "remove"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target_outstanding": 0}, "target_outstanding is 0; give more than 0"),
        ({"window_s": -1}, "window_s is -1; give more than 0"),
        ({"idle_s": -1}, "idle_s is -1; times cannot be negative"),
        ({"idle_s": float("nan")}, "idle_s is nan"),
        ({"scale_in_margin": 1.5}, "scale_in_margin is 1.5; give a share"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ScaleSettings(**settings)
