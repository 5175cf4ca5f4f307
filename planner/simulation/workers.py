"""A worker process: an event loop that does one thing at a time, and a thread for the longer model runs.

The event loop takes its jobs in the order in which they came:

    let in    a request is decoded and admitted, or refused, which takes its share of the overhead
    run       whoever waits for a rung shares its next run; a short one happens here, a longer one on the thread
    answer    what is left of the overhead

Batches are those of `recserve.inference.batcher`: nobody is delayed for company, a run takes those that were let in
by then, up to the largest size, the knee of the latency curve and what the first can still wait for. Brownout and
shedding are the service's own rules (`brownout.move`, `shedding.step`), compiled. A worker has one core: what the loop
does makes a run on the thread later by as much, and a loop that has had more than half of the core since the run began
takes twice as long for its next job, as with a scheduler that is fair to both. A request that finds its worker idle
takes longer, and so does the run that it is the first of, by what the worker's pause costs (`IdleSlowdown`).

Simpler than the service: the latency curve is known, not learned; so is the concurrency limit, which does not move;
the standing delay is the least wait of the last one or two halves of its window; nobody forbears from refusing; no
request has low priority; and there is one thread, so that a second rung waits for the first.
"""

import math

from planner.simulation.chance import OVERHEAD, RUN, RUNG, SHEDDING, draw, uniform
from planner.simulation.compiled import compiled
from planner.simulation.queues import batch_of, loop_of, pop, push
from planner.simulation.world import (
    ENTERING,
    GAP_S,
    LEAVING,
    NOBODY,
    OF_OVERHEAD,
    OF_RUN,
    QUEUED,
    REFUSED,
    World,
)
from recserve.admission import brownout, shedding
from recserve.admission.brownout import DimmerGains
from recserve.admission.shedding import ShedGains

HALF_WINDOW_S = 0.01
"Half of the window of `QueueingDelay`."

move = compiled(brownout.move)
step = compiled(shedding.step)


@compiled
def enter(world: World, worker: int, row: int, now_s: float) -> None:
    """A request reaches a worker."""
    request = world.requests[row]
    request.worker = worker
    request.sent_s = now_s
    request.phase = ENTERING
    me = world.workers[worker]
    request.gap_s = now_s - me.idle_since_s if me.due_s == math.inf else 0.0
    push(world, loop_of(world, worker), row)
    go_on(world, worker, now_s)


@compiled
def advance_worker(world: World, worker: int, now_s: float) -> int:
    """Do what is due at this moment; gives the request that has left, or nobody."""
    has_left = NOBODY
    me = world.workers[worker]
    if me.thread_ends_s <= now_s and me.thread_ends_s <= me.loop_ends_s:
        first = me.thread_batch
        rung = me.thread_rung
        me.thread_ends_s = math.inf
        me.thread_batch = NOBODY
        _hand_out(world, worker, first)
        for other in range(world.constants[0].n_rungs):
            queue = world.queues[batch_of(world, worker, other)]
            if queue.is_parked:
                queue.is_parked = False
                push(world, loop_of(world, worker), _token(world, worker, other))
        _schedule(world, worker, rung)
    elif me.loop_ends_s <= now_s:
        has_left = _finish(world, worker, now_s)
    go_on(world, worker, now_s)
    return has_left


@compiled
def go_on(world: World, worker: int, now_s: float) -> None:
    """Let an idle event loop begin its next job, and say when something is due."""
    me = world.workers[worker]
    queue = world.queues[loop_of(world, worker)]
    while me.loop_ends_s == math.inf and queue.n > 0:
        row = pop(world, loop_of(world, worker))
        if row < len(world.requests) - world.constants[0].n_requests:
            takes_s = _run(world, worker, row % world.constants[0].n_rungs, now_s)
            if takes_s < 0:
                continue
        else:
            takes_s = _begin(world, worker, row, now_s)
        me.loop_job = row
        me.loop_ends_s = now_s + takes_s
        if me.thread_ends_s < math.inf:
            me.thread_ends_s += takes_s
            if me.loop_used_s > (now_s - me.thread_began_s) / 2:
                me.loop_ends_s += takes_s
            me.loop_used_s += takes_s
    me.due_s = min(me.loop_ends_s, me.thread_ends_s)


