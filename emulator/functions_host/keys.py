"""Function keys, as `func start --enableAuth` enforces them.

The levels: `anonymous` takes any request; `function` the function's own key, the host key or the master
key; `admin` the master key alone, and so do the endpoints under /admin.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from emulator.functions_host.functions import HostedFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All keys of an app; they live as long as the process."""

    master: str
    host: str
    functions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def generate(cls, functions: Iterable[HostedFunction]) -> "Keys":
        """Make fresh keys: one for each function that asks for one, the host's and the master."""
        return cls(
            master=_key(),
            host=_key(),
            functions={f.name: _key() for f in functions if f.http and f.http.auth_level == "function"},
        )

    def allow(self, level: str, presented: str, *, function_name: str = "") -> bool:
        """Tell whether a key, or its absence, satisfies a level."""
        if level == "anonymous":
            return True
        accepted = [self.master]
        if level == "function":
            accepted += [self.host, self.functions[function_name]]
        return any(secrets.compare_digest(presented.encode(), key.encode()) for key in accepted)

    def lines(self) -> Iterator[str]:
        """List the keys, for the one time that they are printed."""
        yield "Keys (send one as x-functions-key or ?code=):"
        width = max(map(len, ["master", "host", *self.functions]))
        for name, key in {"master": self.master, "host": self.host, **self.functions}.items():
            yield f"        {name:{width}}  {key}"


def presented_key(headers: dict[str, str], query: bytes) -> str:
    """Find the key that a request presents; empty where it has none."""
    if key := headers.get("x-functions-key"):
        return key
    return dict(parse_qsl(query.decode("latin-1"))).get("code", "") if b"code=" in query else ""


def _key() -> str:
    return secrets.token_urlsafe(40)
