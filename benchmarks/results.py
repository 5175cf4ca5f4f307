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
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=RESULTS_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
