"""A chosen plan as Azure takes it: parameters for Bicep, app settings, and the commands that apply them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from planner.evaluation import Candidate
from planner.model import InstanceModel
from planner.plans import sku_named
from planner.schedule import Schedule

PARAMETERS_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
GROUP, PLAN, APP = "$RESOURCE_GROUP", "$PLAN", "$APP"
"Left to the shell that runs the commands."


def app_settings(candidate: Candidate, instance: InstanceModel, *, slo_s: float) -> dict[str, str]:
    """Settings of the app that the plan was simulated with.

    A single rung needs no brownout. A size that was not measured is simulated with several worker processes, which
    the app then has to have.
    """
    settings = {
        "RECSERVE_LADDER": ",".join(candidate.ladder),
        "RECSERVE_SLO_MS": f"{slo_s * 1e3:g}",
        "RECSERVE_MAX_BATCH": str(instance.max_batch),
        "RECSERVE_MAX_IN_FLIGHT": str(instance.concurrency_limit),
    }
    if len(candidate.ladder) == 1:
        settings["RECSERVE_BROWNOUT_AT"] = "1"
    n_processes = candidate.plan.sku.vcpu // sku_named(instance.sku).vcpu
    if n_processes > 1:
        settings["FUNCTIONS_WORKER_PROCESS_COUNT"] = str(n_processes)
    return settings


def bicep_parameters(candidate: Candidate, settings: Mapping[str, str]) -> dict[str, Any]:
    """A parameters file for `az deployment sub create ... --parameters @FILE`, beside name and place of the app."""
    plan = candidate.plan
    values: dict[str, Any] = {
        "sku": plan.sku.name,
        "minimumElasticInstanceCount": plan.always_ready,
        "preWarmedInstanceCount": plan.pre_warmed,
        "maximumElasticWorkerCount": plan.max_burst,
        "functionAppScaleLimit": plan.max_active,
        "ladder": list(candidate.ladder),
        "appSettings": dict(settings),
    }
    return {
        "$schema": PARAMETERS_SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": {name: {"value": value} for name, value in values.items()},
    }


def check_writable(path: Path) -> None:
    """See that a parameters file can be written, before anything is searched for it; what is there stays.

    Raises:
        ValueError: it cannot.
    """
    is_there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
        if not is_there:
            path.unlink()
    except OSError as err:
        raise _unwritable(path, err) from err


def write_parameters(parameters: Mapping[str, Any], path: Path) -> None:
    """Write a parameters file.

    Raises:
        ValueError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(parameters), indent=2) + b"\n")
    except OSError as err:
        raise _unwritable(path, err) from err


def _unwritable(path: Path, err: OSError) -> ValueError:
    return ValueError(f"--out {str(path)!r}: {err.strerror}; name a file that can be written")


def az_commands(candidate: Candidate, settings: Mapping[str, str]) -> list[str]:
    """Commands for the Azure CLI that turn a running app into the plan, in this order."""
    plan = candidate.plan
    web = f"az resource update -g {GROUP} -n {APP}/config/web --resource-type Microsoft.Web/sites"
    pairs = " ".join(f"{name}={value}" for name, value in settings.items())
    return [
        f"az functionapp plan update -g {GROUP} -n {PLAN} --sku {plan.sku.name} --max-burst {plan.max_burst}",
        f"{web} --set properties.minimumElasticInstanceCount={plan.always_ready} "
        f"properties.preWarmedInstanceCount={plan.pre_warmed} properties.functionAppScaleLimit={plan.max_active}",
        f"az functionapp config appsettings set -g {GROUP} -n {APP} --settings {pairs}",
    ]


def az_schedule(schedule: Schedule) -> list[str]:
    """One command for each change of a day, behind the time (cron, UTC) at which to run it."""
    web = f"az resource update -g {GROUP} -n {APP}/config/web --resource-type Microsoft.Web/sites"
    return [
        f"{_minutes_before(slot.begins_h)} * * *  {web} --set "
        f"properties.minimumElasticInstanceCount={slot.always_ready}"
        for slot in schedule.slots
    ]


def _minutes_before(hour: int) -> str:
    """Five minutes before an hour, as the first two fields of cron."""
    return f"55 {(hour - 1) % 24}"
