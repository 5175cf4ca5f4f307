"""What can go wrong while serving, in the words of the domain.

    RecserveError
    |-- InvalidRequest          the caller sent what the contract does not allow
    |   |-- MalformedBody       not JSON
    |   |-- UnsupportedContentType
    |   |-- BodyTooLarge
    |   |-- UnknownItem         an item id that the catalogue does not hold
    |   |-- UnknownFile         a file that devices are not given
    |   `-- NotOffered          a part of the API that this app has turned off
    |-- Overloaded              admission control refused; try later
    |-- NotReady                the process is still starting
    |   `-- StartupFailed       it never will be ready; what failed is the cause
    |-- StateUnavailable        the store of user histories cannot be used
    |-- BundleUnavailable       what devices are to be given is missing or damaged
    |-- InvalidModels           a models directory that is missing, damaged or contradictory
    |-- ModelsUnavailable       the place that new versions come from cannot be reached
    `-- InvalidSettings         app settings that cannot be used

HTTP status codes belong to `http_io`.
"""

from typing import Literal

Refusal = Literal["concurrency", "queueing_delay", "deadline", "queue_full", "caller_rate"]
"Why a request was refused."


class RecserveError(Exception):
    """Any error that Recserve raises on purpose."""


class InvalidRequest(RecserveError):
    """The caller sent something outside the contract.

    Args:
        detail: what was wrong, with the value, and what to send instead.
        field: where, as a dotted path such as `history[3]`; empty for the request as a whole.
        value: what was sent there.
        allowed: what may be sent there, in words.
    """

    def __init__(self, detail: str, *, field: str = "", value: object = None, allowed: str = "") -> None:
        super().__init__(detail)
        self.field = field
        self.value = value
        self.allowed = allowed


class MalformedBody(InvalidRequest):
    pass


class UnsupportedContentType(InvalidRequest):
    pass


class BodyTooLarge(InvalidRequest):
    pass


class UnknownItem(InvalidRequest):
    pass


class UnknownFile(InvalidRequest):
    pass


class NotOffered(InvalidRequest):
    pass


class Overloaded(RecserveError):
    """Answering this request in time would make others late, or cannot be done.

    Args:
        detail: what is too much, and what the caller can do.
        retry_after_s: when to come back.
        reason: which limit refused it.
    """

    def __init__(self, detail: str, *, retry_after_s: float, reason: Refusal) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.reason = reason


class NotReady(RecserveError):
    pass


class StartupFailed(NotReady):
    pass


class StateUnavailable(RecserveError):
    pass


class BundleUnavailable(RecserveError):
    pass


class InvalidModels(RecserveError):
    pass


class ModelsUnavailable(RecserveError):
    pass


class InvalidSettings(RecserveError):
    pass
