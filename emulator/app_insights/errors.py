"""What is wrong with a request, or with the store.

    BadRequest         a body that cannot be read at all
    TooLarge           a body over the limit, on the wire or inflated
    BadItem            one item of a batch
    StoreFull          nothing more can be made durable
    Busy               more waits to be read than memory is kept for
    StoreError         the data folder cannot be used
    QueryError
    |-- QuerySyntaxError      the text is no KQL
    |-- QuerySemanticError    it names what is not there, or asks what the emulator does not run
    |-- BadTimespan           the timespan is no ISO 8601 duration or interval
    |-- QueryTooLarge         it needs more memory than it may have
    |-- QueryCancelled        nobody waits for its answer any more
    `-- QueryTimeout

Status codes are in `application` only.
"""


class BadRequest(Exception):
    """The body of a request cannot be read; nothing of it was taken."""


class TooLarge(Exception):
    """The body of a request is over a limit; nothing of it was taken."""


class BadItem(Exception):
    """An item that the service would refuse; the others of its batch are not concerned."""


class StoreFull(Exception):
    """The journal cannot be written; nothing of what was to be written is acknowledged."""


class Busy(Exception):
    """Too many bodies wait to be read; nothing of this one was taken."""


class StoreError(Exception):
    """The data folder cannot be used; the message is for the person who started the emulator."""


class QueryError(Exception):
    """A query cannot be answered.

    Attributes:
        code: the service's code of the innermost error, such as SYN0002.
    """

    code = "General_BadRequest"


class QuerySyntaxError(QueryError):
    code = "SYN0002"


class QuerySemanticError(QueryError):
    code = "SEM0100"


class BadTimespan(QueryError):
    code = "InvalidTimespan"


class QueryTooLarge(QueryError):
    code = "E_RUNAWAY_QUERY"


class QueryCancelled(QueryError):
    code = "E_QUERY_CANCELLED"


class QueryTimeout(QueryError):
    code = "QueryTimeout"
