"""The scripts around the Bicep files, with the Azure CLI, which cannot be had here, played by a shell script."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.check.rules import INFRA

KEY = "a-function-key"
AZ = """#!/bin/sh
echo "az $*" >> "$PLAYED/calls"
file() { echo "$*" | sed -E 's/.*--(file|src-path) ([^ ]*).*/\\2/'; }
case "$*" in
    *"functionapp show"*) echo /subscriptions/s/sites/f ;;
    *"keys list"*) echo "$KEY" ;;
    *"blob exists"*) echo true ;;
    *"blob upload"* | *"webapp deploy"* | *"secret set"*) cp "$(file "$@")" "$PLAYED" ;;
esac
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What `publish.sh` printed, and the folder with what it handed to Azure."""
    folder = tmp_path_factory.mktemp("publish")
    tools = folder / "bin"
    tools.mkdir()
    for name, script in (("az", AZ), ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')):
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    with zipfile.ZipFile(folder / "recserve.zip", "w") as package:
        package.write(INFRA.parent / "function_app.py", "function_app.py")
        package.writestr(".python_packages/lib/site-packages/numpy/__init__.py", "")
    played = folder / "played"
    played.mkdir()
    made = {
        "RECSERVE_API_URL": "https://api",
        "RECSERVE_APP": "func",
        "RECSERVE_CONSOLE": "console",
        "RECSERVE_CONSOLE_URL": "https://console",
        "RECSERVE_DATA_ACCOUNT": "stdata",
        "RECSERVE_GROUP": "rg",
        "RECSERVE_MODELS_URL": "https://stdata/models",
        "RECSERVE_VAULT": "kv",
        "RECSERVE_WORKBOOK_URL": "https://workbook",
    }
    run = subprocess.run(
        ["sh", str(INFRA / "publish.sh")],
        env={
            **os.environ,
            **made,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "BIN": os.path.relpath(tools, INFRA.parent),
            "PACKAGE": str(folder / "recserve.zip"),
            "PLAYED": str(played),
            "KEY": KEY,
        },
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr, played


def test_the_package_is_published_as_it_was_made(published: tuple[str, Path]) -> None:
    made = published[1].parent / "recserve.zip"

    assert (published[1] / "recserve.zip").read_bytes() == made.read_bytes()


def test_a_package_without_dependencies_is_not_published(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as package:
        package.write(INFRA.parent / "function_app.py", "function_app.py")

    run = subprocess.run(
        ["sh", str(INFRA / "publish.sh")],
        env={
            "PATH": os.environ["PATH"],
            "BIN": os.path.relpath(Path(sys.executable).parent, INFRA.parent),
            "PACKAGE": str(tmp_path / "package.zip"),
            "RECSERVE_GROUP": "rg",
        },
        capture_output=True,
        text=True,
    )

    assert run.returncode == 1
    assert "package.zip brings no dependencies; make it with: make package" in run.stderr


def test_the_console_brings_what_it_imports(published: tuple[str, Path]) -> None:
    with zipfile.ZipFile(published[1] / "console.zip") as package:
        names = set(package.namelist())
        requirements = package.read("requirements.txt").decode()

    assert {"console-start.sh", "console/app.py", "planner/plans.py", "recserve/settings.py"} <= names
    assert ".streamlit/config.toml" in names
    assert "streamlit==" in requirements
    assert not any("__pycache__" in name for name in names)


def test_the_function_key_reaches_the_vault_and_is_shown_nowhere(published: tuple[str, Path]) -> None:
    printed, played = published

    assert (played / "key").read_text() == KEY
    assert KEY not in printed
    assert KEY not in (played / "calls").read_text()


def test_models_that_are_there_already_stay(published: tuple[str, Path]) -> None:
    assert "published" not in published[0]


def test_without_outputs_of_a_deployment_it_says_what_to_do() -> None:
    run = subprocess.run(
        ["sh", str(INFRA / "publish.sh")], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )

    assert run.returncode != 0
    assert "run it through azd" in run.stderr


@pytest.mark.parametrize(
    ("secrets", "is_written"),
    [
        ("@Microsoft.KeyVault(SecretUri=https://kv/secrets/streamlit)", False),
        ('[auth]\nclient_id = "a"\n', True),
    ],
)
def test_the_console_gets_its_secrets_once_they_are_in_the_vault(
    tmp_path: Path, secrets: str, is_written: bool
) -> None:
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@" "${STREAMLIT_SECRETS-unset}"\n')
    (tmp_path / "python").chmod(0o755)
    file = tmp_path / "secrets.toml"

    run = subprocess.run(
        ["sh", str(INFRA / "console-start.sh")],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "STREAMLIT_SECRETS": secrets,
            "STREAMLIT_SECRETS_FILES": str(file),
        },
        capture_output=True,
        text=True,
    )

    assert run.stdout.strip().endswith("unset"), run.stderr
    assert file.exists() == is_written
    if is_written:
        assert file.read_text() == secrets
        assert file.stat().st_mode & 0o077 == 0
