"""All that a simulation knows and remembers, as arrays.

Requests, instances, workers and queues are rows of structured arrays, so that compiled code and Python see the same
fields. An instance takes a slot while it is allocated; a slot has one worker process for each vCPU; a worker has an
event loop, and a batcher for each rung of the ladder. Queues are linked through the requests' rows, since a request
is in one queue at a time. The first rows of `requests` are no requests: they stand in an event loop's queue for the
next run of a batcher, one for each.
"""

import math
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from planner.allocation import AllocationClass
from planner.model import InstanceModel, Quantiles, VariantModel, mean_of
from planner.plans import PremiumPlan
from planner.simulation.chance import keys_of
from planner.simulation.policies import PerRequestPlan, ServiceSettings

CLASSES: tuple[AllocationClass, ...] = get_args(AllocationClass)
STARTING_S, PRE_WARMED_S, ACTIVE_S, IDLE_S, BURST_S, DRAINING_S = range(6)
"Places of the classes in `CLASSES` and in `World.allocated_s`."
NOBODY = -1

EMPTY, STARTING, READY, DRAINING = range(4)
"States of a slot."
COMING, ENTERING, REFUSED, QUEUED, LEAVING, ANSWERED, SHED = range(7)
"Phases of a request: not there yet or held, in the event loop to be let in or to be refused, in a batch, ..."
GAP_S, OF_OVERHEAD, OF_RUN, OF_NETWORK = range(4)
"Rows of `World.slowdowns`."
UNTOUCHED, IMPACTED, COLD = range(3)
"Whether a request waited for an instance; the first of those that wait for a start is cold."

REQUEST = np.dtype([
    ("arrived_s", "f8"), ("sent_s", "f8"), ("left_s", "f8"), ("joined_s", "f8"), ("gap_s", "f8"),
    ("next", "i8"),
    ("worker", "i4"), ("rung", "i1"), ("phase", "i1"), ("waited", "i1"),
])  # fmt: skip
SLOT = np.dtype([
    ("number", "i8"), ("in_flight", "i8"), ("chosen", "i8"), ("dealt", "i8"), ("turns_s", "f8"),
    ("since_s", "f8"), ("state", "i1"), ("kind", "i1"), ("is_active", "?"),
])  # fmt: skip
WORKER = np.dtype([
    ("due_s", "f8"), ("loop_ends_s", "f8"), ("loop_job", "i8"), ("inline_batch", "i8"),
    ("thread_ends_s", "f8"), ("thread_batch", "i8"), ("thread_rung", "i8"), ("admitted", "i8"),
    ("level", "f8"), ("pressure", "f8"), ("dimmed_s", "f8"), ("integral", "f8"), ("shed_s", "f8"),
    ("least_s", "f8"), ("least_before_s", "f8"), ("window_s", "f8"),
    ("thread_began_s", "f8"), ("loop_used_s", "f8"), ("idle_since_s", "f8"),
])  # fmt: skip
QUEUE = np.dtype([("head", "i8"), ("tail", "i8"), ("n", "i8"), ("is_busy", "?"), ("is_parked", "?")])
TABLE = np.dtype([("first", "i8"), ("n", "i8")])
BATCH = np.dtype([("table", "i8"), ("share", "f8"), ("scale", "f8"), ("is_short", "?")])
RUNG = np.dtype([("fixed_s", "f8"), ("each_s", "f8"), ("most", "i8")])
CLOCK = np.dtype([
    ("now_s", "f8"), ("tick_s", "f8"), ("horizon_s", "f8"), ("n_arrived", "i8"), ("n_done", "i8"),
    ("n_held", "i8"), ("n_chosen", "i8"), ("n_runs", "i8"), ("n_started", "i8"), ("n_slots", "i8"),
    ("n_by_age", "i8"), ("n_cold", "i8"), ("n_in_runs", "i8"),
    ("to_reassign", "i8"),
])  # fmt: skip
CONSTANTS = np.dtype([
    ("n_requests", "i8"), ("n_rungs", "i8"), ("n_workers", "i8"), ("n_slots", "i8"), ("limit", "i8"),
    ("max_held", "i8"), ("is_premium", "?"), ("sheds", "?"), ("dims", "?"), ("holds", "?"),
    ("concurrency", "i8"), ("kept", "i8"), ("max_instances", "i8"), ("expiry_s", "f8"), ("slo_s", "f8"),
    ("deadline_s", "f8"), ("target_s", "f8"), ("rise_at", "f8"), ("fall_at", "f8"), ("answer_share", "f8"),
    ("refusal_share", "f8"), ("tick_s", "f8"),
])  # fmt: skip


