"""Questions to Application Insights, in KQL, through the client of Azure Monitor.

Azure's own workspaces are asked with the identity that `az login` or the environment gives; an endpoint that
begins with `http://` is the emulator's (`python -m emulator app-insights`), which asks for none.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

QUERIES = Path(__file__).parent / "queries"
AZURE = "https://api.loganalytics.io/v1"


class TelemetryError(ValueError):
    """Telemetry that cannot be read; the message names value and remedy."""


class Telemetry:
    """One workspace.

    Args:
        endpoint: where it is asked, with or without `/v1`.
        workspace: its id.

    Raises:
        TelemetryError: the client is not installed, or no workspace was named.
    """

    def __init__(self, endpoint: str = AZURE, *, workspace: str) -> None:
        try:
            from azure.core.pipeline.policies import SansIOHTTPPolicy
            from azure.identity import DefaultAzureCredential
            from azure.monitor.query import LogsQueryClient
        except ImportError as err:
            raise TelemetryError(
                f"telemetry needs {err.name}; run `pip install azure-monitor-query azure-identity`"
            ) from err
        if not workspace:
            raise TelemetryError("no workspace to ask; send its id with --workspace")
        self.endpoint = endpoint.rstrip("/").removesuffix("/v1") + "/v1"
        self._workspace = workspace
        if self.endpoint.startswith("http://"):
            policy: SansIOHTTPPolicy[Any, Any] = SansIOHTTPPolicy()
            self._client = LogsQueryClient(
                _NoCredential(), endpoint=self.endpoint, authentication_policy=policy, retry_total=1
            )
        else:
            self._client = LogsQueryClient(DefaultAzureCredential(), endpoint=self.endpoint)

    def ask(self, name: str, timespan: tuple[datetime, datetime]) -> list[dict[str, Any]]:
        """Rows that answer `queries/<name>.kql`, by column.

        Raises:
            TelemetryError: there is no answer, or only a part of one.
        """
        from azure.core.exceptions import AzureError
        from azure.monitor.query import LogsQueryStatus

        query = (QUERIES / f"{name}.kql").read_text()
        try:
            answer = self._client.query_workspace(self._workspace, query, timespan=timespan)
        except AzureError as err:
            said = " ".join(str(err.message).split())[:300]
            raise TelemetryError(
                f"{self.endpoint} does not answer {name}.kql: {said}; check --endpoint and --workspace"
            ) from err
        if answer.status != LogsQueryStatus.SUCCESS:
            raise TelemetryError(f"{name}.kql is answered in part only; ask for fewer days ({self.endpoint})")
        table = answer.tables[0]
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


class _NoCredential:
    """The emulator asks for none."""

    def get_token(self, *scopes: str, **options: object) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken("none", 0)
