import json
import re
from pathlib import Path

import pytest

from emulator.functions_host.errors import SettingsError
from emulator.functions_host.settings import apply_app_settings, load_host_json, load_local_settings


def host_json(directory: Path, text: str):
    (directory / "host.json").write_text(text, encoding="utf-8")
    return load_host_json(directory)


def local_settings(directory: Path, content: object):
    (directory / "local.settings.json").write_text(json.dumps(content))
    return load_local_settings(directory)


def test_defaults_are_those_of_the_premium_plan(tmp_path: Path) -> None:
    loaded = host_json(tmp_path, '{"version": "2.0"}')

    http = loaded.extensions.http
    assert (http.route_prefix, http.max_concurrent_requests, http.max_outstanding_requests) == ("api", -1, -1)
    assert loaded.function_timeout_s == 1800


def test_sections_the_emulator_has_no_use_for_are_ignored(tmp_path: Path) -> None:
    text = """\ufeff{"version": "2.0", "logging": {"logLevel": {"default": "Trace"}}, "aggregator": 1,
        "extensions": {"queues": {}, "http": {"routePrefix": "", "hsts": {"isEnabled": true}}}}"""

    assert host_json(tmp_path, text).extensions.http.route_prefix == ""


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("00:05:00", 300),
        ("01:00:00.5", 3600.5),
        ("1.02:00:00", 93_600),
        ("00:10", 600),
        ("-1", None),
        (None, 1800),
    ],
)
def test_function_timeout_is_read_as_a_time_span(
    tmp_path: Path, written: str | None, seconds: float | None
) -> None:
    text = json.dumps({"version": "2.0", "functionTimeout": written})

    assert host_json(tmp_path, text).function_timeout_s == seconds


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "host.json is not valid JSON"),
        ("[]", "host.json: Expected `object`, got `array`"),
        ("{}", 'host.json: version is \'\'; set "version": "2.0"'),
        ('{"version": "1.0"}', "version is '1.0'"),
        (
            '{"version": "2.0", "extensions": {"http": {"maxConcurrentRequests": "many"}}}',
            "host.json: extensions.http.maxConcurrentRequests: Expected `int`, got `str`",
        ),
        (
            '{"version": "2.0", "extensions": {"http": {"maxOutstandingRequests": 0}}}',
            "extensions.http.maxOutstandingRequests is 0; give at least 1, or -1 for no limit",
        ),
        (
            '{"version": "2.0", "extensions": {"http": {"customHeaders": {"X": 1}}}}',
            "host.json: extensions.http.customHeaders[...]: Expected `str`, got `int`",
        ),
        ('{"version": "2.0", "functionTimeout": "5m"}', "functionTimeout is '5m'; write hh:mm:ss"),
        ('{"version": "2.0", "functionTimeout": "00:00:00"}', "functionTimeout is '00:00:00'; write"),
    ],
)
def test_faulty_host_json_is_refused_with_its_field(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        host_json(tmp_path, text)


def test_missing_host_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"host.json is missing in {tmp_path}")):
        load_host_json(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"Values": {}}, 'marked as encrypted; set "IsEncrypted": false'),
        ({"IsEncrypted": True, "Values": {"A": "x"}}, "marked as encrypted"),
        ({"IsEncrypted": False, "Values": {"A": 1}}, "Values.A is 1; app settings are text"),
        ({"IsEncrypted": False, "Values": {"A": {"b": 1}}}, 'Values.A is {"b":1}; app settings'),
        ({"IsEncrypted": "no"}, "local.settings.json: IsEncrypted: Expected `bool`, got `str`"),
        ({"IsEncrypted": False, "Host": {"LocalHttpPort": "x"}}, "Host.LocalHttpPort: Expected `int"),
        ({"IsEncrypted": False, "Host": {"LocalHttpPort": 70000}}, "Host.LocalHttpPort: Expected `int"),
    ],
)
def test_faulty_local_settings_are_refused_with_their_field(
    tmp_path: Path, content: object, problem: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        local_settings(tmp_path, content)


def test_app_settings_fill_the_environment_without_overriding_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"TAKEN": "yes", "EMPTY": ""}
    monkeypatch.setattr("os.environ", environment)
    values = {"NEW": "1", "TAKEN": "no", "EMPTY": "filled", "BLANK": "", "NULL": None, "": "x"}
    settings = local_settings(tmp_path, {"IsEncrypted": False, "Values": values})

    assert settings is not None
    skipped = list(apply_app_settings(settings))

    assert environment == {"TAKEN": "yes", "EMPTY": "filled", "NEW": "1", "BLANK": ""}
    assert skipped == [
        "Skipping 'TAKEN' from local settings as it's already defined in current environment variables.",
        "Skipping 'NULL' because value is null",
        "Skipping local setting with empty key.",
    ]