class World(NamedTuple):
    requests: NDArray[Any]
    slots: NDArray[Any]
    workers: NDArray[Any]
    queues: NDArray[Any]
    clock: NDArray[Any]
    constants: NDArray[Any]
    quantiles: NDArray[np.float64]
    tables: NDArray[Any]
    "Overhead, cold start, then runs by rung and size; where each is in `quantiles`."
    batches: NDArray[Any]
    "How long a run takes, (n_rungs, max_batch + 1)."
    rungs: NDArray[Any]
    slowdowns: NDArray[np.float64]
    "Factors by the pause of its worker before a request, (4, n)."
    keys: NDArray[np.uint64]
    by_age: NDArray[np.int64]
    "Slots of a Premium plan's instances, oldest first; the first `n_by_age` count."
    allocated_s: NDArray[np.float64]
    "By class, up to each slot's last change."
    in_flight: NDArray[np.int64]
    is_ready: NDArray[np.bool_]
    "Room to gather both of the active instances."

    @property
    def first_request(self) -> int:
        """The row of the first request."""
        return len(self.requests) - int(self.constants[0]["n_requests"])


def build_world(
    arrivals_s: NDArray[np.float64],
    *,
    plan: PremiumPlan | PerRequestPlan,
    instance: InstanceModel,
    service: ServiceSettings,
    n_workers: int,
    brownout: bool,
    slo_s: float,
    duration_s: float,
    tick_s: float,
    rng: np.random.Generator,
) -> World:
    """The world before the first arrival, without any instance.

    Args:
        arrivals_s: ascending, (n,).
        n_workers: of one instance.
    """
    is_premium = isinstance(plan, PremiumPlan)
    n_slots = 2 * plan.max_burst + 16 if isinstance(plan, PremiumPlan) else plan.max_instances
    n_rungs = len(instance.variants)
    n_tokens = n_slots * n_workers * n_rungs
    requests = np.zeros(n_tokens + len(arrivals_s), REQUEST)
    requests["arrived_s"][n_tokens:] = arrivals_s
    requests["next"] = requests["worker"] = NOBODY
    slots = np.zeros(n_slots, SLOT)
    slots["turns_s"] = math.inf
    workers = np.zeros(n_slots * n_workers, WORKER)
    for name in ("due_s", "loop_ends_s", "thread_ends_s", "least_s", "least_before_s"):
        workers[name] = math.inf
    queues = np.zeros(n_slots * n_workers * (n_rungs + 1) + n_slots + 1, QUEUE)
    queues["head"] = queues["tail"] = NOBODY
    clock = np.zeros(1, CLOCK)
    clock["horizon_s"] = duration_s
    clock["to_reassign"] = NOBODY
    if not is_premium:
        clock["tick_s"] = math.inf
    quantiles, tables = _gather(instance)
    rise_at = service.brownout_at if service.brownout_at < 1 else math.inf
    constants = np.zeros(1, CONSTANTS)
    values: dict[str, Any] = {
        "n_requests": len(arrivals_s),
        "n_rungs": n_rungs,
        "n_workers": n_workers,
        "n_slots": n_slots,
        "limit": instance.concurrency_limit,
        "max_held": service.max_held,
        "is_premium": is_premium,
        "sheds": service.sheds,
        "dims": brownout and n_rungs > 1 and rise_at < math.inf,
        "slo_s": slo_s,
        "deadline_s": service.deadline_s,
        "target_s": slo_s * service.delay_share,
        "rise_at": rise_at,
        "fall_at": min(0.4, rise_at / 2),
        "answer_share": service.answer_share,
        "refusal_share": service.refusal_share,
        "tick_s": tick_s,
    }
    if isinstance(plan, PerRequestPlan):
        values |= {
            "holds": plan.holds,
            "concurrency": plan.concurrency,
            "kept": plan.kept,
            "max_instances": plan.max_instances,
            "expiry_s": plan.expiry_s,
        }
    for name, value in values.items():
        constants[name] = value
    return World(
        requests=requests,
        slots=slots,
        workers=workers,
        queues=queues,
        clock=clock,
        constants=constants,
        quantiles=quantiles,
        tables=tables,
        batches=_batches(instance, max_inline_s=service.max_inline_s),
        rungs=_rungs(instance),
        slowdowns=slowdowns_of(instance),
        keys=keys_of(rng),
        by_age=np.zeros(n_slots, np.int64),
        allocated_s=np.zeros(len(CLASSES)),
        in_flight=np.zeros(n_slots, np.int64),
        is_ready=np.zeros(n_slots, np.bool_),
    )


