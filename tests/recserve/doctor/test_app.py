import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from recserve.doctor.app import check_host_file, check_models, check_packages, check_python
from recserve.settings import Settings


def host_file(path: Path, repository: Path, **changes: Any) -> Path:
    host = json.loads((repository / "host.json").read_text())
    http = changes.pop("http", {})
    host["extensions"]["http"] |= http
    target = path / "host.json"
    target.write_text(json.dumps(host | changes))
    return target


@pytest.mark.parametrize(
    ("version", "level"), [((3, 13), "ok"), ((3, 11), "warn"), ((3, 10), "fail"), ((3, 14), "fail")]
)
def test_python_is_that_of_production_or_one_that_is_tested(version: tuple[int, int], level: str) -> None:
    assert check_python(version).level == level


def test_installed_packages_are_those_that_are_pinned(repository: Path) -> None:
    assert check_packages(repository / "requirements.txt").level == "ok"


def test_package_of_another_version_and_one_that_is_missing_are_both_named(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(
        "# pins\nnumpy==1.0\nno-such-package==2.0\nmsgspec>=0\nabsent==1 ; python_version < '3'\n"
    )

    diagnosis = check_packages(requirements)

    assert diagnosis.level == "fail"
    assert "numpy is " in diagnosis.text
    assert "instead of 1.0" in diagnosis.text
    assert "no-such-package is nothing instead of 2.0" in diagnosis.text
    assert "absent" not in diagnosis.text


def test_host_file_of_the_repository_is_sound(repository: Path) -> None:
    assert [found.level for found in check_host_file(repository / "host.json")] == ["ok"]


@pytest.mark.parametrize(
    ("changes", "level", "named"),
    [
        ({"version": "3.0"}, "fail", "version is '3.0'"),
        ({"extensionBundle": {"id": "x", "version": "[4.*, 5.0.0)"}}, "fail", "extensionBundle"),
        ({"http": {"routePrefix": ""}}, "fail", "routePrefix is ''"),
        ({"telemetryMode": None}, "warn", "telemetryMode is None"),
        ({"http": {"maxConcurrentRequests": 100}}, "warn", "maxConcurrentRequests is 100"),
        ({"http": {"dynamicThrottlesEnabled": True}}, "warn", "dynamicThrottlesEnabled"),
    ],
)
def test_host_file_that_the_app_cannot_rely_on_is_told(
    tmp_path: Path, repository: Path, changes: dict[str, Any], level: str, named: str
) -> None:
    [found] = check_host_file(host_file(tmp_path, repository, **changes))

    assert (found.level, named in found.text) == (level, True)


@pytest.mark.parametrize("content", ["{", "[]", None], ids=["broken", "list", "missing"])
def test_host_file_that_cannot_be_read_is_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "host.json"
    if content is not None:
        path.write_text(content)

    assert [found.level for found in check_host_file(path)] == ["fail"]


def test_models_that_are_whole_load_and_answer(models_dir: Path) -> None:
    [found] = check_models(Settings(recserve_models_dir=str(models_dir)))

    assert (found.level, "near, popular answer" in found.text) == ("ok", True)


def test_every_damaged_file_is_named(models_dir: Path) -> None:
    for name in ("near.onnx", "catalogue.json"):
        path = models_dir / name
        path.write_bytes(path.read_bytes() + b"\0")

    found = check_models(Settings(recserve_models_dir=str(models_dir)))

    assert [diagnosis.level for diagnosis in found] == ["fail", "fail"]
    assert [name in "".join(map(str, found)) for name in ("near.onnx", "catalogue.json")] == [True, True]


def test_challenger_is_looked_at_too(models_dir: Path, tmp_path: Path) -> None:
    challenger = tmp_path / "challenger"
    shutil.copytree(models_dir, challenger)
    (challenger / "manifest.json").write_text("{}")

    found = check_models(
        Settings(recserve_models_dir=str(models_dir), recserve_challenger_dir=str(challenger))
    )

    assert [(diagnosis.subject, diagnosis.level) for diagnosis in found] == [
        ("models", "ok"),
        ("challenger", "fail"),
    ]


def test_bundle_is_looked_at_where_devices_are_given_one(models_dir: Path, tmp_path: Path) -> None:
    places = {"recserve_models_dir": str(models_dir), "recserve_edge_dir": str(tmp_path / "nowhere")}

    off, public = (check_models(Settings(**places, recserve_edge=offer)) for offer in ("off", "public"))

    assert [diagnosis.subject for diagnosis in off] == ["models"]
    assert [(diagnosis.subject, diagnosis.level) for diagnosis in public] == [
        ("models", "ok"),
        ("edge", "fail"),
    ]
