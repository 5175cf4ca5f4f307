"""What the Bicep files deploy: the planner's advice arrives, keys are off, and the app gets settings that it knows."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console import settings as console_settings
from infra.check.evaluation import Deployed, Deployment, deploy, parameters_of
from infra.check.rules import INFRA, LEAST, MOST
from infra.check.schemas import problems_of
from infra.check.syntax import BicepError
from planner.advice import bicep_parameters, write_parameters
from planner.evaluation import Candidate
from planner.plans import PremiumPlan, sku_named
from recserve.settings import Settings

ADVISED = {"RECSERVE_LADDER": "student,counts", "RECSERVE_SLO_MS": "40", "RECSERVE_MAX_BATCH": "16"}


def made(environ: dict[str, str], infra: Path = INFRA, **given: Any) -> Deployment:
    return deploy(infra / "main.bicep", parameters_of(infra / "main.bicepparam", environ) | given)


def of_type(deployment: Deployment, kind: str) -> list[Deployed]:
    return [each for each in deployment.resources if each.type == kind]


def site(deployment: Deployment, kind: str = "functionapp,linux") -> dict[str, Any]:
    [found] = [each for each in of_type(deployment, "Microsoft.Web/sites") if each.body["kind"] == kind]
    return dict(found.body["properties"])


def settings(deployment: Deployment, owner: str = "app") -> dict[str, str]:
    found = of_type(deployment, "Microsoft.Web/sites/config")
    [own] = [each for each in found if each.name == f"{owner}/appsettings"]
    return dict(own.body["properties"])


@pytest.fixture(scope="module")
def least() -> Deployment:
    return made(LEAST)


@pytest.fixture(scope="module")
def most() -> Deployment:
    return made(MOST)


@pytest.fixture
def advised(tmp_path: Path) -> Deployment:
    """What is deployed when the planner has written its advice over `infra/plan.json`."""
    shutil.copytree(INFRA, tmp_path / "infra", ignore=shutil.ignore_patterns("__pycache__", "check"))
    shutil.copytree(INFRA.parent / "console" / "queries", tmp_path / "console" / "queries")
    plan = PremiumPlan(sku=sku_named("EP2"), always_ready=2, pre_warmed=3, max_burst=9, scale_limit=6)
    parameters = bicep_parameters(Candidate(plan=plan, ladder=("student", "counts")), ADVISED)
    write_parameters(parameters, tmp_path / "infra" / "plan.json")
    return made(LEAST, tmp_path / "infra")


def test_the_planner_s_advice_is_what_is_deployed(advised: Deployment) -> None:
    [plan] = [
        each for each in of_type(advised, "Microsoft.Web/serverfarms") if each.body["kind"] == "elastic"
    ]
    config = site(advised)["siteConfig"]

    assert plan.body["sku"] == {"name": "EP2", "tier": "ElasticPremium", "capacity": 2}
    assert plan.body["properties"]["maximumElasticWorkerCount"] == 9
    assert (config["minimumElasticInstanceCount"], config["preWarmedInstanceCount"]) == (2, 3)
    assert config["functionAppScaleLimit"] == 6
    assert settings(advised).items() >= ADVISED.items()
    assert settings(advised, "console")["RECSERVE_SLO_MS"] == "40"


def test_the_planner_s_file_alone_lacks_nothing_but_name_and_place() -> None:
    plan = PremiumPlan(sku=sku_named("EP1"))
    file = bicep_parameters(Candidate(plan=plan, ladder=("student",)), {})
    values = {name: each["value"] for name, each in file["parameters"].items()}

    deployment = deploy(INFRA / "main.bicep", values | {"environmentName": "check", "location": "westeurope"})

    assert [problem for each in deployment.resources for problem in problems_of(each)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sku", "EP4"),
        ("minimumElasticInstanceCount", 21),
        ("preWarmedInstanceCount", 11),
        ("ladder", "student"),
    ],
)
def test_a_parameter_that_azure_would_refuse_is_refused(name: str, value: Any) -> None:
    with pytest.raises(BicepError, match=name):
        made(LEAST, **{name: value})


def test_zones_take_three_instances(most: Deployment) -> None:
    [plan] = [each for each in of_type(most, "Microsoft.Web/serverfarms") if each.body["kind"] == "elastic"]

    assert plan.body["properties"]["zoneRedundant"] is True
    assert plan.body["sku"]["capacity"] == 3
    assert all(
        each.body["sku"]["name"] == "Standard_ZRS"
        for each in of_type(most, "Microsoft.Storage/storageAccounts")
    )


def test_no_storage_account_takes_a_key(least: Deployment) -> None:
    accounts = [each.body["properties"] for each in of_type(least, "Microsoft.Storage/storageAccounts")]

    assert len(accounts) == 2
    assert all(each["allowSharedKeyAccess"] is False for each in accounts)
    assert all(each["allowBlobPublicAccess"] is False for each in accounts)


def test_telemetry_asks_for_an_identity_and_has_a_cap(least: Deployment) -> None:
    [insights] = of_type(least, "Microsoft.Insights/components")
    workspaces = [
        each.body["properties"] for each in of_type(least, "Microsoft.OperationalInsights/workspaces")
    ]

    assert insights.body["properties"]["DisableLocalAuth"] is True
    assert settings(least)["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].endswith("Authorization=AAD")
    assert all(each["features"]["disableLocalAuth"] is True for each in workspaces)
    assert all(each["workspaceCapping"]["dailyQuotaGb"] == 2 for each in workspaces)


def test_paths_with_ids_of_users_are_not_stored(least: Deployment) -> None:
    [rule] = of_type(least, "Microsoft.Insights/dataCollectionRules")
    workspaces = [
        each.body["properties"] for each in of_type(least, "Microsoft.OperationalInsights/workspaces")
    ]

    [flow] = rule.body["properties"]["dataFlows"]
    assert flow["streams"] == ["Microsoft-Table-AppRequests"]
    assert flow["transformKql"] == 'source | extend Url = ""'
    assert [each["defaultDataCollectionRuleResourceId"] for each in workspaces] == [None, "rule.id"]


def test_nobody_publishes_with_a_password(least: Deployment) -> None:
    policies = of_type(least, "Microsoft.Web/sites/basicPublishingCredentialsPolicies")

    assert sorted(each.name for each in policies) == ["app/ftp", "app/scm", "console/ftp", "console/scm"]
    assert all(each.body["properties"] == {"allow": False} for each in policies)
    for kind in ("functionapp,linux", "app,linux"):
        assert site(least, kind)["httpsOnly"] is True
        assert site(least, kind)["siteConfig"]["ftpsState"] == "Disabled"


def test_the_app_reads_models_and_packages_and_writes_no_more_than_histories(least: Deployment) -> None:
    """Data owners enter the host's account only, contributors the one table."""
    roles: dict[str, set[str]] = {}
    for each in of_type(least, "Microsoft.Authorization/roleAssignments"):
        file = each.where.partition(":")[0]
        roles.setdefault(file, set()).add(each.body["properties"]["roleDefinitionId"][-38:].strip(",)"))

    assert roles["data-storage.bicep"] == {
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",  # Storage Blob Data Reader, on two containers
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",  # Storage Table Data Contributor, on one table
    }
    assert roles["host-storage.bicep"] == {
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",  # Storage Blob Data Owner
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    }
    assert roles["vault.bicep"] == {"4633458b-17de-408a-b874-0445c86b69e6"}  # Key Vault Secrets User


