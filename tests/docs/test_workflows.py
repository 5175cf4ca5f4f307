"""The GitHub workflows: of the published schema, without a secret, with nothing that can change under them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.check.rules import INFRA

PINNED = re.compile(r"uses: (?:\./\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$")


@pytest.fixture(scope="module")
def workflows() -> dict[str, Path]:
    return {path.stem: path for path in (INFRA.parent / ".github" / "workflows").glob("*.yml")}


def tool(name: str) -> Path:
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is missing: pip install {name}")
    return path


def schema_errors(*paths: Path) -> str:
    """What the schema that GitHub's editors use says of workflows; empty: nothing."""
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def security_findings(*paths: Path) -> str:
    """What zizmor says of them, from medium severity on; empty: nothing."""
    command = [tool("zizmor"), "--offline", "--no-progress", "--min-severity", "medium", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.load(path.read_text(), yaml.BaseLoader))  # `on` is no truth value here


def test_workflows_are_as_the_schema_wants_them(workflows: dict[str, Path]) -> None:
    assert workflows.keys() == {"test", "deploy"}
    assert schema_errors(*workflows.values()) == ""
    assert security_findings(*workflows.values()) == ""


def test_mistakes_are_found(workflows: dict[str, Path], tmp_path: Path) -> None:
    right = workflows["deploy"].read_text()
    misspelt, loose = tmp_path / "misspelt.yml", tmp_path / "loose.yml"
    misspelt.write_text(right.replace("runs-on:", "runs_on:", 1))
    loose.write_text(re.sub(r"azure/login@\S+ # \S+", "azure/login@v2", right))

    assert "runs_on" in schema_errors(misspelt)
    assert "unpinned-uses" in security_findings(loose)


def test_actions_are_pinned_to_a_commit_that_names_its_version(workflows: dict[str, Path]) -> None:
    for path in workflows.values():
        used = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]

        assert used
        assert [line for line in used if not PINNED.match(line)] == []


def test_no_secret_is_asked_for(workflows: dict[str, Path]) -> None:
    for path in workflows.values():
        assert "secrets." not in path.read_text()


def test_only_the_reviewed_environment_speaks_to_azure(workflows: dict[str, Path]) -> None:
    read_workflows = {name: read(path) for name, path in workflows.items()}
    trusted = {
        (name, job)
        for name, workflow in read_workflows.items()
        for job, of in workflow["jobs"].items()
        if "id-token" in of.get("permissions", {})
    }

    assert trusted == {("deploy", "deploy")}
    assert read_workflows["deploy"]["jobs"]["deploy"]["environment"] == "production"
    assert read_workflows["deploy"]["jobs"]["deploy"]["needs"] == "package"
    assert read_workflows["deploy"]["jobs"]["package"]["needs"] == "test"
    assert all(workflow["permissions"] == {"contents": "read"} for workflow in read_workflows.values())


def test_tests_run_on_the_oldest_and_the_newest_python(workflows: dict[str, Path]) -> None:
    job = read(workflows["test"])["jobs"]["test"]

    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make lint", "make test"]


def test_what_the_workflows_call_exists(workflows: dict[str, Path], repository: Path) -> None:
    text = "".join(path.read_text() for path in workflows.values())
    targets = set(re.findall(r"^([\w-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    given = set(re.findall(r"^ +((?:RECSERVE|AZURE)_\w+):", text, re.MULTILINE))
    of_azd = {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID"}
    wanted = set(re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text()))

    assert set(re.findall(r"run: make ([\w-]+)", text)) <= targets
    # azd finds out who deploys by itself.
    assert given - of_azd == wanted - {"AZURE_PRINCIPAL_ID"}
