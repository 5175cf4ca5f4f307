"""Everything that is wrong with the app settings is told at once."""

import json
import logging
import re
from pathlib import Path

import pytest

from recserve.errors import InvalidSettings
from recserve.settings import inspect_settings, read_settings
from recserve.settings_check import Finding

SECRET = "c2VjcmV0"
STORAGE = f"AccountName=shop;AccountKey={SECRET}"
INSIGHTS = (
    "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://x.in.ai.azure.com"
)
IN_AZURE = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD;ClientId=11111111-1111-1111-1111-111111111111",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": INSIGHTS,
    "AzureWebJobsStorage__accountName": "shop",
    "FUNCTIONS_EXTENSION_VERSION": "~4",
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "RECSERVE_LADDER": "student,counts,popular",
    "RECSERVE_MODELS_URL": "https://shop.blob.core.windows.net/models",
    "RECSERVE_SPLIT": "student=90, int8=10",
    "RECSERVE_STATE_TABLES_URL": "https://shop.table.core.windows.net",
    "WEBSITE_INSTANCE_ID": "a1b2",
    "WEBSITE_RUN_FROM_PACKAGE": "1",
}


def findings(environ: dict[str, str], *, is_deployed: bool = False) -> list[Finding]:
    return inspect_settings(environ, is_deployed=is_deployed)[1]


@pytest.mark.parametrize("environ", [{}, IN_AZURE], ids=["none", "in Azure"])
def test_settings_that_fit_raise_no_finding(environ: dict[str, str]) -> None:
    assert findings(environ, is_deployed=environ is IN_AZURE) == []


def test_sample_settings_raise_no_finding(repository: Path) -> None:
    assert findings(json.loads((repository / "local.settings.sample.json").read_text())["Values"]) == []


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        (
            {
                "RECSERVE_STATE_TABLES_URL": "https://shop.table.core.windows.net",
                "RECSERVE_STATE_TABLES_CONNECTION_STRING": STORAGE,
            },
            "RECSERVE_STATE_TABLES_URL and RECSERVE_STATE_TABLES_CONNECTION_STRING are both set",
        ),
        (
            {
                "RECSERVE_MODELS_URL": "https://shop.blob.core.windows.net/models",
                "RECSERVE_MODELS_CONNECTION_STRING": STORAGE,
            },
            "RECSERVE_MODELS_URL and RECSERVE_MODELS_CONNECTION_STRING are both set",
        ),
        ({"RECSERVE_STATE_TABLES_URL": "shop.table.core.windows.net"}, "is no address"),
        ({"RECSERVE_STATE_TABLES_URL": "https://[shop"}, "is no address"),
        ({"RECSERVE_STATE_TABLES_URL": "http://shop.table.core.windows.net"}, "is not encrypted"),
        ({"RECSERVE_STATE_TABLES_URL": "https://shop.blob.core.windows.net"}, "is the address of blobs"),
        ({"RECSERVE_MODELS_URL": "https://shop.blob.core.windows.net/"}, "names no container"),
        ({"RECSERVE_MODELS_URL": "https://shop.table.core.windows.net/models"}, "is the address of tables"),
        ({"RECSERVE_MODELS_CONNECTION_STRING": "AccountName=shop"}, "lacks AccountKey"),
        (
            {"RECSERVE_STATE_TABLES_CONNECTION_STRING": "BlobEndpoint=https://a;SharedAccessSignature=s"},
            "names no table endpoint",
        ),
        ({"RECSERVE_STATE_TABLES_CONNECTION_STRING": "UseDevelopmentStorage=true"}, "do not know"),
        ({"RECSERVE_SPLIT": "student"}, "RECSERVE_SPLIT: 'student' is not an arm"),
        ({"RECSERVE_SPLIT": "studnet=1"}, r"RECSERVE_SPLIT names 'studnet'.*did you mean 'student'\?"),
        ({"RECSERVE_SHADOW": "gpt"}, "RECSERVE_SHADOW names 'gpt'.*they have teacher, student"),
        ({"RECSERVE_LADDER": "student,cuonts"}, r"RECSERVE_LADDER names 'cuonts'.*'counts'\?"),
        ({"RECSERVE_SPLIT": "challenger/student=5"}, "RECSERVE_CHALLENGER_DIR is not set"),
        (
            {"RECSERVE_SPLIT": "challenger/tutor=5", "RECSERVE_CHALLENGER_DIR": "models"},
            "names 'tutor', which the challenger models do not have",
        ),
    ],
)
def test_settings_that_cannot_serve_stop_the_start_by_name(environ: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidSettings, match=named):
        read_settings(environ)