@pytest.mark.parametrize("environ", [LEAST, MOST])
def test_the_app_knows_its_settings(environ: dict[str, str]) -> None:
    known = {field.upper() for field in Settings.__struct_fields__}
    set_here = settings(made(environ, appSettings=ADVISED))
    ours = {name: value for name, value in set_here.items() if name.upper() in known}

    read = msgspec.convert({name.lower(): value for name, value in ours.items()}, Settings, strict=False)

    assert {name for name in set_here if name.startswith("RECSERVE_")} <= known
    assert (read.recserve_slo_ms, read.ladder) == (40.0, ("student", "counts"))
    assert read.is_telemetry_on


def test_the_console_knows_its_settings(least: Deployment) -> None:
    given = settings(least, "console") | {"RECSERVE_WORKSPACES": "prod=00000000-0000-0000-0000-000000000000"}

    read = console_settings.read_settings(given)

    assert read.roles == {"Recserve.Operator"}
    assert (read.slo_ms, read.slo_share) == (25.0, 0.99)
    assert not read.sources[0].is_local


def test_no_value_that_is_deployed_is_a_secret(most: Deployment) -> None:
    """What a secret is read from stands there as a reference to the vault."""
    for owner in ("app", "console"):
        for name, value in settings(most, owner).items():
            if name.endswith(("_KEY", "_SECRETS")):
                assert value.startswith("@Microsoft.KeyVault(SecretUri="), name


def test_private_storage_is_closed_but_for_uploads(most: Deployment) -> None:
    accounts = [each.body["properties"] for each in of_type(most, "Microsoft.Storage/storageAccounts")]
    by_access = {each["publicNetworkAccess"]: each["networkAcls"] for each in accounts}

    assert by_access["Disabled"]["ipRules"] == []
    assert by_access["Enabled"]["ipRules"] == [{"value": "192.0.2.1", "action": "Allow"}]
    assert all(each["networkAcls"]["defaultAction"] == "Deny" for each in accounts)
    assert len(of_type(most, "Microsoft.Network/privateEndpoints")) == 6
    assert site(most)["outboundVnetRouting"] == {"allTraffic": True}


def test_sign_in_to_the_api_leaves_health_open(most: Deployment, least: Deployment) -> None:
    def sign_in(deployment: Deployment) -> list[Deployed]:
        return [each for each in deployment.resources if each.name.endswith("/authsettingsV2")]

    assert sign_in(least) == []
    [found] = sign_in(most)
    validation = found.body["properties"]["globalValidation"]
    assert validation["unauthenticatedClientAction"] == "Return401"
    assert validation["excludedPaths"] == ["/api/health/live", "/api/health/ready"]
