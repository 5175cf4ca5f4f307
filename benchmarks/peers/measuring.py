"""What is measured of a server that answers: one client, many clients, and the rate it can promise."""

import math
import socket
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np
import uvloop
from numpy.typing import NDArray

from emulator.load.client import Sent, send
from planner.arrivals import Phase, poisson

SLO_S = 0.025
PATIENCE_S = 1.0
"How long after the last request answers are waited for; those that come later broke the SLO long ago."
CHECKED_EVERY = 10
"Answers of an open loop, one in so many, are compared with what is expected."
PROMISED = 0.99
"Share of all requests that must be answered within the SLO."


def ask(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send one request and wait for its answer.

    Returns:
        HTTP status and body.

    Raises:
        ConnectionError: the server closed the connection first.
    """
    connection.sendall(request)
    received = b""
    while True:
        part = connection.recv(65_536)
        if not part:
            raise ConnectionResetError("the server closed the connection before its answer ended")
        received += part
        head, found, rest = received.partition(b"\r\n\r\n")
        if found:
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(rest) >= length:
                return int(head[9:12]), rest


def one_client(
    port: int, requests: Sequence[bytes], *, duration_s: float, burn_in_s: float
) -> tuple[list[float], int]:
    """One caller on one kept-alive connection, which asks again as soon as it is answered.

    Returns:
        Latencies of answers in ms, and how many requests were refused.
    """
    latencies_ms: list[float] = []
    n_failed = number = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begins_s = perf_counter() + burn_in_s
        while (asked_s := perf_counter()) < begins_s + duration_s:
            status, _ = ask(connection, requests[number % len(requests)])
            number += 1
            if asked_s < begins_s:
                continue
            if status == 200:
                latencies_ms.append((perf_counter() - asked_s) * 1e3)
            else:
                n_failed += 1
    return latencies_ms, n_failed


class Trial(NamedTuple):
    """One rate that was tried."""

    rate_per_s: float
    within_slo: float
    "Share of all requests, sent after the burn-in, that were answered within the SLO."
    right: float
    "Share of the answers checked that hold the expected items."
    sender_late_p99_ms: float
    "How late the load generator itself was."


def try_rate(
    port: int,
    requests: Sequence[bytes],
    *,
    is_right: Callable[[int, bytes], bool],
    rate_per_s: float,
    duration_s: float,
    burn_in_s: float,
    rng: np.random.Generator,
) -> Trial:
    """Offer Poisson arrivals at one rate.

    Args:
        port: whom to ask.
        requests: whole HTTP requests, taken in turn.
        is_right: whether a body answers the request of that number.
        rate_per_s: mean rate.
        duration_s: for which requests count.
        burn_in_s: before which they do not.
        rng: draws the arrivals.
    """
    arrivals_s = poisson([Phase(rate_per_s, burn_in_s + duration_s)], rng)
    sent = uvloop.run(_send(port, arrivals_s, requests))
    counts = arrivals_s >= burn_in_s
    is_good = (sent.status == 200) & (sent.latency_s <= SLO_S)
    answered = np.flatnonzero(sent.status == 200)[::CHECKED_EVERY].tolist()
    n_right = sum(is_right(number % len(requests), sent.answers[number]) for number in answered)
    late_ms = sent.late_s[np.isfinite(sent.late_s)] * 1e3
    return Trial(
        round(rate_per_s, 1),
        round(float(is_good[counts].mean()), 5) if counts.any() else 1.0,
        round(n_right / len(answered), 5) if answered else 1.0,
        round(float(np.percentile(late_ms, 99)), 3) if len(late_ms) else math.inf,
    )


async def _send(port: int, arrivals_s: NDArray[np.float64], requests: Sequence[bytes]) -> Sent:
    return await send("127.0.0.1", port, arrivals_s=arrivals_s, requests=requests, patience_s=PATIENCE_S)


def highest_rate(attempt: Callable[[float], bool], *, most_per_s: float, steps: int) -> float:
    """The highest rate that is sustained, by bisection between nothing and `most_per_s`.

    A rate counts as too high when it failed twice: one pause of the machine must not halve a result.

    Args:
        attempt: offers a rate and says whether it was sustained.
        most_per_s: taken to be too high.
        steps: halvings; the result is exact to `most_per_s / 2**steps` and errs on the low side.
    """
    low, high = 0.0, most_per_s
    for _ in range(steps):
        middle = (low + high) / 2
        if attempt(middle) or attempt(middle):
            low = middle
        else:
            high = middle
    return low