@pytest.mark.parametrize(
    ("environ", "level", "named"),
    [
        ({"RECSERVE_MODLES_DIR": "m"}, "warn", r"RECSERVE_MODLES_DIR .*did you mean RECSERVE_MODELS_DIR\?"),
        ({"recserve_slo_ms": "9"}, "warn", r"recserve_slo_ms .*did you mean RECSERVE_SLO_MS\?"),
        ({"RECSERVE_XYZZY": "9"}, "warn", "RECSERVE_XYZZY .*remove it"),
        ({"WEBSITE_INSTANCE_ID": "a1b2"}, "warn", "RECSERVE_STATE_TABLES_URL.* user histories .*are lost"),
        ({"RECSERVE_DEADLINE_MS": "20"}, "warn", "RECSERVE_DEADLINE_MS=20 .*RECSERVE_SLO_MS=25"),
        (
            IN_AZURE | {"RECSERVE_STATE_TIMEOUT_MS": "300"},
            "warn",
            "RECSERVE_STATE_TIMEOUT_MS=300 .*RECSERVE_DEADLINE_MS=250",
        ),
        (
            {"RECSERVE_ADMISSION": "off", "RECSERVE_MAX_IN_FLIGHT": "5"},
            "warn",
            "RECSERVE_ADMISSION='off' .*RECSERVE_MAX_IN_FLIGHT have no effect",
        ),
        (
            {"RECSERVE_BROWNOUT_AT": "1", "RECSERVE_LADDER": "student,counts"},
            "warn",
            "RECSERVE_BROWNOUT_AT=1 .*RECSERVE_LADDER",
        ),
        (
            {"RECSERVE_CALLER_BURST": "5"},
            "warn",
            "RECSERVE_CALLER_BURST=5 has no effect.*RECSERVE_CALLER_PER_S",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://someone:{SECRET}@otel.example:4318/x@y"},
            "fail",
            "'https://otel.example:4318/x@y' holds a user.*OTEL_EXPORTER_OTLP_HEADERS",
        ),
        ({"RECSERVE_CHALLENGER_DIR": "models"}, "warn", "RECSERVE_CHALLENGER_DIR is set.*RECSERVE_SPLIT"),
        (
            {"APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD"},
            "warn",
            "APPLICATIONINSIGHTS_CONNECTION_STRING is not: telemetry goes nowhere",
        ),
        (
            IN_AZURE | {"APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "ClientId=x"},
            "fail",
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING lacks Authorization=AAD",
        ),
        (
            {"APPLICATIONINSIGHTS_CONNECTION_STRING": "x"},
            "fail",
            "APPLICATIONINSIGHTS_CONNECTION_STRING is no",
        ),
        (
            {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true"},
            "fail",
            "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY .*APPLICATIONINSIGHTS_CONNECTION_STRING",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "fail",
            "OTEL_EXPORTER_OTLP_ENDPOINT='collector:4318'",
        ),
        ({"AzureWebJobsStorage": "shop"}, "fail", "AzureWebJobsStorage is no connection string"),
        (
            {"AzureWebJobsStorage": STORAGE, "AzureWebJobsStorage__accountName": "shop"},
            "warn",
            "AzureWebJobsStorage and AzureWebJobsStorage__accountName are both set",
        ),
        ({"FUNCTIONS_WORKER_RUNTIME": "python"}, "warn", "AzureWebJobsStorage is not set, and the timer"),
        (
            IN_AZURE | {"FUNCTIONS_WORKER_RUNTIME": "node"},
            "fail",
            "FUNCTIONS_WORKER_RUNTIME='node'; set it to python",
        ),
        (
            IN_AZURE | {"SCM_DO_BUILD_DURING_DEPLOYMENT": "true"},
            "fail",
            "WEBSITE_RUN_FROM_PACKAGE and SCM_DO_BUILD_DURING_DEPLOYMENT",
        ),
    ],
)
def test_settings_that_mean_something_else_are_told_and_do_not_stop_the_start(
    environ: dict[str, str], level: str, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    [finding] = findings(environ)
    with caplog.at_level(logging.WARNING):
        read_settings(environ)

    assert (finding.level, finding.is_fatal) == (level, False)
    assert re.search(named, str(finding)), finding
    assert str(finding) in caplog.text


def test_everything_in_the_way_is_named_at_once() -> None:
    environ = {
        "RECSERVE_MAX_BATCH": "0",
        "RECSERVE_STATE_TABLES_CONNECTION_STRING": "AccountName=shop",
        "RECSERVE_MODELS_URL": "https://shop.blob.core.windows.net",
        "RECSERVE_SPLIT": "challenger/student=1",
    }

    with pytest.raises(InvalidSettings) as invalid:
        read_settings(environ)

    assert [name for name in environ if name not in str(invalid.value)] == []


def test_timer_that_is_switched_off_needs_no_storage() -> None:
    off = {"AzureWebJobs__reload_models_on_schedule__Disabled": "true"}

    assert findings({"FUNCTIONS_WORKER_RUNTIME": "python"} | off) == []


def test_settings_of_a_deployed_app_are_told_that_histories_are_lost_wherever_they_are_checked() -> None:
    without = {
        name: value for name, value in IN_AZURE.items() if "TABLES" not in name and "WEBSITE_I" not in name
    }

    assert ["user histories" in str(finding) for finding in findings(without, is_deployed=True)] == [True]


def test_variants_of_models_from_elsewhere_are_not_judged_by_those_that_lie_here() -> None:
    assert findings(IN_AZURE | {"RECSERVE_SPLIT": "tutor=1"}) == []


def test_no_finding_repeats_a_secret() -> None:
    environ = {
        "AzureWebJobsStorage": f"AccountKey={SECRET}",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={SECRET}",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": SECRET,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"ftp://user:{SECRET}@collector",
        "RECSERVE_MODELS_CONNECTION_STRING": f"AccountKey={SECRET}",
        "RECSERVE_MODELS_URL": f"ftp://shop.blob.core.windows.net/models?sig={SECRET}",
        "RECSERVE_STATE_TABLES_CONNECTION_STRING": f"UseDevelopmentStorage=true;AccountKey={SECRET}",
        "RECSERVE_STATE_TABLES_URL": f"http://{SECRET}@shop.table.core.windows.net?{SECRET}",
        "RECSERVE_USER_KEYS": SECRET,
    }
    found = findings(environ)

    assert {name for name in environ if any(name in str(finding) for finding in found)} == set(environ)
    assert SECRET not in " ".join(map(str, found))


def test_every_setting_of_the_readme_is_known(repository: Path) -> None:
    rows = re.findall(r"^\| `(RECSERVE_\w+)` \|", (repository / "README.md").read_text(), re.MULTILINE)
    unknown = [
        str(finding) for finding in findings(dict.fromkeys(rows, "")) if "is no setting" in str(finding)
    ]

    assert len(rows) > 30
    assert unknown == []
