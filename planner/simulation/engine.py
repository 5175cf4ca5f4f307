"""The loop of the simulation: take what comes first, set the time, do it.

It runs in machine code until Python has something to do, which is seldom: an instance became ready, or drained; the
scale rules want something; the accounts are to be closed. The rules are asked at every tick, in machine code made of
their own source (`judge`, `outstanding_of`); where something is due, Python asks `ScaleRules` itself, before anything
has been remembered of the tick.
"""

import math
import sys
from collections.abc import Callable

import planner.scale_rules
import planner.simulation.chance
import planner.simulation.queues
import planner.simulation.routing
import planner.simulation.workers
import planner.simulation.world
import recserve.admission.brownout
import recserve.admission.shedding
from planner.scale_rules import Limits, Memory, Seen
from planner.simulation.compiled import compiled, digest_of, kept
from planner.simulation.routing import arrive, become_ready, expire, leave, reassign
from planner.simulation.workers import advance_worker
from planner.simulation.world import DRAINING, NOBODY, READY, STARTING, World

DONE, BECAME_READY, DRAINED, DECIDE, HORIZON, EVENT = range(6)
"Why the loop returned. At `DECIDE` nothing has been done yet at `now_s`; all else has."
WHERE_NEEDED, EVERY_TICK, EVERY_EVENT = range(3)
"When it returns."

judge = compiled(planner.scale_rules.judge)
outstanding_of: Callable[..., float] = compiled(planner.scale_rules.outstanding_of)


@compiled
def _advance(world: World, memory: Memory, limits: Limits, pauses: int) -> tuple[int, int, Memory]:
    constants = world.constants[0]
    clock = world.clock[0]
    first = len(world.requests) - constants.n_requests
    if clock.to_reassign != NOBODY:
        drained = clock.to_reassign
        clock.to_reassign = NOBODY
        reassign(world, drained, clock.now_s)
        return DRAINED, drained, memory
    while True:
        worker, worker_s = _next_worker(world)
        slot, slot_s = _next_slot(world)
        arrival_s = math.inf
        if clock.n_arrived < constants.n_requests:
            arrival_s = world.requests[first + clock.n_arrived].arrived_s
        now_s = min(worker_s, slot_s, arrival_s)
        if clock.horizon_s == math.inf and clock.n_done == constants.n_requests:
            return DONE, NOBODY, memory
        if min(now_s, clock.tick_s) >= clock.horizon_s:
            clock.now_s = clock.horizon_s
            return HORIZON, NOBODY, memory
        if clock.tick_s < now_s:
            clock.now_s = clock.tick_s
            next_memory, is_due = _tick(world, memory, limits)
            if is_due or pauses >= EVERY_TICK:
                return DECIDE, NOBODY, memory
            memory = next_memory
            clock.tick_s += constants.tick_s
            continue
        clock.now_s = now_s
        if worker_s <= now_s:
            row = advance_worker(world, worker, now_s)
            if row != NOBODY:
                drained = leave(world, row, now_s)
                if drained != NOBODY:
                    return DRAINED, drained, memory
        elif slot_s <= now_s:
            if world.slots[slot].state == STARTING:
                become_ready(world, slot, now_s)
                if constants.is_premium:
                    return BECAME_READY, slot, memory
            else:
                expire(world, slot, now_s)
        else:
            row = first + clock.n_arrived
            clock.n_arrived += 1
            arrive(world, row, now_s)
        if pauses == EVERY_EVENT:
            return EVENT, NOBODY, memory


@compiled
def _next_worker(world: World) -> tuple[int, float]:
    best, best_s = NOBODY, math.inf
    for worker in range(world.clock[0].n_slots * world.constants[0].n_workers):
        due_s = world.workers[worker].due_s
        if due_s < best_s:
            best, best_s = worker, due_s
    return best, best_s


@compiled
def _next_slot(world: World) -> tuple[int, float]:
    best, best_s = NOBODY, math.inf
    for slot in range(world.clock[0].n_slots):
        turns_s = world.slots[slot].turns_s
        if turns_s < best_s:
            best, best_s = slot, turns_s
    return best, best_s


@compiled
def _tick(world: World, memory: Memory, limits: Limits) -> tuple[Memory, bool]:
    """What the scale rules would remember, and whether anything is due."""
    clock = world.clock[0]
    n_active, n_pre_warmed = 0, 0
    for place in range(clock.n_by_age):
        slot = world.slots[world.by_age[place]]
        if slot.state == DRAINING:
            continue
        if slot.is_active:
            world.in_flight[n_active] = slot.in_flight
            world.is_ready[n_active] = slot.state == READY
            n_active += 1
        else:
            n_pre_warmed += 1
    outstanding = outstanding_of(
        world.in_flight[:n_active], world.is_ready[:n_active], clock.n_held, limits.target_outstanding
    )
    seen = Seen(clock.now_s, n_active, n_pre_warmed, outstanding, clock.n_arrived)
    after, due = judge(memory, seen, limits)
    is_due = due.n_missing > 0 or due.takes or due.refills or due.releases or due.removes
    return after, is_due


def _entry(digest: str) -> Callable[[World, Memory, Limits, int], tuple[int, int, Memory]]:
    def advance(world: World, memory: Memory, limits: Limits, pauses: int) -> tuple[int, int, Memory]:
        assert len(digest) > 0  # closes over it
        return _advance(world, memory, limits, pauses)

    return kept(advance)


advance = _entry(
    digest_of([
        sys.modules[__name__],
        planner.scale_rules,
        planner.simulation.chance,
        planner.simulation.queues,
        planner.simulation.routing,
        planner.simulation.workers,
        planner.simulation.world,
        recserve.admission.brownout,
        recserve.admission.shedding,
    ])
)  # fmt: skip
"""Run until there is something for Python to do.

Args:
    world: is changed.
    memory: of the scale rules.
    limits: of the scale rules.
    pauses: when to return.

Returns:
    Why, the slot that it concerns, and the memory of the scale rules.
"""
