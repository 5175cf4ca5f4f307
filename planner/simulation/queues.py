"""Queues of a world: whose is which, and who is next."""

from planner.simulation.compiled import compiled
from planner.simulation.world import NOBODY, World


@compiled
def loop_of(world: World, worker: int) -> int:
    """Number of the queue in front of a worker's event loop."""
    return int(worker * (world.constants[0].n_rungs + 1))


@compiled
def batch_of(world: World, worker: int, rung: int) -> int:
    """Number of the queue in front of a rung's runs."""
    return int(worker * (world.constants[0].n_rungs + 1) + 1 + rung)


@compiled
def start_of(world: World, slot: int) -> int:
    """Number of the queue of those that wait for a starting instance."""
    return int(len(world.queues) - 1 - world.constants[0].n_slots + slot)


@compiled
def held_in(world: World) -> int:
    """Number of the queue of those that no instance may take."""
    return len(world.queues) - 1


@compiled
def push(world: World, queue: int, row: int) -> None:
    world.requests[row].next = NOBODY
    last = world.queues[queue].tail
    if last == NOBODY:
        world.queues[queue].head = row
    else:
        world.requests[last].next = row
    world.queues[queue].tail = row
    world.queues[queue].n += 1


@compiled
def pop(world: World, queue: int) -> int:
    """The first, who is there."""
    row = world.queues[queue].head
    after = world.requests[row].next
    world.queues[queue].head = after
    if after == NOBODY:
        world.queues[queue].tail = NOBODY
    world.queues[queue].n -= 1
    return int(row)
