"""Result files: what a run measured and how its fits went, kept when its models are not."""

from pathlib import Path

import msgspec

from recserve.inference.manifest import Manifest
from training.config import RunConfig
from training.fitting import Look


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    manifest: Manifest
    config: RunConfig
    looks: dict[str, list[Look]]
    "Looks at validation of each fit."


def write_result(path: Path, manifest: Manifest, looks: dict[str, list[Look]], config: RunConfig) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    result = RunResult(manifest=manifest, config=config, looks=looks)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def read_results(results_dir: Path) -> list[RunResult]:
    """All results, in the order of their file names."""
    return [
        msgspec.json.decode(path.read_bytes(), type=RunResult) for path in sorted(results_dir.glob("*.json"))
    ]
