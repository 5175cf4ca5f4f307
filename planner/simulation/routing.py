"""Which instance a request goes to: the front end of a Premium plan, and that of plans by the request."""

import math

from planner.simulation.chance import COLD_START, draw, uniform
from planner.simulation.compiled import compiled
from planner.simulation.queues import held_in, pop, push, start_of
from planner.simulation.workers import enter
from planner.simulation.world import (
    ACTIVE_S,
    ANSWERED,
    COLD,
    COMING,
    DRAINING,
    EMPTY,
    IDLE_S,
    IMPACTED,
    LEAVING,
    NOBODY,
    READY,
    SHED,
    STARTING,
    STARTING_S,
    World,
)


@compiled
def arrive(world: World, row: int, now_s: float) -> None:
    """A request reaches the front end."""
    if world.constants[0].is_premium:
        assign(world, row, now_s)
    else:
        _route(world, row, now_s)


@compiled
def assign(world: World, row: int, now_s: float) -> None:
    """To the instance with the fewest requests, ready or starting; of several, to that chosen longest ago."""
    clock = world.clock[0]
    best = NOBODY
    for place in range(clock.n_by_age):
        slot = world.by_age[place]
        each = world.slots[slot]
        if not each.is_active or each.state == DRAINING:
            continue
        if best == NOBODY:
            best = slot
        else:
            least = world.slots[best]
            if each.in_flight < least.in_flight or (
                each.in_flight == least.in_flight and each.chosen < least.chosen
            ):
                best = slot
    if world.slots[best].state == STARTING and not _hold(world, row):
        _refuse(world, row, now_s)
        return
    clock.n_chosen += 1
    world.slots[best].chosen = clock.n_chosen
    _give(world, row, best, now_s)


@compiled
def become_ready(world: World, slot: int, now_s: float) -> None:
    """An instance has started: send what waits for it."""
    it = world.slots[slot]
    it.state = READY
    it.turns_s = math.inf
    n_workers = world.constants[0].n_workers
    for worker in range(slot * n_workers, (slot + 1) * n_workers):
        world.workers[worker].idle_since_s = now_s
    if not world.constants[0].is_premium:
        _classify(world, slot, ACTIVE_S if it.in_flight > 0 else IDLE_S, now_s)
    queue = start_of(world, slot)
    is_first = True
    while world.queues[queue].n > 0:
        row = pop(world, queue)
        world.clock[0].n_held -= 1
        if is_first:
            world.requests[row].waited = COLD
            world.clock[0].n_cold += 1
            is_first = False
        _send(world, row, slot, now_s)


@compiled
def reassign(world: World, slot: int, now_s: float) -> None:
    """What waits for an instance goes elsewhere."""
    queue = start_of(world, slot)
    for _ in range(world.queues[queue].n):
        row = pop(world, queue)
        world.slots[slot].in_flight -= 1
        world.clock[0].n_held -= 1
        arrive(world, row, now_s)


@compiled
def leave(world: World, row: int, now_s: float) -> int:
    """A request is over; gives its slot if this was the last of a draining instance."""
    request = world.requests[row]
    request.left_s = now_s
    request.phase = ANSWERED if request.phase == LEAVING else SHED
    world.clock[0].n_done += 1
    slot = request.worker // world.constants[0].n_workers
    it = world.slots[slot]
    it.in_flight -= 1
    if it.in_flight == 0 and it.kind == ACTIVE_S:
        _classify(world, slot, IDLE_S, now_s)
    if not world.constants[0].is_premium:
        held = held_in(world)
        if world.queues[held].n > 0:
            waiting = pop(world, held)
            world.clock[0].n_held -= 1
            _give(world, waiting, slot, now_s)
        elif it.in_flight == 0 and slot >= world.constants[0].kept:
            it.turns_s = now_s + world.constants[0].expiry_s
        return NOBODY
    return slot if it.in_flight == 0 and it.state == DRAINING else NOBODY


@compiled
def expire(world: World, slot: int, now_s: float) -> None:
    """An instance of a plan by the request has had none for long enough."""
    it = world.slots[slot]
    world.allocated_s[it.kind] += now_s - it.since_s
    it.state = EMPTY
    it.turns_s = math.inf


