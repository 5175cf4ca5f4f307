"""Who may look at the console."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime.secrets import Secrets

from console.access import decide, has_provider, is_loopback

OPERATORS = frozenset({"Recserve.Operator"})


def asked(
    *,
    roles: frozenset[str] = frozenset(),
    has_provider: bool | None = False,
    served_on: str = "127.0.0.1",
    peer: str | None = None,
    user: Mapping[str, Any] | None = None,
) -> tuple[str, str]:
    access = decide(roles=roles, has_provider=has_provider, served_on=served_on, peer=peer, user=user)
    return access.verdict, f"{access.what} {access.remedy}"


def test_own_machine_needs_no_sign_in() -> None:
    assert asked() == ("open", " ")


@pytest.mark.parametrize("served_on", ["", "0.0.0.0", "10.0.0.4", "console.example"])
def test_other_addresses_without_sign_in_are_refused(served_on: str) -> None:
    verdict, sentence = asked(served_on=served_on)

    assert verdict == "refused"
    assert "its own machine only" in sentence
    assert "RECSERVE_CONSOLE_ROLES" in sentence


def test_proxy_on_the_same_machine_opens_nothing() -> None:
    assert asked(peer="203.0.113.9, 127.0.0.1")[0] == "refused"


def test_stranger_is_asked_to_sign_in() -> None:
    assert asked(roles=OPERATORS, has_provider=True, served_on="0.0.0.0")[0] == "sign in"


def test_role_lets_in() -> None:
    user = {"name": "Ana", "roles": ["Somebody", "Recserve.Operator"]}

    assert asked(roles=OPERATORS, has_provider=True, served_on="0.0.0.0", user=user)[0] == "open"


@pytest.mark.parametrize("roles", [[], ["Other"], None, "Recserve.Operator", [["Recserve.Operator"]]])
def test_without_a_listed_role_nobody_gets_in(roles: object) -> None:
    verdict, sentence = asked(roles=OPERATORS, has_provider=True, user={"roles": roles})

    assert verdict == "refused"
    assert "none of the roles" in sentence


@pytest.mark.parametrize(
    ("roles", "has_provider", "remedy"),
    [(OPERATORS, False, "`[auth]` secrets"), (frozenset(), True, "Set `RECSERVE_CONSOLE_ROLES`")],
)
def test_half_a_configuration_lets_nobody_in(roles: frozenset[str], has_provider: bool, remedy: str) -> None:
    verdict, sentence = asked(roles=roles, has_provider=has_provider)

    assert verdict == "refused"
    assert remedy in sentence


@pytest.mark.parametrize("roles", [frozenset(), OPERATORS])
def test_secrets_that_cannot_be_read_lock_the_console_even_on_its_own_machine(roles: frozenset[str]) -> None:
    verdict, sentence = asked(roles=roles, has_provider=None)

    assert verdict == "refused"
    assert "`secrets.toml` is no TOML" in sentence


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        ("localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback(address: str, is_local: bool) -> None:
    assert is_loopback(address) is is_local


@pytest.mark.parametrize(
    ("secrets", "verdict"),
    [("no = toml [", None), ("x = 1", False), ('[auth]\nclient_id = "x"', True), (None, False)],
)
def test_provider_is_read_from_the_secrets(
    secrets: str | None, verdict: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secrets.toml"
    if secrets is not None:
        path.write_text(secrets)
    option = config.get_option
    monkeypatch.setattr(
        "streamlit.config.get_option", lambda name: [str(path)] if name == "secrets.files" else option(name)
    )
    monkeypatch.setattr(st, "secrets", Secrets())

    assert has_provider() is verdict
