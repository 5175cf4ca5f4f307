"""Cross-origin requests, for `--cors` and local.settings.json's `Host.CORS`.

In Azure the platform answers these before the host; locally Core Tools put ASP.NET's CORS policy in front
of it, with any header and any method allowed.
"""

from dataclasses import dataclass

from emulator.functions_host.errors import SettingsError
from emulator.functions_host.http_io import Header, Response


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """Which origins may read answers."""

    origins: frozenset[str]
    with_credentials: bool = False

    @classmethod
    def parse(cls, origins: str, *, with_credentials: bool = False) -> "CorsPolicy | None":
        """Read a comma-separated list; None where it is empty.

        Raises:
            SettingsError: any origin is allowed, and credentials too, which browsers refuse.
        """
        parsed = frozenset(origin.strip().rstrip("/") for origin in origins.split(",") if origin.strip())
        if "*" in parsed and with_credentials:
            raise SettingsError(
                "Host.CORS is * and Host.CORSCredentials is true; name the origins, or drop one"
            )
        return cls(parsed, with_credentials) if parsed else None

    def response_headers(self, headers: dict[str, str]) -> list[Header]:
        """Say in an answer's headers whether the request's origin may read it."""
        origin = headers.get("origin")
        if not origin or ("*" not in self.origins and origin not in self.origins):
            return []
        if "*" in self.origins:
            return [(b"access-control-allow-origin", b"*")]
        allowed = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
        if self.with_credentials:
            allowed.append((b"access-control-allow-credentials", b"true"))
        return allowed

    def preflight_response(self, method: str, headers: dict[str, str]) -> Response | None:
        """Answer a preflight request, less the headers that every answer has; None where it is none."""
        requested_method = headers.get("access-control-request-method")
        if method != "OPTIONS" or not requested_method or "origin" not in headers:
            return None
        if not self.response_headers(headers):
            return Response(204)
        allowed = [(b"access-control-allow-methods", requested_method.encode("latin-1"))]
        if requested_headers := headers.get("access-control-request-headers"):
            allowed.append((b"access-control-allow-headers", requested_headers.encode("latin-1")))
        return Response(204, allowed)
