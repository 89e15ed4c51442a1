"""The detector of a finished run, as mmdet's own model: with the run's weights, ready to be called."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from pkdcli.compat import activate

activate()

import pkdcli.engine.register  # noqa: E402, F401
from pkdcli.engine import checkpoint  # noqa: E402
from pkdcli.engine.setup.detector import build_detector  # noqa: E402
from pkdcli.errors import PkdError  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402
from pkdcli.runs.paths import RunPaths  # noqa: E402


def load_model(paths: RunPaths, recipe: Recipe, device: str = "cpu") -> nn.Module:
    """Build a run's detector alone and load what the run has exported.

    Args:
        paths: The run directory.
        recipe: The run's.
        device: Where the model shall be: `cpu`, `cuda:0`.

    Returns:
        A detector of mmdet in evaluation mode. Its `cfg` and `dataset_meta` are what mmdet's `inference_detector`
        needs: `inference_detector(model, "image.jpg").pred_instances`. Import that after this call, which mends
        mmdet, or after `pkdcli.compat.activate()`.

    Raises:
        PkdError: The run has no weights yet, or weights that are damaged or of another architecture.
    """
    weights = paths.weights(recipe.role)
    if not weights.is_file():
        raise PkdError(f"{paths.run} is not finished: there is no {weights}.", f"Go on with it: pkd resume {paths.run}")
    return load_detector(recipe, weights, device, paths.root)


def load_detector(recipe: Recipe, weights: Path, device: str = "cpu", root: Path | None = None) -> nn.Module:
    """Build the detector that a recipe trains, and load a file of weights into it.

    Args:
        recipe: Of a run, or of a detector alone.
        weights: Of that detector, with its classes, or else those of the recipe's data.
        device: Where the model shall be.
        root: The run's folder; by default that of the weights.

    Returns:
        As `load_model`.

    Raises:
        PkdError: Weights that are damaged or of another architecture.
    """
    classes = checkpoint.classes_of(weights) or list(recipe.data.classes or [])
    if not recipe.data.classes:  # of a bare file of weights, which knows its own
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": classes})})
    model = build_detector(recipe, classes, root or weights.parent)
    checkpoint.load_into(model, weights, strict="exact", what="the detector")
    return model.to(device).eval()
