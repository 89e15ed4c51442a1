"""The mmengine config of a run, in the process that builds from it: its modules imported, its arguments looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pkdcli.config.build import build_config
from pkdcli.engine.setup.arguments import drop_foreign
from pkdcli.engine.setup.imports import import_for
from pkdcli.recipe.schema import Recipe


def run_config(
    recipe: Recipe, work_dir: Path | str, teacher_weights: Path | str | None = None, devices: int = 1
) -> tuple[dict[str, Any], list[str]]:
    """The config of a run, and what is to be said of it.

    Args:
        recipe: Complete.
        work_dir: As for `build_config`, and so the rest.
        teacher_weights: The teacher's checkpoint.
        devices: Number of processes that share a batch.

    Raises:
        PkdError: A module that can't be imported, or whatever `build_config` refuses.
    """
    import_for(recipe)
    config = build_config(recipe, work_dir, teacher_weights, devices)
    return config, drop_foreign(config, recipe)
