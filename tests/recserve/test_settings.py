import json
from pathlib import Path

import pytest

from recserve.errors import InvalidSettings
from recserve.settings import Settings, read_settings

SET_BY_AZURE = {
    "REGION_NAME",
    "WEBSITE_AUTH_ENABLED",
    "WEBSITE_AUTH_ENCRYPTION_KEY",
    "WEBSITE_INSTANCE_ID",
    "WEBSITE_OWNER_NAME",
    "WEBSITE_RESOURCE_GROUP",
    "WEBSITE_SITE_NAME",
}


def app_settings() -> set[str]:
    return {name.upper() for name in Settings.__struct_fields__}


def test_without_any_setting_the_defaults_serve() -> None:
    settings = read_settings({})

    assert settings.models_dir.is_dir()
    assert settings.state_path.name == "state.db"


def test_relative_paths_do_not_depend_on_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert (read_settings({}).models_dir / "manifest.json").is_file()


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as invalid:
        read_settings({"RECSERVE_MAX_BATCH": "0", "RECSERVE_BROWNOUT_AT": "high", "PATH": "/bin"})

    assert "RECSERVE_MAX_BATCH='0'" in str(invalid.value)
    assert "RECSERVE_BROWNOUT_AT='high'" in str(invalid.value)


@pytest.mark.parametrize(
    ("value", "is_set"),
    [
        *((value, True) for value in ("1", "true", "TRUE", "t", "yes", "y", " True ")),
        *((value, False) for value in ("", "0", "false", "no", "on", "enabled")),
    ],
)
def test_flag_of_the_worker_means_what_it_means_to_the_worker(value: str, is_set: bool) -> None:
    settings = read_settings({"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": value})

    assert settings.python_applicationinsights_enable_telemetry is is_set


def test_every_setting_has_a_row_in_the_readme(repository: Path) -> None:
    readme = (repository / "README.md").read_text()

    assert [name for name in sorted(app_settings()) if f"| `{name}` |" not in readme] == []


def test_sample_settings_name_every_setting_and_can_be_used(repository: Path) -> None:
    sample = json.loads((repository / "local.settings.sample.json").read_text())["Values"]

    assert app_settings() - SET_BY_AZURE <= set(sample)
    read_settings(sample)
