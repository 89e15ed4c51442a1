"""A run's detector alone, as stock mmdet builds it: without teacher, adapters and weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pkdcli.compat import activate

activate()

from mmengine.config import Config  # noqa: E402
from mmengine.registry import MODELS, init_default_scope  # noqa: E402

from pkdcli.config import stock  # noqa: E402
from pkdcli.engine.setup.config import run_config  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402


def build_detector(
    recipe: Recipe, classes: Sequence[str], root: Path, config: dict[str, Any] | None = None
) -> nn.Module:
    """Build the detector that a recipe trains, with random weights.

    Args:
        recipe: Of a run, or of a detector alone.
        classes: In the order of its labels.
        root: The run's folder.
        config: The run's own, where it is built already.

    Returns:
        A detector of mmdet with the `cfg` and `dataset_meta` that mmdet's `inference_detector` needs.
    """
    config = config or run_config(recipe, root)[0]
    steps = config["val_dataloader"]["dataset"]["pipeline"]
    found = stock.stock_config(recipe, classes, config)
    found["test_dataloader"]["dataset"]["pipeline"] = [
        step if _reads_in_its_own_way(step) else plain
        for step, plain in zip(steps, found["test_dataloader"]["dataset"]["pipeline"], strict=True)
    ]
    init_default_scope(found["default_scope"])
    cfg = Config(found)
    model = MODELS.build(cfg.model)
    model.cfg = cfg
    model.dataset_meta = {"classes": tuple(classes), "palette": stock.palette(classes)}
    return model


def _reads_in_its_own_way(step: dict[str, Any]) -> bool:
    """Whether a step loads images as mmdet's own could not; that one also takes arrays in place of files."""
    return step["type"] == "PkdLoadImage" and not step.keys() <= {"type", *stock.LOADS}
