"""Ways that telemetry leaves the process, each flushed and shut down beside the others.

OpenTelemetry shuts down one after the other, and an endpoint that hangs spends the time of all: what waits
for the next endpoint is lost with it. Here each way has a thread of its own. It is started together with
what it ends, since an interpreter that ends lets no thread begin.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from time import monotonic

Work = Callable[[], object]

log = logging.getLogger(__name__)


class Pipeline:
    """One way out: a processor of spans or a provider of metrics, with its exporter.

    Args:
        shut_down: sends what is left and stops; may take long.
        flush: sends what there is; None where nothing waits for longer than a second.
    """

    def __init__(self, shut_down: Work, *, flush: Work | None = None) -> None:
        self._shut_down = shut_down
        self._flush = flush
        self._work: SimpleQueue[Work] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="telemetry-pipeline", daemon=True)
        self._thread.start()

    def flush(self) -> None:
        """Begin to send what there is."""
        if self._flush is not None:
            self._work.put(self._flush)

    def begin_shutdown(self) -> None:
        """Begin to send what is left, and stop."""
        self._work.put(self._shut_down)

    def join(self, timeout_s: float) -> bool:
        """Wait for the shutdown to end. False when it takes longer."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        work: Work | None = None
        while work is not self._shut_down:
            work = self._work.get()
            try:
                work()
            except Exception as err:
                log.warning("telemetry could not be sent: %s", err)


def shut_down(pipelines: Iterable[Pipeline], *, limit_s: float) -> None:
    """Shut them all down, side by side; what takes longer than the limit is left to itself."""
    pipelines = list(pipelines)
    for pipeline in pipelines:
        pipeline.begin_shutdown()
    deadline_s = monotonic() + limit_s
    n_late = sum(not pipeline.join(max(0.0, deadline_s - monotonic())) for pipeline in pipelines)
    if n_late:
        log.warning("%d of %d ways out for telemetry did not end in %g s", n_late, len(pipelines), limit_s)
