"""A tracker: its config, made without torch, and by its full name the backend of mmengine that it is of."""

from pathlib import Path
from typing import Any


def lines(run_dir: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The config of a run's backend; what else is in it are the backend's arguments."""
    return {"type": "pkd_example.backend.Lines", "title": f"{run_dir.name}: loss {facts['loss']}"}