@compiled
def _route(world: World, row: int, now_s: float) -> None:
    """To an instance that has room: a kept one, else the newest ready, else the newest starting; else to a new one."""
    constants = world.constants[0]
    clock = world.clock[0]
    best, empty = NOBODY, NOBODY
    for slot in range(clock.n_slots):
        it = world.slots[slot]
        if it.state == EMPTY:
            if empty == NOBODY:
                empty = slot
        elif it.in_flight < constants.concurrency and (
            best == NOBODY or _is_before(world, slot, best, constants.kept)
        ):
            best = slot
    if best == NOBODY and empty == NOBODY and clock.n_slots < constants.max_instances:
        empty = clock.n_slots
        clock.n_slots += 1
    if best == NOBODY and empty != NOBODY:
        best = empty
        table = world.tables[1]
        u = uniform(world.keys, COLD_START, clock.n_started)
        start(world, best, now_s + draw(world.quantiles, table.first, table.n, u), now_s)
        _classify(world, best, STARTING_S, now_s)
    if best == NOBODY:
        if constants.holds and _hold(world, row):
            push(world, held_in(world), row)
        else:
            _refuse(world, row, now_s)
    elif world.slots[best].state == STARTING and not _hold(world, row):
        _refuse(world, row, now_s)
    else:
        if world.slots[best].state == READY:
            world.slots[best].turns_s = math.inf
        _give(world, row, best, now_s)


@compiled
def _is_before(world: World, slot: int, other: int, n_kept: int) -> bool:
    """Whether an instance gets a request before another."""
    one, two = world.slots[slot], world.slots[other]
    if (one.state == READY) != (two.state == READY):
        return bool(one.state == READY)
    if (slot < n_kept) != (other < n_kept):
        return slot < n_kept
    return bool(one.number > two.number)


@compiled
def start(world: World, slot: int, ready_s: float, now_s: float) -> None:
    """Allocate an instance: its slot, which is empty, begins again."""
    clock = world.clock[0]
    it = world.slots[slot]
    clock.n_started += 1
    it.number = clock.n_started
    it.in_flight = 0
    it.chosen = 0
    it.dealt = 0
    it.state = STARTING
    it.turns_s = ready_s
    it.since_s = now_s
    n_workers = world.constants[0].n_workers
    for worker in range(slot * n_workers, (slot + 1) * n_workers):
        me = world.workers[worker]
        me.admitted = 0
        me.level = me.pressure = me.integral = 0.0
        me.dimmed_s = me.shed_s = me.idle_since_s = now_s
        me.least_s = me.least_before_s = math.inf
        me.window_s = now_s


@compiled
def _give(world: World, row: int, slot: int, now_s: float) -> None:
    it = world.slots[slot]
    it.in_flight += 1
    if it.kind == IDLE_S and it.state == READY:
        _classify(world, slot, ACTIVE_S, now_s)
    if it.state == STARTING:
        push(world, start_of(world, slot), row)
    else:
        _send(world, row, slot, now_s)


@compiled
def _send(world: World, row: int, slot: int, now_s: float) -> None:
    """To one of the instance's processes, which take turns."""
    it = world.slots[slot]
    n_workers = world.constants[0].n_workers
    worker = slot * n_workers + it.dealt % n_workers
    it.dealt += 1
    enter(world, worker, row, now_s)


@compiled
def _hold(world: World, row: int) -> bool:
    """Let a request wait for an instance, unless too many do."""
    if world.clock[0].n_held >= world.constants[0].max_held:
        return False
    world.clock[0].n_held += 1
    world.requests[row].waited = IMPACTED
    world.requests[row].phase = COMING
    return True


@compiled
def _refuse(world: World, row: int, now_s: float) -> None:
    world.requests[row].phase = SHED
    world.requests[row].left_s = now_s
    world.clock[0].n_done += 1


@compiled
def _classify(world: World, slot: int, kind: int, now_s: float) -> None:
    """What the instance's seconds are spent on from here on."""
    it = world.slots[slot]
    world.allocated_s[it.kind] += now_s - it.since_s
    it.kind = kind
    it.since_s = now_s
