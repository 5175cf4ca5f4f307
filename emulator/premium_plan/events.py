"""Everything that happens to the plan: a line on the terminal, a line of JSON, and Application Insights."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emulator.premium_plan import names
from emulator.premium_plan.errors import PlanError
from emulator.premium_plan.sending import Sender, metric_envelope, trace_envelope
from planner.allocation import AllocationClass

EVENTS_FILE = "events.jsonl"


class EventLog:
    """Keeps and tells events, in the order in which they happen.

    Args:
        data: folder of `events.jsonl`, which is begun anew.
        say: shows a line to the person at the terminal.
        sender: to Application Insights; None sends nothing.

    Raises:
        PlanError: the file cannot be written.
    """

    def __init__(self, data: Path, *, say: Callable[[str], None], sender: Sender | None = None) -> None:
        self.path = data / EVENTS_FILE
        try:
            data.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8")
        except OSError as err:
            raise PlanError(
                f"cannot write {self.path}: {err.strerror}; choose another folder with --data"
            ) from err
        self._say = say
        self._sender = sender

    def record(self, event: str, message: str, **properties: Any) -> None:
        """Keep an event and show its message."""
        now = datetime.now(UTC)
        self._write(now, event, message, properties)
        with suppress(OSError):  # the terminal may be gone before the plan
            self._say(f"{now.astimezone():%H:%M:%S}  {message}")
        if self._sender is not None:
            instance = properties.get(names.INSTANCE) or names.PLATFORM
            of_event = {names.EVENT: event} | properties
            self._sender.send(trace_envelope(now, message, role_instance=str(instance), properties=of_event))

    def record_allocation(
        self, seconds: Mapping[tuple[str, AllocationClass], float], **properties: Any
    ) -> None:
        """Keep the seconds since the last call, by instance and class, without showing them."""
        now = datetime.now(UTC)
        by_instance: dict[str, dict[str, float]] = {}
        for (instance, kind), spent_s in seconds.items():
            by_instance.setdefault(instance, {})[kind] = round(spent_s, 6)
            if self._sender is not None:
                self._sender.send(
                    metric_envelope(
                        now,
                        names.ALLOCATED_S,
                        spent_s,
                        role_instance=instance,
                        properties={names.CLASS: kind},
                    )
                )
        self._write(now, names.ALLOCATION, "", {names.SECONDS: by_instance} | properties)

    def close(self) -> None:
        self._file.close()
        if self._sender is not None:
            self._sender.close()

    def _write(self, now: datetime, event: str, message: str, properties: Mapping[str, Any]) -> None:
        line = {names.TIME: now.isoformat(timespec="milliseconds"), names.EVENT: event}
        shown = {names.MESSAGE: message} if message else {}
        kept = {name: value for name, value in properties.items() if value is not None}
        self._file.write(json.dumps(line | shown | kept, ensure_ascii=False) + "\n")
        self._file.flush()
