"""Starting and stopping the emulator: data folder, socket, server, in this order."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from emulator.app_insights.application import INFLATED_LIMIT_BYTES, AppInsights
from emulator.app_insights.errors import StoreError
from emulator.app_insights.faults import Faults
from emulator.app_insights.ingestion import Ingestion
from emulator.app_insights.store import Store, StoreSettings
from emulator.app_insights.tables import WORKSPACE_ID, connection_string
from emulator.listening import bound_socket, run_server

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 75
"Longer than exporters wait between two batches, so that they send on the connection they have."
_TICK_S = 0.5
_MAINTAIN_EVERY_S = 30.0
_RETRY_AFTER_S = 5.0
"How long a flush that failed waits for the next one."


def serve(
    data: Path,
    settings: StoreSettings,
    *,
    host: str,
    port: int,
    faults: Faults,
    say: Callable[[str], None],
) -> None:
    """Run the emulator until SIGINT or SIGTERM, on the main thread of a process of its own.

    Args:
        port: 0 picks a free one.
        say: told, once requests are accepted, how to use the emulator.

    Raises:
        StoreError: the data folder, or the address, cannot be used.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    with (
        bound_socket(host, port, failure=StoreError) as listener,
        closing(Store(data, settings)) as store,
    ):
        url = _base_url(*listener.getsockname()[:2])
        ingestion = Ingestion(store, limit_bytes=INFLATED_LIMIT_BYTES)
        application = AppInsights(
            store, ingestion=ingestion, faults=faults, connection_string=connection_string(url)
        )
        with _maintained(store, settings), closing(ingestion):
            welcome = f"""Application Insights emulator, data in {data}

APPLICATIONINSIGHTS_CONNECTION_STRING={connection_string(url)}
Queries  POST {url}/v1/workspaces/{WORKSPACE_ID}/query
Faults   PUT {url}/admin/faults"""
            run_server(
                application,
                listener,
                failure=StoreError,
                keep_alive_s=_KEEP_ALIVE_S,
                on_start=lambda: say(welcome),
            )


def _base_url(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _maintained(store: Store, settings: StoreSettings) -> Iterator[None]:
    """A thread that turns the journal into Parquet and keeps files few, to the end of the block."""
    stopped = threading.Event()

    def run() -> None:
        flush_at_s = time.monotonic()  # at once, for what a crash has left in the journal
        maintain_at_s = flush_at_s + _MAINTAIN_EVERY_S
        while not stopped.is_set():
            now_s = time.monotonic()
            try:
                n_bytes = store.journal_bytes
                if n_bytes >= settings.flush_bytes or (n_bytes and now_s >= flush_at_s):
                    store.flush()
                if now_s >= flush_at_s:
                    flush_at_s = now_s + settings.flush_after_s
                if now_s >= maintain_at_s:
                    maintain_at_s = now_s + _MAINTAIN_EVERY_S
                    store.maintain(datetime.now(UTC))
                stopped.wait(_TICK_S)
            except (OSError, duckdb.Error) as err:
                log.error("the journal stays as it is for now: %s", str(err).partition("\n")[0])
                stopped.wait(_RETRY_AFTER_S)

    thread = threading.Thread(target=run, name="maintenance")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
