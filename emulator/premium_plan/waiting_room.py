"""Requests that wait for an instance: how many may, and how long they did."""

from emulator.premium_plan.exchange import Exchange


class WaitingRoom:
    """Counts those that wait, wherever their instance is.

    Args:
        max_held: how many may wait at a time.
    """

    def __init__(self, max_held: int) -> None:
        self.unassigned: dict[Exchange, None] = {}
        "Those that no instance may take, oldest first."
        self.n_held = 0
        self.n_cold = 0
        "Requests whose wait has ended, since the start."
        self.held_s = 0.0
        "Their waits."
        self._max_held = max_held

    def enter(self, exchange: Exchange, now_s: float) -> bool:
        """Let a request wait, unless too many do; one that waits already goes on waiting."""
        if exchange.is_held:
            return True
        if self.n_held >= self._max_held:
            return False
        self.n_held += 1
        exchange.is_held = True
        exchange.held_since_s = now_s
        return True

    def leave(self, exchange: Exchange, now_s: float) -> None:
        """Its wait is over, because it is sent or because it has failed."""
        self.unassigned.pop(exchange, None)
        if not exchange.is_held:
            return
        waited_s = now_s - exchange.held_since_s
        self.n_held -= 1
        self.n_cold += not exchange.was_held
        self.held_s += waited_s
        exchange.held_s += waited_s
        exchange.is_held, exchange.was_held = False, True