@compiled
def _begin(world: World, worker: int, row: int, now_s: float) -> float:
    """What a request's next job on the event loop takes; whether it is let in is decided here."""
    constants = world.constants[0]
    request = world.requests[row]
    number = row - (len(world.requests) - constants.n_requests)
    table = world.tables[0]
    overhead_s = draw(world.quantiles, table.first, table.n, uniform(world.keys, OVERHEAD, number))
    overhead_s *= _slowdown(world, OF_OVERHEAD, request.gap_s)
    if request.phase != ENTERING:  # answered, or refused by the batcher
        return float(overhead_s * constants.answer_share)
    rung = _admit(world, worker, number, now_s - request.sent_s, now_s)
    if rung == NOBODY:
        request.phase = REFUSED
        return float(overhead_s * constants.refusal_share)
    request.rung = rung
    return float(overhead_s * (1.0 - constants.answer_share))


@compiled
def _admit(world: World, worker: int, number: int, waited_s: float, now_s: float) -> int:
    """The rung of a request, or nobody's if it is refused."""
    constants = world.constants[0]
    me = world.workers[worker]
    delay_s = _standing_delay(world, worker, waited_s, now_s) if constants.sheds or constants.dims else 0.0
    if me.admitted + 1 > constants.limit:
        return NOBODY
    if constants.sheds:
        gains = ShedGains(constants.target_s, 1.5, 0.15, 0.98)
        me.integral, share = step(me.integral, delay_s, now_s - me.shed_s, gains)
        me.shed_s = now_s
        if share > 0 and me.admitted > 0 and uniform(world.keys, SHEDDING, number) < share:
            return NOBODY
    rung = 0
    if constants.dims:
        pressure = max(me.admitted / constants.limit, delay_s / constants.target_s)
        last = constants.n_rungs - 1
        gains_of_dimmer = DimmerGains(last, constants.rise_at, constants.fall_at, 4.0, 1.5)
        me.level = move(me.level, me.pressure, now_s - me.dimmed_s, gains_of_dimmer)
        me.pressure = pressure
        me.dimmed_s = now_s
        rung = min(int(me.level + uniform(world.keys, RUNG, number)), last)
    me.admitted += 1
    return rung


@compiled
def _standing_delay(world: World, worker: int, waited_s: float, now_s: float) -> float:
    """The least wait for the event loop in this half window and the one before."""
    me = world.workers[worker]
    if now_s - me.window_s >= HALF_WINDOW_S:
        me.least_before_s = me.least_s if now_s - me.window_s < 2 * HALF_WINDOW_S else math.inf
        me.least_s = math.inf
        me.window_s = now_s
    me.least_s = min(me.least_s, waited_s)
    return float(min(me.least_s, me.least_before_s))


@compiled
def _finish(world: World, worker: int, now_s: float) -> int:
    """End the event loop's job; gives the request that has left, or nobody."""
    me = world.workers[worker]
    row = me.loop_job
    me.loop_ends_s = math.inf
    if row < len(world.requests) - world.constants[0].n_requests:
        first = me.inline_batch
        me.inline_batch = NOBODY
        _hand_out(world, worker, first)
        _schedule(world, worker, row % world.constants[0].n_rungs)
        return NOBODY
    request = world.requests[row]
    if request.phase == ENTERING:
        request.phase = QUEUED
        request.joined_s = now_s
        queue = batch_of(world, worker, request.rung)
        push(world, queue, row)
        if not world.queues[queue].is_busy:
            world.queues[queue].is_busy = True
            push(world, loop_of(world, worker), _token(world, worker, request.rung))
        return NOBODY
    if request.phase == LEAVING:
        me.admitted -= 1
    me.idle_since_s = now_s
    return int(row)


