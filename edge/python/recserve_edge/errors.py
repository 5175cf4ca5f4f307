"""What can go wrong on a device.

EdgeError
|-- InvalidRequest      a request that neither edge nor cloud allows
|-- InvalidBundle       a bundle that is damaged, incomplete or contradictory; it answers nothing
|-- CacheUnavailable    the directory on the device cannot be read or written
|   `-- CacheBusy       another process of the device changes it
|-- CloudFailed         the service did not answer, or not as the service answers
|-- Unavailable         neither edge nor cloud can answer
`-- EventNotKept        the device cannot write an event down
"""

from typing import Literal

Failure = Literal["offline", "cloud_timeout", "cloud_error", "cloud_busy"]
"How asking the cloud failed: not reached, too late, not as it should answer, refused because it is busy."
BundleError = Literal[
    "not_loaded", "manifest_unavailable", "unknown_format", "incomplete", "tampered", "unreadable"
]
"Why there is no bundle; both clients use these words."


class EdgeError(Exception):
    """Any error that this package raises on purpose."""


class InvalidRequest(EdgeError):
    """The caller sent something outside the contract; the message has field, value and remedy."""


class InvalidBundle(EdgeError):
    """A bundle that must not answer.

    Args:
        word: what is wrong, in one word.
        detail: the same for people.
    """

    def __init__(self, word: BundleError, detail: str) -> None:
        super().__init__(detail)
        self.word: BundleError = word


class CacheUnavailable(EdgeError):
    pass


class CacheBusy(CacheUnavailable):
    pass


class CloudFailed(EdgeError):
    """The service did not answer.

    Args:
        failure: in what way.
        detail: what happened, for people.
    """

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure: Failure = failure


class Unavailable(EdgeError):
    """Neither edge nor cloud can answer; the message has both reasons.

    Args:
        failure: how the cloud failed.
        bundle_error: why there is no bundle.
        detail: both, for people.
    """

    def __init__(self, failure: Failure, bundle_error: BundleError, detail: str) -> None:
        super().__init__(detail)
        self.failure: Failure = failure
        self.bundle_error: BundleError = bundle_error


class EventNotKept(EdgeError):
    pass
