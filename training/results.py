"""Result files: what a run measured and how its fits went, kept when its models are not."""

from pathlib import Path

import msgspec

from recserve.inference.manifest import Manifest
from training.config import RunConfig
from training.errors import TrainingError
from training.fitting import Look
from training.writing import write_whole


class ResultError(TrainingError):
    """A result file that is none; the message names it."""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    manifest: Manifest
    config: RunConfig
    looks: dict[str, list[Look]]
    "Looks at validation of each fit."


def write_result(path: Path, manifest: Manifest, looks: dict[str, list[Look]], config: RunConfig) -> None:
    """Raises OSError where the disk refuses; what stood there is as it was."""
    result = RunResult(manifest=manifest, config=config, looks=looks)
    write_whole(path, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def read_results(results_dir: Path) -> list[RunResult]:
    """All results, in the order of their file names.

    Raises:
        ResultError: a file is no result.
    """
    return [_read(path) for path in sorted(results_dir.glob("*.json"))]


def _read(path: Path) -> RunResult:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunResult)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise ResultError(f"{path} is no result file: {err}; run the training with --result again") from err
