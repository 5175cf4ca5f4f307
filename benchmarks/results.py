"""Result files: figures, and what one must know to believe them."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from training.machine import cpu_model

RESULTS_DIR = Path(__file__).parent / "results"
PACKAGES = ("numpy", "onnxruntime", "azure-functions", "msgspec")


def percentiles(values_ms: Sequence[float]) -> dict[str, float]:
    """Count, median and tail of latencies in ms."""
    p50, p95, p99 = np.percentile(values_ms, [50, 95, 99])
    return {"n": len(values_ms), "p50_ms": round(p50, 4), "p95_ms": round(p95, 4), "p99_ms": round(p99, 4)}


def write_result(name: str, *, settings: Mapping[str, Any], figures: Mapping[str, Any]) -> Path:
    """Write `results/<name>.json`."""
    path = RESULTS_DIR / f"{name}.json"
    result = describe_result(name, settings=settings, figures=figures)
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


def describe_result(name: str, *, settings: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures with what they were measured on and with."""
    return {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "packages": {package: version(package) for package in PACKAGES},
        },
        "settings": settings,
        "figures": figures,
    }


def _commit() -> str:
    """Commit of the tree; `-dirty` where more than results and their pictures have changed since."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    written = (":(top,exclude)benchmarks/results", ":(top,exclude)docs/*.svg", ":(top,exclude)README.md")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", *written)
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=RESULTS_DIR, capture_output=True, text=True, check=False)
    return done.stdout.strip()
