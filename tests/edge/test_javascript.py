"""The JavaScript client's pure modules, and its declarations, under Node's own tools."""

import json
import subprocess
from pathlib import Path

import pytest

from emulator.npm import NpmMissing, install_pinned

CLIENT = Path(__file__).parents[2] / "edge" / "js"


@pytest.fixture(scope="module")
def modules() -> Path:
    try:
        return install_pinned(CLIENT, name="edge client")
    except NpmMissing as err:
        pytest.skip(str(err))


def test_decisions_filters_and_reports_are_as_agreed(modules: Path) -> None:
    tests = sorted(str(path) for path in (CLIENT / "test").glob("*.test.js"))

    ran = subprocess.run(["node", "--test", *tests], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout


def test_declarations_hold_for_what_callers_write(modules: Path, tmp_path: Path) -> None:
    project = tmp_path / "tsconfig.json"
    runtime = modules / "onnxruntime-web" / "types.d.ts"
    config = {
        "extends": str(CLIENT / "tsconfig.json"),
        "compilerOptions": {"paths": {"onnxruntime-web": [str(runtime)]}, "rootDir": "/"},
        "files": [str(CLIENT / "src" / "index.d.ts"), str(CLIENT / "test" / "types.ts")],
    }
    project.write_text(json.dumps(config))

    compiler = str(modules / "typescript" / "bin" / "tsc")
    ran = subprocess.run(
        ["node", compiler, "--project", str(project)], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stdout


def test_lock_file_names_no_registry() -> None:
    lock = (CLIENT / "package-lock.json").read_text()

    assert "resolved" not in lock
    assert "://" not in lock
