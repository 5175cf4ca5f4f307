import numpy as np
import pytest

from planner.model import (
    ColdStartModel,
    IdleSlowdown,
    InstanceModel,
    VariantModel,
    mean_of,
    quantiles_at,
    quantiles_of,
)


def variant(**changes: object) -> VariantModel:
    return VariantModel(
        **({"name": "student", "ndcg_10": 0.09, "batch_sizes": (1,), "run_s": ((0.001, 0.002),)} | changes)  # type: ignore[arg-type]
    )


def instance(**changes: object) -> InstanceModel:
    values = {
        "sku": "EP1",
        "overhead_s": (0.0002, 0.0003),
        "variants": (variant(), variant(name="counts", run_s=((0.0001, 0.0004),))),
        "cold_start": ColdStartModel(ready_s=(1.0, 2.0)),
        "concurrency_limit": 64,
        "max_batch": 32,
        "network_s": (0.0005,),
    }
    return InstanceModel(**(values | changes))  # type: ignore[arg-type]


def test_quantiles_keep_the_mean_of_the_samples() -> None:
    samples_s = np.random.default_rng(1).gamma(4, 0.001, 20_000)

    assert mean_of(quantiles_of(samples_s, n=1001)) == pytest.approx(samples_s.mean(), rel=0.005)


def test_few_samples_are_their_own_quantiles() -> None:
    assert quantiles_of([0.3, 0.1, 0.2]) == pytest.approx((0.1, 0.2, 0.3))
    assert quantiles_of([0.3]) == (0.3,)


def test_quantiles_of_a_formula_keep_its_mean() -> None:
    quantiles = quantiles_at(lambda p: -2.0 * np.log1p(-p), n=100_001)

    assert mean_of(quantiles) == pytest.approx(2.0, rel=1e-3)


def test_fastest_answer_is_network_overhead_and_the_quickest_run() -> None:
    assert instance().fastest_s == pytest.approx(0.0005 + 0.0002 + 0.0001)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_sizes": (2,)}, "measure a batch of 1 first"),
        ({"batch_sizes": (1, 8, 4), "run_s": ((1.0,),) * 3}, "must ascend"),
        ({"batch_sizes": (1, 8)}, "1 distributions for 2 batch sizes"),
        ({"run_s": ((),)}, "no quantiles"),
        ({"run_s": ((0.002, 0.001),)}, "must ascend"),
        ({"run_s": ((-0.1, 0.001),)}, "0 or more"),
        ({"run_s": ((float("nan"),),)}, "finite"),
        ({"ndcg_10": 1.5}, "between 0 and 1"),
    ],
)
def test_contradictory_variants_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        variant(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"variants": ()}, "without variants"),
        ({"concurrency_limit": 0}, "let at least 1 request in"),
        ({"max_batch": 0}, "1 turns batching off"),
        ({"network_s": (-0.1,)}, "network: quantiles"),
        ({"overhead_s": ()}, "overhead: no quantiles"),
        ({"idle_slowdown": (IdleSlowdown(gap_s=0.1), IdleSlowdown(gap_s=0.1))}, "must ascend"),
    ],
)
def test_impossible_instances_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        instance(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gap_s": -0.1}, "0 or more"),
        ({"run": 0.9}, "run takes 0.9 times as long after 0.1 s idle"),
        ({"network": float("inf")}, "network takes inf times"),
    ],
)
def test_idleness_that_makes_faster_is_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        IdleSlowdown(**({"gap_s": 0.1} | changes))


@pytest.mark.parametrize("samples_s", [[], [-1.0], [float("inf")]])
def test_samples_that_are_no_times_are_refused(samples_s: list[float]) -> None:
    with pytest.raises(ValueError, match="samples"):
        quantiles_of(samples_s)
