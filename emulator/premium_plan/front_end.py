"""The plan's one address: a reverse proxy that holds requests until an instance is there to take them.

    client -> ClientConnection -> FrontEnd (assign, hold) -> InstanceConnection -> instance

A request goes to the instance with the fewest outstanding requests, ready or starting; one that is assigned to a
starting instance waits here until that is ready, as on Azure. While there is no instance at all, requests wait
unassigned. One that was written to a connection belongs to that instance: it is never sent again, and if the
instance is lost it gets 502. One that was not written goes elsewhere.

Azure's load balancer closes what is silent for 230 s. A request that has waited that long for an instance, or for the
beginning of its answer, gets 504, as from the front ends of Linux plans; an answer that falls silent is broken
off. All of it runs on one event loop, and nothing locks.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from emulator.premium_plan.downstream import ClientConnection
from emulator.premium_plan.exchange import Exchange
from emulator.premium_plan.http_wire import problem
from emulator.premium_plan.upstream import IDLE_S, Instance, InstanceConnection
from emulator.premium_plan.waiting_room import WaitingRoom

RETRY_AFTER_S = 1
"What a request is told that finds too many waiting; HTTP scale-out adds an instance a second."
REFUSED_S = 0.1
"How long an instance is left alone that refused a connection."
SWEEP_S = 1.0
CLOSE_LIMIT_S = 1.0
"How long clients have, when the front end stops, to take what was written for them."
BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class FrontEndLoad:
    """What the front end has to do. Requests that are not valid HTTP are refused and not counted."""

    n_arrived: int
    "Since the start: answered, failed and neither yet."
    n_answered: int
    "With the whole answer of an instance, whatever its status."
    n_failed: int
    "With an answer of the front end, a truncated one, or none because the client went."
    n_held: int
    "Waiting for an instance."
    in_flight: Mapping[str, int]
    "By instance: assigned or sent, and neither answered nor failed."
    n_cold: int
    "Since the start, requests that have waited for an instance, however the wait ended."
    held_s: float
    "Their waits."


class FrontEnd:
    """A reverse proxy for HTTP/1.1.

    Args:
        hold_timeout_s: how long a request may wait for an instance, and for the next byte of its answer.
        max_held: how many may wait for an instance at a time; one more gets 503.
    """

    def __init__(self, *, hold_timeout_s: float = 230.0, max_held: int = 10_000) -> None:
        self.on_demand: Callable[[], None] | None = None
        "Called when a request finds no instance, neither ready nor starting."
        self._hold_timeout_s = hold_timeout_s
        self._instances: dict[str, Instance] = {}
        self._clients: set[ClientConnection] = set()
        self._exchanges: set[Exchange] = set()
        self._waiting = WaitingRoom(max_held)
        self._connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._n_arrived = self._n_answered = self._n_failed = 0
        self._n_chosen = 0

    async def start(self, host: str, port: int) -> int:
        """Listen, and give the port.

        Args:
            port: 0 picks a free one.

        Raises:
            OSError: the address cannot be had.
        """
        self._loop = asyncio.get_running_loop()
        self._server = await self._loop.create_server(
            lambda: ClientConnection(self), host, port, backlog=BACKLOG
        )
        self._sweep()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening, fail what is open and close every connection."""
        if self._server is None:
            return
        self._server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for exchange in list(self._exchanges):
            exchange.keeps_client = False
            self.fail(exchange, 503, "the front end stops")
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for instance_id in list(self._instances):
            self.remove(instance_id, "the front end stops")
        for client in self._clients:
            client.close()
        give_up_s = self._loop.time() + CLOSE_LIMIT_S
        while self._clients:
            if self._loop.time() > give_up_s:
                for client in self._clients:
                    client.abort()
            await asyncio.sleep(0.005)
        self._server = None

    def add(self, instance_id: str, *, port: int, is_ready: bool) -> None:
        """Choose this instance too from here on; if it is not ready, what it is given waits.

        Args:
            instance_id: what answers will name.
            port: where it listens, or will, on this machine.
            is_ready: whether requests can be sent to it at once.

        Raises:
            ValueError: there is one of that name.
        """
        if instance_id in self._instances:
            raise ValueError(f"instance {instance_id!r} is there already; remove it first")
        self._instances[instance_id] = Instance(instance_id, port, is_ready=is_ready)
        self._assign_held()

    def ready(self, instance_id: str) -> None:
        """The instance can answer: send what waits for it.

        Raises:
            ValueError: there is none of that name.
        """
        if instance_id not in self._instances:
            raise ValueError(f"no instance {instance_id!r}; there are {sorted(self._instances)}")
        instance = self._instances[instance_id]
        if instance.is_ready:
            return
        instance.is_ready = True
        for exchange in list(instance.exchanges):
            self._send(exchange, instance)

    async def drain(self, instance_id: str) -> None:
        """Send nothing more to an instance, and return when nothing is in flight there.

        What waits for it goes elsewhere. Returns at once if there is none of that name, or it is removed.
        """
        instance = self._instances.get(instance_id)
        if instance is None:
            return
        instance.is_draining = True
        for exchange in list(instance.exchanges):
            if exchange.upstream is None:
                self._reassign(exchange)
        instance.close_idle(self._loop.time())
        if instance.exchanges:
            drained = self._loop.create_future()
            instance.drained.append(drained)
            await drained

    def remove(self, instance_id: str, reason: str) -> None:
        """The instance is gone: what was sent there gets 502, what was not goes elsewhere.

        Args:
            instance_id: nothing happens if there is none of that name.
            reason: what callers of lost requests are told.
        """
        instance = self._instances.pop(instance_id, None)
        if instance is None:
            return
        instance.is_gone = True
        for exchange in list(instance.exchanges):
            if exchange.upstream is None:
                self._reassign(exchange)
            else:
                detail = f"instance {instance_id} was lost before it answered: {reason}"
                self.fail(exchange, 502, detail, instance_id=instance_id)
        instance.close()

    def load(self) -> FrontEndLoad:
        """Counts of this moment; takes microseconds."""
        return FrontEndLoad(
            self._n_arrived,
            self._n_answered,
            self._n_failed,
            self._waiting.n_held,
            {instance.id: len(instance.exchanges) for instance in self._instances.values()},
            self._waiting.n_cold,
            self._waiting.held_s,
        )

    def connected(self, client: ClientConnection) -> None:
        self._clients.add(client)

    def disconnected(self, client: ClientConnection) -> None:
        self._clients.discard(client)

    def arrived(self, exchange: Exchange) -> None:
        self._n_arrived += 1
        self._exchanges.add(exchange)
        self._assign(exchange)

    def answered(self, exchange: Exchange) -> None:
        self._n_answered += 1
        self._end(exchange)
        exchange.client.end(exchange)

    def fail(
        self,
        exchange: Exchange,
        status: int,
        detail: str,
        *,
        instance_id: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """Answer a request in an instance's place, or break off an answer that has begun."""
        if exchange.is_over:
            return
        self._n_failed += 1
        self._end(exchange)
        if not exchange.has_begun:
            exchange.keeps_client = exchange.keeps_client and exchange.is_received
            exchange.client.write(
                problem(
                    status,
                    detail,
                    instance_id=instance_id,
                    held_ms=exchange.held_ms,
                    retry_after_s=retry_after_s,
                    has_body=exchange.head.method != b"HEAD",
                    keeps_client=exchange.keeps_client,
                )
            )
        exchange.client.end(exchange, is_truncated=exchange.has_begun)

    def _assign(self, exchange: Exchange) -> None:
        instance = self._choose()
        if instance is not None:
            if not instance.is_ready and not self._hold(exchange):
                return
            self._n_chosen += 1
            instance.chosen_at = self._n_chosen
            exchange.instance, exchange.is_cold = instance, not instance.is_ready
            instance.exchanges[exchange] = None
            if instance.is_ready:
                self._send(exchange, instance)
        elif self._hold(exchange):
            self._waiting.unassigned[exchange] = None
            if self.on_demand is not None and all(i.is_draining for i in self._instances.values()):
                self.on_demand()

    def _choose(self) -> Instance | None:
        """The instance with the fewest outstanding requests; of several, the one chosen longest ago."""
        allowed = [instance for instance in self._instances.values() if instance.may_be_chosen]
        if len(allowed) <= 1:
            return allowed[0] if allowed else None
        return min(allowed, key=lambda instance: (len(instance.exchanges), instance.chosen_at))

    def _assign_held(self) -> None:
        unassigned = self._waiting.unassigned
        while unassigned and self._choose() is not None:
            exchange = next(iter(unassigned))
            del unassigned[exchange]
            self._assign(exchange)

    def _reassign(self, exchange: Exchange) -> None:
        self._unassign(exchange)
        self._assign(exchange)

    def _unassign(self, exchange: Exchange) -> None:
        instance, exchange.instance = exchange.instance, None
        if instance is None:
            return
        del instance.exchanges[exchange]
        if instance.drained and not instance.exchanges:
            for drained in instance.drained:
                if not drained.done():
                    drained.set_result(None)
            instance.drained.clear()
            instance.close_idle(self._loop.time())

    def _hold(self, exchange: Exchange) -> bool:
        """Let a request wait, or refuse it if too many do."""
        if self._waiting.enter(exchange, self._loop.time()):
            return True
        detail = f"{self._waiting.n_held} requests wait for an instance already; come again later"
        self.fail(exchange, 503, detail, retry_after_s=RETRY_AFTER_S)
        return False

    def _send(self, exchange: Exchange, instance: Instance) -> None:
        connection = instance.take_idle()
        if connection is None:
            task = self._loop.create_task(self._connect_and_send(exchange, instance))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
            return
        self._send_on(exchange, instance, connection)

    def _send_on(self, exchange: Exchange, instance: Instance, connection: InstanceConnection) -> None:
        self._waiting.leave(exchange, self._loop.time())
        is_first_cold = exchange.is_cold and not instance.has_had_cold
        instance.has_had_cold |= is_first_cold
        connection.send(exchange, is_cold=is_first_cold)

    async def _connect_and_send(self, exchange: Exchange, instance: Instance) -> None:
        try:
            connection = await instance.connect(self)
        except OSError:
            connection = None
        if exchange.instance is not instance:
            if connection is not None:
                instance.give_back(connection, self._loop.time())
        elif connection is not None and connection.is_sound():
            self._send_on(exchange, instance, connection)
        else:
            self._leave_alone(instance)
            self._reassign(exchange)

    def _leave_alone(self, instance: Instance) -> None:
        """An instance refused a connection: its process has ended, or it cannot keep up."""

        def try_again() -> None:
            instance.is_refusing = False
            self._assign_held()

        if not instance.is_refusing:
            instance.is_refusing = True
            self._loop.call_later(REFUSED_S, try_again)

    def _end(self, exchange: Exchange) -> None:
        """Forget a request, wherever it is."""
        exchange.is_over = True
        self._exchanges.discard(exchange)
        self._waiting.leave(exchange, self._loop.time())
        self._unassign(exchange)
        if exchange.upstream is not None:
            exchange.upstream.let_go(exchange)
            exchange.upstream = None

    def _sweep(self) -> None:
        """Once in a while: end what has taken too long."""
        now_s = self._loop.time()
        for exchange in list(self._exchanges):
            if now_s - exchange.active_s > self._hold_timeout_s and not exchange.client.is_full:
                self._time_out(exchange)
        for client in list(self._clients):
            client.check(now_s)
        for instance in self._instances.values():
            instance.close_idle(now_s - IDLE_S)
        self._sweeping = self._loop.call_later(min(SWEEP_S, self._hold_timeout_s / 10), self._sweep)

    def _time_out(self, exchange: Exchange) -> None:
        limit = f"{self._hold_timeout_s:g} s"
        if not exchange.is_received:
            self.fail(exchange, 408, f"no more of the request came within {limit}")
        elif exchange.is_held:
            self.fail(exchange, 504, f"no instance could take the request within {limit}")
        else:
            assert exchange.instance is not None
            instance_id = exchange.instance.id
            detail = f"instance {instance_id} sent nothing for {limit}"
            self.fail(exchange, 504, detail, instance_id=instance_id)
