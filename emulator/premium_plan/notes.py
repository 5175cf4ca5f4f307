"""What an instance's processes leave for the next one, handed over where one instance takes another's place.

An app tells a restart from a scale-out by notes in the temporary directory (`recserve.telemetry.cause`). On
Azure that directory lives as long as the instance; here each process is an instance of its own, so that the
notes go from predecessor to successor.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

Notes = Mapping[str, dict[str, Any]]
"Content by path below the temporary directory."

PATTERN = "recserve/started-*.json"


def read_notes(temporary: Path) -> Notes:
    """All notes in a temporary directory; none where there is no such directory."""
    notes = {}
    for path in temporary.glob(PATTERN):
        with suppress(OSError, ValueError):
            content = json.loads(path.read_text())
            if isinstance(content, dict):
                notes[str(path.relative_to(temporary))] = content
    return notes


def write_notes(notes: Notes, temporary: Path, *, instance: str, is_deployment: bool) -> None:
    """Leave a predecessor's notes for its successor.

    Args:
        temporary: the successor's temporary directory.
        instance: the successor's id.
        is_deployment: they are to be the notes of another deployment.
    """
    for name, content in notes.items():
        path = temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        succeeded = content | {"instance": instance, "pids": []}
        if is_deployment:
            succeeded["deployment"] = f"before {content.get('deployment', '')}"
        path.write_text(json.dumps(succeeded))