def _gather(instance: InstanceModel) -> tuple[NDArray[np.float64], NDArray[Any]]:
    distributions: list[Quantiles] = [instance.overhead_s, instance.cold_start.ready_s]
    for variant in instance.variants:
        distributions += variant.run_s
    tables = np.zeros(len(distributions), TABLE)
    tables["n"] = [len(each) for each in distributions]
    tables["first"] = np.cumsum(tables["n"]) - tables["n"]
    return np.concatenate([np.asarray(each, np.float64) for each in distributions]), tables


def slowdowns_of(instance: InstanceModel) -> NDArray[np.float64]:
    """Gaps, and the factors of overhead, run and network, (4, n)."""
    points = [(each.gap_s, each.overhead, each.run, each.network) for each in instance.idle_slowdown]
    return np.ascontiguousarray(np.array(points, np.float64).reshape(-1, 4).T)


def _batches(instance: InstanceModel, *, max_inline_s: float) -> NDArray[Any]:
    """Between two measured sizes a run takes what a straight line says, at the same luck; beyond the last, too."""
    batches = np.zeros((len(instance.variants), instance.max_batch + 1), BATCH)
    batches["scale"] = 1.0
    first = 2
    for variant, row in zip(instance.variants, batches, strict=True):
        sizes = variant.batch_sizes
        fixed_s, each_s = line_of(variant)
        for n in range(1, instance.max_batch + 1):
            row[n]["is_short"] = fixed_s + each_s * n < max_inline_s
            if len(sizes) == 1:  # as if batching bought nothing
                row[n]["table"], row[n]["scale"] = first, n
                continue
            low = min(sum(size <= n for size in sizes) - 1, len(sizes) - 2)
            row[n]["table"] = first + low
            row[n]["share"] = (n - sizes[low]) / (sizes[low + 1] - sizes[low])
        first += len(sizes)
    return batches


def _rungs(instance: InstanceModel) -> NDArray[Any]:
    rungs = np.zeros(len(instance.variants), RUNG)
    for variant, row in zip(instance.variants, rungs, strict=True):
        fixed_s, each_s = line_of(variant)
        knee = max(2, round(9 * fixed_s / each_s)) if each_s > 0 else instance.max_batch
        row["fixed_s"], row["each_s"], row["most"] = fixed_s, each_s, min(knee, instance.max_batch)
    return rungs


def line_of(variant: VariantModel) -> tuple[float, float]:
    """Fixed and added seconds of a run, a + b n: what `LatencyCurve` learns of these means."""
    means = [mean_of(quantiles) for quantiles in variant.run_s]
    sizes = variant.batch_sizes
    if len(sizes) == 1:
        return 0.0, means[0]
    mean_n, mean_s = sum(sizes) / len(sizes), sum(means) / len(means)
    spread = sum((n - mean_n) ** 2 for n in sizes)
    slope = sum((n - mean_n) * (s - mean_s) for n, s in zip(sizes, means, strict=True)) / spread
    each_s = max(0.0, min(mean_s / mean_n, slope))
    return max(0.0, mean_s - each_s * mean_n), each_s
