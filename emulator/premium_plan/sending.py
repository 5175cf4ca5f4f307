"""The platform's own telemetry on its way to Application Insights: a queue, and a thread that empties it.

Nothing here waits on the plan's event loop. What cannot be sent is tried again; what is too much is lost, the
oldest first.
"""

import gzip
import http.client
import json
import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from emulator.premium_plan import names
from emulator.premium_plan.errors import PlanError

SEND_EVERY_S = 1.0
SEND_TIMEOUT_S = 4.0
CLOSE_WAIT_S = 2.0
MOST_WAITING = 20_000
MOST_IN_A_BODY = 1_000

Envelope = dict[str, Any]


def trace_envelope(
    time: datetime, message: str, *, role_instance: str, properties: Mapping[str, Any]
) -> Envelope:
    """A row of AppTraces."""
    data = {"ver": 2, "message": message, "severityLevel": 1, "properties": _texts(properties)}
    return _envelope(time, "Message", data, role_instance)


def metric_envelope(
    time: datetime, name: str, value: float, *, role_instance: str, properties: Mapping[str, Any]
) -> Envelope:
    """A row of AppMetrics that stands for one measurement."""
    point = {"name": name, "value": value, "count": 1}
    data = {"ver": 2, "metrics": [point], "properties": _texts(properties)}
    return _envelope(time, "Metric", data, role_instance)


class Sender:
    """Posts envelopes in the background.

    Args:
        connection_string: of Application Insights.
        role: AppRoleName, the function app's.

    Raises:
        PlanError: the connection string cannot be used.
    """

    def __init__(self, connection_string: str, *, role: str) -> None:
        pairs = (part.partition("=") for part in connection_string.split(";") if part.strip())
        parts = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self._key = parts.get("instrumentationkey", "")
        self._endpoint = urlsplit(parts.get("ingestionendpoint", "https://dc.services.visualstudio.com"))
        if not self._key or self._endpoint.scheme not in ("http", "https") or not self._endpoint.hostname:
            raise PlanError(
                f"cannot send to Application Insights {connection_string!r}; give its connection string, "
                "InstrumentationKey=...;IngestionEndpoint=https://..."
            )
        self._role = role
        self._waiting: deque[Envelope] = deque(maxlen=MOST_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plan-telemetry", daemon=True)
        self._thread.start()

    def send(self, envelope: Envelope) -> None:
        """Queue an envelope; returns at once."""
        envelope["iKey"] = self._key
        envelope["tags"]["ai.cloud.role"] = self._role
        self._waiting.append(envelope)

    def close(self) -> None:
        """Send what waits, as far as that goes quickly."""
        self._closing.set()
        self._thread.join(CLOSE_WAIT_S)

    def _run(self) -> None:
        while not self._closing.wait(SEND_EVERY_S):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_A_BODY))]
            if not self._post(batch):
                room = MOST_WAITING - len(self._waiting)
                self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))
                return

    def _post(self, batch: list[Envelope]) -> bool:
        """Whether the batch is settled: taken, or refused for good."""
        secure = self._endpoint.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._endpoint.netloc, timeout=SEND_TIMEOUT_S)
        body = gzip.compress(json.dumps(batch).encode(), compresslevel=1)
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        try:
            connection.request(
                "POST", f"{self._endpoint.path.rstrip('/')}/v2.1/track", body=body, headers=headers
            )
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return status < 429 and status != 408


def _envelope(time: datetime, kind: str, data: dict[str, Any], role_instance: str) -> Envelope:
    return {
        "ver": 1,
        "name": f"Microsoft.ApplicationInsights.{kind}",
        "time": time.isoformat().replace("+00:00", "Z"),
        "tags": {"ai.cloud.roleInstance": role_instance, "ai.internal.sdkVersion": "recserve-plan:1"},
        "data": {"baseType": f"{kind}Data", "baseData": data},
    }


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    """Properties arrive as text."""
    return {
        f"{names.PREFIX}{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in properties.items()
        if value is not None
    }
