"""What no plan can do better than, known before anything is simulated.

latency     nothing is answered faster than overhead, a model run alone and the network take
capacity    an instance answers no more than its processor has time for, in batches of the best size
"""

import numpy as np
from numpy.typing import NDArray

from planner.model import InstanceModel, Quantiles, VariantModel, mean_of
from planner.plans import SKUS

N_POINTS = 400
"Of each distribution, where two are added."
MIDDLES = (np.arange(N_POINTS) + 0.5) / N_POINTS


class Unattainable(ValueError):
    """What no allowed plan can do; the message gives the bound and the remedy."""


def unloaded_s(instance: InstanceModel, percentile: float) -> float:
    """A percentile of the latency without any queue, of the fastest variant.

    Overhead and run are taken to be independent.
    """
    return min(_percentile_of(instance, variant, percentile) for variant in instance.variants)


def most_per_s(instance: InstanceModel, sku: str) -> float:
    """Requests a second that one instance of a size can answer at the most, with its fastest variant.

    The overhead of a process's requests happens one after the other. Model runs share its core where it was
    measured with one; otherwise they may all go on beside it, which makes this a bound that no schedule beats. A
    size that was not measured has as many processes as it has times the cores.
    """
    overhead_s = mean_of(instance.overhead_s)
    has_one_core = SKUS[instance.sku].vcpu == 1
    best = 0.0
    for variant in instance.variants:
        for size in {*variant.batch_sizes, instance.max_batch}:
            if size > instance.max_batch:
                continue
            run_s = run_mean_s(variant, size)
            serial_s = size * overhead_s + run_s if has_one_core else max(size * overhead_s, run_s)
            best = max(best, size / serial_s if serial_s > 0 else np.inf)
    return best * max(1, SKUS[sku].vcpu // SKUS[instance.sku].vcpu)


def run_mean_s(variant: VariantModel, batch_size: int) -> float:
    """Mean of a model run, along a straight line between measured sizes and beyond the last."""
    sizes = variant.batch_sizes
    means_s = [mean_of(run) for run in variant.run_s]
    if batch_size <= sizes[-1]:
        return float(np.interp(batch_size, sizes, means_s))
    if len(sizes) == 1:
        return means_s[0] * batch_size
    slope = max(0.0, (means_s[-1] - means_s[-2]) / (sizes[-1] - sizes[-2]))
    return means_s[-1] + slope * (batch_size - sizes[-1])


def _percentile_of(instance: InstanceModel, variant: VariantModel, percentile: float) -> float:
    outside_s = np.add.outer(_points(instance.overhead_s), _points(instance.network_s))
    sums_s = np.add.outer(_middles(outside_s), _points(variant.run_s[0]))
    return float(np.percentile(sums_s, percentile))


def _points(quantiles: Quantiles) -> NDArray[np.float64]:
    """Equally likely values."""
    if len(quantiles) == 1:
        return np.array(quantiles)
    return np.interp(MIDDLES, np.linspace(0, 1, len(quantiles)), quantiles)


def _middles(values_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """So many values that stand for all of them."""
    return np.quantile(values_s, MIDDLES) if values_s.size > N_POINTS else values_s.ravel()
