"""The Bicep files pass the checks that need no Azure, and the checks find mistakes."""

import shutil
from pathlib import Path

import pytest

from infra.check.rules import INFRA, check

REPOSITORY = INFRA.parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files in a place where they may be spoilt."""
    shutil.copytree(INFRA, tmp_path / "infra", ignore=shutil.ignore_patterns("__pycache__", "check"))
    shutil.copytree(REPOSITORY / "console" / "queries", tmp_path / "console" / "queries")
    return tmp_path / "infra"


def test_nothing_is_wrong_with_the_files_as_they_stand(copy: Path) -> None:
    assert check() == []
    assert check(copy) == []


@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        pytest.param(
            "function-app",
            "minimumElasticInstanceCount: min",
            "minimumElasticInstancesCount: min",
            "properties.siteConfig.minimumElasticInstancesCount is no property",
            id="a property that is not published",
        ),
        pytest.param(
            "plan",
            "zoneRedundant:",
            "zoneredundant:",
            "it is called zoneRedundant",
            id="a property in the wrong case",
        ),
        pytest.param(
            "plan",
            "    reserved: true\n",
            "    reserved: true\n    minimumElasticInstanceCount: 1\n",
            "properties.minimumElasticInstanceCount is no property",
            id="a property of the site on the plan",
        ),
        pytest.param(
            "plan",
            "serverfarms@2024-11-01",
            "serverfarms@2024-11-31",
            "Microsoft.Web/serverfarms@2024-11-31 is not among the published types",
            id="a version that was never published",
        ),
        pytest.param(
            "account",
            "minimumTlsVersion: 'TLS1_2'",
            "minimumTlsVersion: '1.2'",
            "properties.minimumTlsVersion is '1.2'; known are TLS1_0",
            id="a value that is not listed",
        ),
        pytest.param(
            "console",
            "capacity: 1 ",
            "capacity: '1' ",
            "sku.capacity is '1'; allowed: int",
            id="a text where a number belongs",
        ),
        pytest.param(
            "vault",
            "    tenantId: tenant().tenantId\n",
            "",
            "properties.tenantId is required",
            id="a lacking property",
        ),
        pytest.param(
            "function-app",
            "preWarmedInstanceCount: preWarmedInstanceCount",
            "preWarmedInstanceCount: preWarmedInstanceCount + 10",
            "preWarmedInstanceCount is 11; maxValue: 10",
            id="a number out of range",
        ),
        pytest.param(
            "plan", "kind: 'elastic'", "kind: kind", "'kind' is declared nowhere", id="an unknown name"
        ),
        pytest.param(
            "console",
            "output hostName string",
            "param apiKey string\n\noutput hostName string",
            "parameter 'apiKey' is a secret; mark it @secure()",
            id="a secret in a plain parameter",
        ),
        pytest.param(
            "monitoring",
            "output insightsName string = insights.name",
            "output insightsName string = insights.properties.ConnectionString",
            "output 'insightsName' shows a secret",
            id="a secret in an output",
        ),
        pytest.param(
            "account",
            "output name string = account.name",
            "output name string = account.listKeys().keys[0].value",
            "'(' stands where",
            id="a method, which this reader refuses",
        ),
        pytest.param(
            "account",
            "output name string = account.name",
            "output name string = listKeys(account.id, '2025-01-01').keys[0].value",
            "listKeys reads keys; use an identity",
            id="the keys of an account",
        ),
        pytest.param(
            "workspace",
            "param tags object\n",
            "param tags object\nparam colour string = 'red'\n",
            "parameter 'colour' is not used",
            id="a parameter without use",
        ),
    ],
)
def test_a_mistake_is_found_and_named(copy: Path, file: str, right: str, wrong: str, said: str) -> None:
    path = copy / "modules" / f"{file}.bicep"
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))

    problems = check(copy)

    assert any(said in problem and problem.startswith(path.name) for problem in problems), problems


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("    sku: sku\n", "", "parameter 'sku' of modules/plan.bicep is not given"),
        ("    sku: sku\n", "    sku: sku\n    size: sku\n", "modules/plan.bicep has no parameter 'size'"),
        ("plan.outputs.id", "plan.outputs.planId", "module 'plan' puts out no 'planId'"),
        ("modules/plan.bicep", "modules/plans.bicep", "there is no modules/plans.bicep"),
        (
            "network.outputs.appSubnetId",
            "network.outputs.subnetId",
            "module 'network' puts out no 'subnetId'",
        ),
    ],
)
def test_a_wrong_wire_between_modules_is_found(copy: Path, right: str, wrong: str, said: str) -> None:
    path = copy / "main.bicep"
    path.write_text(path.read_text().replace(right, wrong, 1))

    problems = check(copy)

    assert any(said in problem for problem in problems), problems


def test_a_file_that_cannot_be_read_is_named_with_its_line(copy: Path) -> None:
    path = copy / "modules" / "plan.bicep"
    path.write_text(path.read_text().replace("reserved: true", "reserved: true, ,"))

    problems = check(copy)

    assert len(problems) == 1
    assert problems[0].startswith("plan.bicep:")
