"""Devices for a replay: a kiosk, a gateway and a browser, each behind a network of its own that is down now and then.

python -m benchmarks.edge.devices PORT SECONDS      of a service that hands out a bundle with the client
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.chromium import chromium
from benchmarks.delaying_proxy import DelayingProxy, delaying_proxy
from benchmarks.edge.client import EdgeClient, EdgeSettings
from benchmarks.edge.histories import held_out_histories
from benchmarks.edge.judging import DeviceRequest, draw_requests
from benchmarks.edge.page import ask_device, open_client, open_device

ROUND_TRIPS_MS = (40.0, 120.0, 250.0)
COMPARE_EVERY = 20
"As often again as clients do, so that minutes are enough for an interval."
PAUSE_S = 0.3
UP_S, DOWN_S = 100.0, 25.0
N_REQUESTS = 600
SHARE_RULES = SHARE_UNKNOWN = 0.05

Ask = Callable[[dict[str, Any]], None]


@contextmanager
def python_device(url: str, folder: Path) -> Iterator[Ask]:
    """A client that a kiosk or a gateway has."""
    settings = EdgeSettings(compare_every=COMPARE_EVERY, events_every_s=10.0)
    with EdgeClient(url, cache_dir=folder, settings=settings) as client:

        def ask(body: dict[str, Any]) -> None:
            answer = client.recommend(**body)
            client.record(item_id=answer.items[0].id, user_id=body.get("user_id", "somebody"), kind="click")

        yield ask
        client.flush()


@contextmanager
def browser_device(url: str) -> Iterator[Ask]:
    """The client in a page."""
    with chromium() as browser:
        page = open_device(browser, url)
        open_client(page, compareEvery=COMPARE_EVERY)

        def ask(body: dict[str, Any]) -> None:
            answer = ask_device(page, body)
            event = {"item_id": answer["items"][0]["id"], "user_id": body.get("user_id", "somebody")}
            page.evaluate("event => client.record(event)", event)

        yield ask
        page.evaluate("() => client.flush()")


def drive(devices: Sequence[Ask], proxies: Sequence[DelayingProxy], *, seconds: float) -> int:
    """Have each ask in turn; returns the requests that nobody could answer."""
    asked: Iterator[DeviceRequest] = cycle(
        draw_requests(
            held_out_histories(), N_REQUESTS, share_rules=SHARE_RULES, share_unknown=SHARE_UNKNOWN, seed=0
        )
    )
    began_s, is_down, n_failed = time.monotonic(), False, 0
    while (passed_s := time.monotonic() - began_s) < seconds:
        if is_down != (passed_s % (UP_S + DOWN_S) >= UP_S):
            is_down = not is_down
            for proxy in proxies:
                proxy.cut() if is_down else proxy.join()
        for ask in devices:
            try:
                ask(dict(next(asked).body))
            except Exception as err:  # a device that is refused goes on
                n_failed += 1
                print(f"{type(err).__name__}: {err}", flush=True)
        time.sleep(PAUSE_S)
    for proxy in proxies:
        proxy.join()
    return n_failed


def main(port: int, seconds: float) -> None:
    with ExitStack() as stack:
        proxies = [stack.enter_context(delaying_proxy(port, delay_ms=ms)) for ms in ROUND_TRIPS_MS]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recserve-devices-")))
        devices = [
            stack.enter_context(python_device(proxy.url, folder / str(proxy.port))) for proxy in proxies[:-1]
        ]
        devices.append(stack.enter_context(browser_device(proxies[-1].url)))
        n_failed = drive(devices, proxies, seconds=seconds)
        print(f"{n_failed} requests without an answer", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
