"""The real package, built once, and the environment that it is tried in."""

import importlib.util
from pathlib import Path

import pytest

from deployment.errors import DeploymentError
from deployment.interpreter import find_interpreter
from deployment.package import Package, build_package
from tests.worker.conftest import worker_python as worker_python


@pytest.fixture(scope="session")
def python_313() -> Path:
    try:
        return find_interpreter()
    except DeploymentError as err:
        pytest.skip(str(err))


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, python_313: Path) -> Package:
    """As it goes to a build in Azure: `worker_python` has what `requirements.txt` names, and nothing else."""
    if importlib.util.find_spec("uv") is None:
        pytest.skip("uv, which makes environments, is missing: install requirements-dev.txt")
    path = tmp_path_factory.mktemp("package") / "recserve.zip"
    return build_package(path, with_dependencies=False)