@compiled
def _run(world: World, worker: int, rung: int, now_s: float) -> float:
    """Begin a rung's next run; gives what it takes of the event loop, negative if it is not there."""
    constants = world.constants[0]
    me = world.workers[worker]
    number = batch_of(world, worker, rung)
    queue = world.queues[number]
    if me.thread_ends_s < math.inf and not world.batches[rung, 1].is_short:
        queue.is_parked = True
        return -1.0
    curve = world.rungs[rung]
    most = curve.most
    first, last, n, is_bounded = NOBODY, NOBODY, 0, False
    while queue.n > 0 and n < most:
        row = pop(world, number)
        joined_s = world.requests[row].joined_s
        deadline_s = world.requests[row].sent_s + constants.deadline_s
        if deadline_s - now_s < curve.fixed_s + curve.each_s:
            world.requests[row].phase = REFUSED
            world.requests[row].next = NOBODY
            push(world, loop_of(world, worker), row)
            me.admitted -= 1
            continue
        if not is_bounded:
            spare_s = min(deadline_s, joined_s + constants.slo_s) - now_s
            if curve.fixed_s + curve.each_s <= spare_s:
                is_bounded = True
                if curve.each_s > 0 and (spare_s - curve.fixed_s) / curve.each_s < most:
                    most = max(1, int((spare_s - curve.fixed_s) / curve.each_s))
        if first == NOBODY:
            first = row
        else:
            world.requests[last].next = row
        world.requests[row].next = NOBODY
        last = row
        n += 1
    if n == 0:
        queue.is_busy = False
        return -1.0
    batch = world.batches[rung, n]
    u = uniform(world.keys, RUN, world.clock[0].n_runs)
    world.clock[0].n_runs += 1
    world.clock[0].n_in_runs += n
    table = world.tables[batch.table]
    takes_s = draw(world.quantiles, table.first, table.n, u)
    if batch.share > 0:
        table = world.tables[batch.table + 1]
        takes_s += batch.share * (draw(world.quantiles, table.first, table.n, u) - takes_s)
    takes_s = float(max(0.0, takes_s * batch.scale))
    takes_s *= _slowdown(world, OF_RUN, world.requests[first].gap_s)
    # A long batch of a rung whose batches of one are short finds the thread busy at times: it is not parked.
    if batch.is_short or me.thread_ends_s < math.inf:
        me.inline_batch = first
        return takes_s
    me.thread_batch = first
    me.thread_rung = rung
    me.thread_began_s = now_s
    me.thread_ends_s = now_s + takes_s
    me.loop_used_s = 0.0
    return -1.0


@compiled
def _slowdown(world: World, which: int, gap_s: float) -> float:
    """How many times as long something takes after a worker was idle."""
    n = world.slowdowns.shape[1]
    if n == 0:
        return 1.0
    after = 0
    while after < n and world.slowdowns[GAP_S, after] <= gap_s:
        after += 1
    if after == 0 or after == n:
        return float(world.slowdowns[which, max(0, after - 1)])
    low_s, high_s = world.slowdowns[GAP_S, after - 1], world.slowdowns[GAP_S, after]
    low, high = world.slowdowns[which, after - 1], world.slowdowns[which, after]
    return float(low + (gap_s - low_s) / (high_s - low_s) * (high - low))


@compiled
def _hand_out(world: World, worker: int, first: int) -> None:
    """A run has ended: its requests line up for their answers."""
    row = first
    while row != NOBODY:
        after = world.requests[row].next
        world.requests[row].phase = LEAVING
        push(world, loop_of(world, worker), row)
        row = after


@compiled
def _schedule(world: World, worker: int, rung: int) -> None:
    """Line up a rung's next run, behind those whom the event loop has to let in first."""
    queue = world.queues[batch_of(world, worker, rung)]
    if queue.n > 0:
        push(world, loop_of(world, worker), _token(world, worker, rung))
    else:
        queue.is_busy = False


@compiled
def _token(world: World, worker: int, rung: int) -> int:
    """The row that stands for a rung's next run in the event loop's queue."""
    return int(worker * world.constants[0].n_rungs + rung)
