"""Calling the user's function as the Python worker calls it, and the host's log lines about it.

`async def` functions run on the event loop, all others in a thread pool. Threads do not inherit context
variables, which is the worker's behaviour too (`azure_functions_runtime/utils/executor.py`).
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from emulator.functions_host.functions import HostedFunction

logger = logging.getLogger("host")

_REASON = "This function was programmatically called via the host APIs."
_DEFAULT_N_THREADS = 1000
"What the host injects as PYTHON_THREADPOOL_THREAD_COUNT."
_invocation_local = threading.local()


class InvocationFailed(Exception):
    """The function raised or took too long; what happened is in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """W3C trace context of the request: `traceparent` and `tracestate`, empty where not sent."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryContext:
    """The host retries nothing here: always the first attempt."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a parameter named `context` receives."""

    invocation_id: str
    function_name: str
    function_directory: str
    trace_context: TraceContext
    retry_context: RetryContext = RetryContext()
    thread_local_storage: threading.local = _invocation_local


class Out:
    """The value of an output parameter."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, value: Any) -> None:
        self._value = value

    def get(self) -> Any:
        return self._value


class Invoker:
    """Runs functions, one invocation each call.

    Args:
        timeout_s: `functionTimeout`; None is for ever. A function on a thread cannot be stopped: its
            caller is answered, the thread goes on.
        verbose: whether successful invocations are logged too.
    """

    def __init__(self, *, timeout_s: float | None, verbose: bool = False) -> None:
        self._timeout_s = timeout_s
        self._verbose = verbose
        self._threads = ThreadPoolExecutor(_n_threads(), thread_name_prefix="function")
        self._n_on_threads = 0
        self._lock = threading.Lock()

    @property
    def n_on_threads(self) -> int:
        """Functions running on threads at this moment, those given up on included."""
        return self._n_on_threads

    async def invoke(
        self,
        function: HostedFunction,
        argument: Any,
        *,
        headers: Mapping[str, str] | None = None,
        invocation_id: str = "",
        reason: str = _REASON,
    ) -> tuple[Any, dict[str, Out]]:
        """Run a function to its end.

        Args:
            argument: the trigger's value.
            headers: the request's, for the trace context; lower-case names.
            invocation_id: of this invocation; drawn where it is empty.
            reason: why it runs, for the log.

        Returns:
            What the function returned, and its output parameters.

        Raises:
            InvocationFailed: it raised or timed out.
        """
        invocation_id = invocation_id or str(uuid4())
        arguments = {function.trigger_argument: argument}
        outputs = {name: Out() for name in function.outputs}
        arguments.update(outputs)
        if function.takes_context:
            arguments["context"] = _context(function, invocation_id, headers or {})
        if self._verbose:
            logger.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, reason, invocation_id)
        started = time.monotonic()
        deadline = asyncio.timeout(self._timeout_s)
        try:
            async with deadline:
                if function.is_async:
                    result = await function.call(**arguments)
                else:
                    result = await self._call_on_thread(function, arguments, invocation_id)
        except Exception as err:
            if deadline.expired():
                logger.error(
                    "Timeout value of %s exceeded by function 'Functions.%s' (Id: '%s'). "
                    "Initiating cancellation.",
                    timedelta(seconds=self._timeout_s or 0),
                    function.name,
                    invocation_id,
                )
            _log_executed(function, "Failed", invocation_id, started, error=err)
            raise InvocationFailed from err
        if self._verbose:
            _log_executed(function, "Succeeded", invocation_id, started)
        return result, outputs

    def close(self) -> None:
        """Take no more work; threads that still run are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call_on_thread(
        self, function: HostedFunction, arguments: dict[str, Any], invocation_id: str
    ) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, function, arguments, invocation_id)

    def _run(self, function: HostedFunction, arguments: dict[str, Any], invocation_id: str) -> Any:
        _invocation_local.invocation_id = invocation_id
        with self._lock:
            self._n_on_threads += 1
        try:
            return function.call(**arguments)
        finally:
            _invocation_local.invocation_id = None
            with self._lock:
                self._n_on_threads -= 1


def _context(function: HostedFunction, invocation_id: str, headers: Mapping[str, str]) -> Context:
    return Context(
        invocation_id=invocation_id,
        function_name=function.name,
        function_directory=function.directory,
        trace_context=TraceContext(
            trace_parent=headers.get("traceparent", ""), trace_state=headers.get("tracestate", "")
        ),
    )


def _log_executed(
    function: HostedFunction,
    outcome: str,
    invocation_id: str,
    started: float,
    *,
    error: Exception | None = None,
) -> None:
    logger.log(
        logging.ERROR if error else logging.INFO,
        "Executed 'Functions.%s' (%s, Id=%s, Duration=%dms)",
        function.name,
        outcome,
        invocation_id,
        round((time.monotonic() - started) * 1000),
        exc_info=error,
    )


def _n_threads() -> int:
    setting = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    if setting.isdigit() and int(setting) > 0:
        return int(setting)
    if setting:
        logger.warning(
            "PYTHON_THREADPOOL_THREAD_COUNT is %r and not a whole number above 0; using %d",
            setting,
            _DEFAULT_N_THREADS,
        )
    return _DEFAULT_N_THREADS
