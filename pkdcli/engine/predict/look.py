"""Both nets of a run on a few images, for `pkd diagnose --look`: what they detect, and how alike their features are.

Started as a process: `python -m pkdcli.engine.predict.look REQUEST.json`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pkdcli.compat import activate

activate()

from mmengine.dataset import Compose  # noqa: E402

from pkdcli.config.data import val_pipeline  # noqa: E402
from pkdcli.data.scoring.ground_truth import GroundTruth, load_annotations  # noqa: E402
from pkdcli.data.scoring.metrics import evaluated, metrics_of  # noqa: E402
from pkdcli.engine.analysis.load_model import load_detector  # noqa: E402
from pkdcli.engine.checkpoint.model_zoo import resolve_weights  # noqa: E402
from pkdcli.engine.distill.encoder import folded, run_encoder, sizes_of  # noqa: E402
from pkdcli.engine.distill.level_stats import correlation  # noqa: E402
from pkdcli.engine.predict.detect import forward  # noqa: E402
from pkdcli.engine.worker.request import answer  # noqa: E402
from pkdcli.recipe.library import parse  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402


def look(request: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out the request of `pkd diagnose --look`.

    Args:
        request: `models`, by `teacher` and `student` (the former may be missing), each with `recipe` of the detector
            alone, `weights`, and `tap`, the module that is compared, or None for the neck; `pairs` of levels;
            `splits` by name, each with `annotations` and `images` (`path`, `id`); `cache`.

    Returns:
        By detector, `mAP` on the validation images, and `AP50_val`, `AP50_train`; and `levels`: by the student's level
        `r`, `constant_student`, `constant_teacher`.

    Raises:
        PkdError: Weights or images that can't be had.
    """
    found: dict[str, Any] = {}
    maps: dict[str, list[list[Tensor]]] = {}
    truths = {name: load_annotations(split["annotations"]) for name, split in request["splits"].items()}
    for who, asked in request["models"].items():
        recipe = parse(Recipe, asked["recipe"], "the recipe to look with")
        model = load_detector(recipe, resolve_weights(asked["weights"], Path(request["cache"])))
        pipeline, classes = Compose(val_pipeline(recipe)), list(model.dataset_meta["classes"])
        found[who] = {}
        for name, split in request["splits"].items():
            packed = [pipeline({"img_path": one["path"], "img_id": one["id"]}) for one in split["images"]]
            rows = [forward(model, [one])[0] for one in packed]
            metrics = scored(truths[name], [one["id"] for one in split["images"]], rows, classes)
            found[who] |= {f"AP50_{name}": metrics.get("AP50")}
            if name == "val":
                found[who]["mAP"] = metrics.get("mAP")
                maps[who] = [levels_of(model, one["inputs"], asked["tap"]) for one in packed]
    pairs = request["pairs"] if "teacher" in maps else []
    found["levels"] = {
        str(s): alike([one[s] for one in maps["student"]], [one[t] for one in maps["teacher"]]) for s, t in pairs
    }
    return found


def scored(
    truth: GroundTruth, images: Sequence[int], found: Sequence[list[list[float]]], classes: Sequence[str]
) -> dict[str, float | None]:
    """The metrics of some images' detections; of a detector of other classes none.

    Args:
        truth: The annotations.
        images: Ids of the images.
        found: Of each, rows of x1, y1, x2, y2, score and label.
        classes: The detector's, by label.
    """
    if not set(classes) <= set(truth.annotations.classes):
        return {}
    numbers, which = truth.class_numbers(classes), [truth.image_number(one) for one in images]
    rows = [
        [number, x1, y1, x2 - x1, y2 - y1, score, numbers[int(label)]]
        for number, boxes in zip(which, found, strict=True)
        for x1, y1, x2, y2, score, label in boxes
    ]
    metrics = metrics_of(evaluated(truth, np.array(rows, dtype=np.float64).reshape(-1, 7), numbers, which))
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}


def levels_of(model: nn.Module, inputs: Tensor, tap: str | None) -> list[Tensor]:
    """The levels that are compared, for one image: (1, C, h, w) each.

    Args:
        model: The detector.
        inputs: The image (3, H, W), uint8.
        tap: The module whose outputs are meant; None for the neck, or without one the backbone.
    """
    kept: list[Any] = []
    source = tap or ("neck" if getattr(model, "with_neck", False) else "backbone")
    hook = model.get_submodule(source).register_forward_hook(lambda _module, _inputs, outputs: kept.append(outputs))
    try:
        with torch.no_grad():
            batch = model.data_preprocessor({"inputs": [inputs], "data_samples": None}, False)["inputs"]
            features = model.extract_feat(batch)
            if not kept:  # inside of an encoder, whose rows become maps
                run_encoder(model, features, batch, [tuple(inputs.shape[-2:])])
                return list(folded(kept[-1], sizes_of(features)))
    finally:
        hook.remove()
    return [kept[-1]] if isinstance(kept[-1], Tensor) else list(kept[-1])


def alike(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> dict[str, float | None]:
    """How alike one level of both is over some images, as `pkdcli.engine.distill.level_stats` has it of a batch.

    Args:
        student: (1, C, h, w) of each image.
        teacher: (1, C', h', w'); the student's is resized to it.
    """
    sized = [
        one if one.shape[2:] == other.shape[2:] else F.interpolate(one.float(), other.shape[2:], mode="bilinear")
        for one, other in zip(student, teacher, strict=True)
    ]
    ours, theirs = (torch.cat([one.float().flatten(2) for one in maps], 2)[..., None] for maps in (sized, teacher))
    if ours.shape[1] == theirs.shape[1]:
        r, constant_student, constant_teacher = map(float, correlation(ours, theirs))
        return {"r": r, "constant_student": constant_student, "constant_teacher": constant_teacher}
    shares = [float(correlation(one, one)[1]) for one in (ours, theirs)]  # behind an adapter that is not kept
    return {"r": None, "constant_student": shares[0], "constant_teacher": shares[1]}


def main(argv: Sequence[str]) -> int:
    """Carry out the request in a JSON file."""
    return answer(argv, look)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
