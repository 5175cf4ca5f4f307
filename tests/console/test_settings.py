"""The console's settings, and what is said about those that are none."""

import pytest

from console.settings import AZURE_LOGS_URL, LOCAL_WORKSPACE, SettingsError, Source, read_settings

ONE, OTHER = "9a6f2c9e-2f43-4c52-9d3b-64d1f7f0a2e8", "11111111-2222-3333-4444-555555555555"


def test_nothing_set_is_no_source_and_no_sign_in() -> None:
    read = read_settings({})

    assert (read.sources, read.roles, read.slo_ms) == ((), frozenset(), 25.0)


def test_emulator_needs_no_workspace() -> None:
    [source] = read_settings({"RECSERVE_LOGS_URL": "http://127.0.0.1:8700/"}).sources

    assert source == Source("local", LOCAL_WORKSPACE, "http://127.0.0.1:8700/v1")
    assert source.is_local


def test_workspaces_have_names() -> None:
    sources = read_settings({"RECSERVE_WORKSPACES": f"production={ONE}, {OTHER}"}).sources

    assert sources == (Source("production", ONE, AZURE_LOGS_URL), Source("11111111", OTHER, AZURE_LOGS_URL))
    assert not sources[0].is_local


def test_roles_are_a_list() -> None:
    assert read_settings({"RECSERVE_CONSOLE_ROLES": "Operator, Reader,"}).roles == {"Operator", "Reader"}


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"RECSERVE_LOGS_URL": "127.0.0.1:8700"},
            "RECSERVE_LOGS_URL is '127.0.0.1:8700'; it begins with http",
        ),
        ({"RECSERVE_WORKSPACES": "production"}, "RECSERVE_WORKSPACES holds 'production'; each is"),
        ({"RECSERVE_WORKSPACES": f"a={ONE},a={OTHER}"}, "names two workspaces alike"),
        ({"RECSERVE_SLO_MS": "fast"}, "RECSERVE_SLO_MS is 'fast'; it is a number above 0"),
        ({"RECSERVE_SLO_SHARE": "99"}, "RECSERVE_SLO_SHARE is '99'; it is a share between 0 and 1"),
    ],
)
def test_setting_that_cannot_be_used_is_named_with_a_remedy(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read_settings(environ)
