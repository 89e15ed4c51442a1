"""Variables that a run's processes need before torch is there."""

from __future__ import annotations

from pkdcli.recipe.schema import Recipe

DETERMINISTIC = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""cuBLAS works in buffers of one size: NVIDIA's condition for the same numbers again."""


def variables(recipe: Recipe) -> dict[str, str]:
    """The environment of a run, beyond what it inherits."""
    return dict(DETERMINISTIC) if recipe.deterministic else {}
