"""Who may look: nobody is asked on this machine; elsewhere Entra signs in, and a role lets in."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from console.settings import ConsoleSettings

Verdict = Literal["open", "sign in", "refused"]


@dataclass(frozen=True, slots=True)
class Access:
    """Whether somebody may look, and if not, why and what to do."""

    verdict: Verdict
    what: str = ""
    remedy: str = ""


def decide(
    *,
    roles: frozenset[str],
    has_provider: bool | None,
    served_on: str,
    peer: str | None,
    user: Mapping[str, Any] | None,
) -> Access:
    """Whether the one who asks may look.

    Args:
        roles: that may; empty where no sign-in is configured.
        has_provider: the secrets name an identity provider; None where they cannot be read.
        served_on: address that the server listens on; empty is every address.
        peer: address of who asks, None where it is the same machine. A proxy's own address says nothing: give
            what it forwards.
        user: claims of who is signed in; None where nobody is.
    """
    if has_provider is None:
        return Access(
            "refused",
            "Streamlit's `secrets.toml` is no TOML, so this console is locked.",
            "Mend the file and start the console again; its log says where the file goes wrong.",
        )
    if not roles and not has_provider:
        if is_loopback(served_on) and (peer is None or is_loopback(peer)):
            return Access("open")
        return Access(
            "refused",
            "This console has no sign-in configured, so it shows telemetry on its own machine only.",
            "Serve it with `--server.address 127.0.0.1`, or set `RECSERVE_CONSOLE_ROLES` "
            "and Streamlit's `[auth]` secrets.",
        )
    if not has_provider:
        return Access(
            "refused",
            "`RECSERVE_CONSOLE_ROLES` is set, but no identity provider is.",
            "Put Entra's client id, secret and metadata URL into Streamlit's `[auth]` secrets.",
        )
    if not roles:
        return Access(
            "refused",
            "An identity provider is configured, but no role that may look.",
            "Set `RECSERVE_CONSOLE_ROLES` to app roles of the Entra registration, such as `Recserve.Operator`.",
        )
    if user is None:
        return Access("sign in", "Sign in to see this service's telemetry.")
    if roles.isdisjoint(_roles_of(user)):
        return Access(
            "refused",
            "You are signed in, but have none of the roles that may look.",
            "Ask an administrator of the Entra registration for one, then sign in again.",
        )
    return Access("open")


def is_loopback(address: str) -> bool:
    """The address reaches this machine only."""
    if address == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def check_access(settings: ConsoleSettings) -> bool:
    """Let the page go on, or show why it does not and how to sign in."""
    from console.page import say

    user = st.user.to_dict() if getattr(st.user, "is_logged_in", False) else None
    access = decide(
        roles=settings.roles,
        has_provider=has_provider(),
        served_on=str(st.get_option("server.address") or ""),
        peer=_peer(),
        user=user,
    )
    if access.verdict == "open":
        return True
    with st.container(key="gate"):
        if access.verdict == "sign in":
            say(access.what)
            if st.button("Sign in with Microsoft", type="primary", icon=":material/login:"):
                st.login()
        else:
            say(f"{access.what} {access.remedy}", "bad")
            if user is not None and st.button("Sign out", icon=":material/logout:"):
                st.logout()
    return False


def has_provider() -> bool | None:
    """The secrets name an identity provider; None where they cannot be read."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError as err:
        # One error for a file that is not there, and for one that is and cannot be read.
        return False if err.error_id == "no-secrets-found" else None


def _peer() -> str | None:
    """Who asks; of what a proxy forwards, those it names."""
    return st.context.headers.get("X-Forwarded-For") or st.context.ip_address


def _roles_of(user: Mapping[str, Any]) -> Sequence[str]:
    roles = user.get("roles")
    return [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else []
