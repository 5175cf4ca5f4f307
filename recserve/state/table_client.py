"""One table of Azure Table Storage, and everything that its SDK has to say about it.

The only module of this package that imports the SDK, which takes a third of a second: import it on a thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from recserve.errors import StateUnavailable

ROW_KEY = "history"
CHUNK_BYTES = 65_536
"Largest binary property that the service takes."
MAX_ENTITY_BYTES = 15 * CHUNK_BYTES
"What one entity holds for us; the service's limit is 1 MiB with names, keys and overhead."
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
"Guards for callers without a time limit of their own; on the request path `ResilientStore` sets one."


class EntityChanged(Exception):
    """Somebody else wrote or removed the entity after it was read."""


class UserTable:
    """Entities of one table, each a key and up to `MAX_ENTITY_BYTES` of anything.

    Raises:
        StateUnavailable: from every method but `close`, when the service refuses or does not answer.
    """

    def __init__(self, client: TableClient, credential: AsyncTokenCredential | None = None) -> None:
        self._client = client
        self._credential = credential

    async def read(self, key: str) -> tuple[bytes, str] | None:
        """Content and ETag of an entity; None where there is none."""
        with _unavailable():
            try:
                entity = await self._client.get_entity(key, ROW_KEY)
            except HttpResponseError as err:
                if err.status_code == 404:  # no such entity, or no table yet
                    return None
                raise
        content = b"".join(entity[f"Part{number}"] for number in range(entity["Parts"]))
        return content, str(entity.metadata["etag"])

    async def insert(self, key: str, content: bytes) -> None:
        """Write an entity that was not there; makes the table when that is missing.

        Raises:
            EntityChanged: it is there.
        """
        entity = _entity(key, content)
        with _unavailable(changed=(409,)):
            try:
                await self._client.create_entity(entity)
            except HttpResponseError as err:
                if err.status_code != 404:
                    raise
                await self._create_table()
                await self._client.create_entity(entity)

    async def _create_table(self) -> None:
        with suppress(ResourceExistsError):  # another process was faster
            await self._client.create_table()

    async def replace(self, key: str, content: bytes, etag: str) -> None:
        """Write an entity that was read with this ETag.

        Raises:
            EntityChanged: it has another ETag by now, or is gone.
        """
        with _unavailable(changed=(404, 412)):
            await self._client.update_entity(
                _entity(key, content),
                mode=UpdateMode.REPLACE,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
            )

    async def delete(self, key: str, etag: str) -> None:
        """Remove an entity that was read with this ETag.

        Raises:
            EntityChanged: it has another ETag by now.
        """
        with _unavailable(changed=(412,)):
            await self._client.delete_entity(
                key, ROW_KEY, etag=etag, match_condition=MatchConditions.IfNotModified
            )

    async def close(self) -> None:
        await self._client.close()
        if self._credential is not None:
            await self._credential.close()


def connect(table: str, *, account_url: str, client_id: str, connection_string: str) -> UserTable:
    """The table of this name; nothing is sent yet. The arguments are those of `TableStore`.

    Raises:
        StateUnavailable: the connection string or the URL cannot be used.
    """
    # No retries here: those of `ResilientStore` know how much time the caller has. Left to itself, the SDK
    # would import the transport only now.
    transport = AioHttpTransport(connection_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S)
    options: dict[str, Any] = {"retry_total": 0, "transport": transport}
    try:
        if connection_string:
            return UserTable(TableClient.from_connection_string(connection_string, table, **options))
        credential: AsyncTokenCredential = (
            ManagedIdentityCredential(client_id=client_id) if client_id else DefaultAzureCredential()
        )
        return UserTable(TableClient(account_url, table, credential=credential, **options), credential)
    except ValueError as err:
        raise StateUnavailable(f"the user table cannot be used: {err}; check its settings") from err


def _entity(key: str, content: bytes) -> TableEntity:
    parts = [content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES)]
    return TableEntity(
        PartitionKey=key,
        RowKey=ROW_KEY,
        Parts=len(parts),
        **{f"Part{number}": part for number, part in enumerate(parts)},
    )


@contextmanager
def _unavailable(*, changed: tuple[int, ...] = ()) -> Iterator[None]:
    """The SDK's errors in our words; `changed` are the statuses that mean `EntityChanged`."""
    try:
        yield
    except HttpResponseError as err:
        if err.status_code in changed:
            raise EntityChanged from err
        raise StateUnavailable(f"the user table refuses: {_first_line(err)}") from err
    except AzureError as err:
        raise StateUnavailable(f"the user table does not answer: {_first_line(err)}") from err


def _first_line(err: AzureError) -> str:
    """The SDK's messages go on with request ids and times."""
    return str(err.message).partition("\n")[0].strip() or type(err).__name__
