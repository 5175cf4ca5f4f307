"""Who goes first when not everyone can be served well."""

from typing import Literal

Priority = Literal["normal", "low"]
"""A person waits for `normal`; `low` is prefetching, mail and whatever else can come back later."""
