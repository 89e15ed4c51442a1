"""The feature maps of some detectors on some images, measured for the figures of appendix A.5.

Started as a process: `python -m pkdcli.engine.analysis.features REQUEST.json`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pkdcli.config.levels import Level
from pkdcli.config.levels import outputs as outputs_of
from pkdcli.data.images.loading_error import ImageError, OtherImageError, as_wrong_file
from pkdcli.engine.analysis import activations
from pkdcli.engine.worker.request import answer
from pkdcli.errors import PkdError
from pkdcli.runs.features import Features

Maps = dict[str, list[np.ndarray]]
"""By level's name, the maps (C, H, W) of each image, float32."""


def measure(request: Mapping[str, Any]) -> Features:
    """Carry out a request of `pkd visualize`.

    Args:
        request: `detectors` (each `key`, `title`, `recipe` of the detector alone, `weights`: a file, an address or None
            for random ones, `source`), `images` (each `path`, and in its own pixels `boxes` and the `annotated` size,
            or None), `seed`, `cache` (folder), and whatever else shall stand in the answer.

    Raises:
        PkdError: Weights that can't be had or don't fit, a file that is no image, detectors without a level in common.
    """
    from mmengine.registry import init_default_scope

    import pkdcli.engine.register  # noqa: F401
    from pkdcli.engine.setup.imports import import_for
    from pkdcli.recipe.library import parse
    from pkdcli.recipe.schema import Recipe

    init_default_scope("mmdet")
    recipes = [parse(Recipe, one["recipe"], "the recipe to draw") for one in request["detectors"]]
    for recipe in recipes:
        import_for(recipe)
    images = load(recipes[0], request["images"])
    detectors, maps = [], {}
    for one, recipe in zip(request["detectors"], recipes, strict=True):
        torch.manual_seed(request["seed"])
        levels, maps[one["key"]] = features(recipe, one["weights"], [image["inputs"] for image in images], request)
        facts = {key: one[key] for key in ("key", "title", "weights", "source")}
        detectors.append({**facts, "levels": levels})
    about = {key: request[key] for key in ("pair", "data", "scale", "seed")}
    pictures = [{key: image[key] for key in ("path", "size", "boxes")} for image in images]
    meta = {**about, "detectors": detectors, "images": pictures, "statistics": [], "noise": []}
    found = Features(meta, {f"image/{n}": image["pixels"] for n, image in enumerate(images)})
    if not found.levels_of_all():
        raise PkdError("the detectors have no level of equal stride in common.", "Choose another pair.")
    for level in found.levels_of_all():
        _measure_level(found, level, {key: of[level] for key, of in maps.items()})
    return found


def _measure_level(found: Features, level: str, maps: Mapping[str, list[np.ndarray]]) -> None:
    """Add what is to be known of one level to `found`."""
    stride = found.stride(level)
    edges, counts = activations.histograms(maps)
    found.arrays[f"edges/{level}"] = edges
    for key, of in maps.items():
        found.arrays[f"histogram/{key}/{level}"] = counts[key]
        about = {"detector": key, "level": level, "stride": stride, "channels": len(of[0])}
        found.meta["statistics"].append({**about, **activations.summary(of)})
        after = activations.standardised(of)
        for number, (one, normalised) in enumerate(zip(of, after, strict=True)):
            for name, reduce in activations.REDUCTIONS.items():
                found.arrays[f"pattern/{key}/{level}/{number}/{name}"] = reduce(one).astype(np.float32)
            before = activations.dominant_channels(one)
            found.arrays[f"channels/{key}/{level}/{number}/before"] = before
            found.arrays[f"channels/{key}/{level}/{number}/after"] = activations.dominant_channels(normalised)
            image = found.images[number]
            if image["boxes"] is not None:
                covered = activations.coverage(image["boxes"], image["size"], stride, one.shape[1:])
                row = {"detector": key, "level": level, "image": number, **activations.noise(one, covered)}
                found.meta["noise"].append(row)


def load(recipe: Any, images: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The images as an evaluation loads and resizes them.

    Args:
        recipe: Of the run whose test pipeline loads them.
        images: `path`, `boxes` (x1, y1, x2, y2) in pixels or None, and `annotated` (width, height) where it is known.

    Returns:
        `inputs` (3, height, width), uint8, BGR; `pixels` (height, width, 3), RGB; `path`, `size`, and the boxes in
        pixels of that size, or None.

    Raises:
        PkdError: A file that is no image.
    """
    from mmengine.dataset import Compose

    from pkdcli.config.data import val_pipeline

    pipeline = Compose(val_pipeline(recipe))
    loaded = []
    for number, image in enumerate(images):
        annotated = dict(zip(("width", "height"), image.get("annotated") or (), strict=False))
        try:
            with as_wrong_file():
                packed = pipeline({"img_path": image["path"], "img_id": number, **annotated})
        except OtherImageError:
            raise
        except ImageError as error:
            raise PkdError(f"{image['path']}: can't be read as an image.", "Give whole JPEG or PNG files.") from error
        inputs, info = packed["inputs"], packed["data_samples"].metainfo
        factors = [*info["scale_factor"], *info["scale_factor"]]  # width, height, twice
        boxes = image["boxes"]
        scaled = boxes and [[float(side * by) for side, by in zip(box, factors, strict=True)] for box in boxes]
        pixels = np.ascontiguousarray(inputs.flip(0).permute(1, 2, 0).numpy())
        size = list(inputs.shape[1:])
        loaded.append({"path": image["path"], "inputs": inputs, "pixels": pixels, "size": size, "boxes": scaled})
    return loaded


def features(
    recipe: Any, weights: str | None, inputs: Sequence[Tensor], request: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], Maps]:
    """The outputs of one detector's neck, each image by itself, normalised as the detector's own config says.

    Args:
        recipe: Names the detector as its `student`.
        weights: Its checkpoint or that one's address; None for random weights.
        inputs: (3, height, width) of each image, uint8, BGR.
        request: For the `cache` folder.

    Returns:
        The levels (`name`, `stride`, `channels`), finest first, and the maps without the padding that the detector
        adds to the image.
    """
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict

    from pkdcli.config.build import imports_of, model_as_set
    from pkdcli.config.levels.look import looker
    from pkdcli.engine.checkpoint import load_into
    from pkdcli.engine.checkpoint.model_zoo import resolve_weights

    section = ConfigDict(model_as_set(recipe))  # two-stage detectors read `cfg.rpn`
    model = MODELS.build(section)
    if weights:
        file = resolve_weights(weights, Path(request["cache"]))
        # The figures show the neck's outputs, for which it does not matter what classes a head was trained on.
        load_into(model, file, strict="exact", what=recipe.student.title, only=("backbone.", "neck."))
    else:
        model.init_weights()
    model.eval()
    known = outputs_of(section, recipe.student.name, looker(imports_of(recipe))).levels
    maps: Maps = {}
    levels: list[dict[str, Any]] = []
    for image in inputs:
        with torch.no_grad():
            batch = model.data_preprocessor({"inputs": [image], "data_samples": None}, False)["inputs"]
            outputs = model.extract_feat(batch)
        # The finest first; of several levels of one stride (SSD's smallest) the first.
        everything = zip(named(known, batch.shape[-1], outputs), outputs, strict=True)
        distinct = {level["stride"]: (level, output) for level, output in reversed(list(everything))}
        levels = [distinct[stride][0] for stride in sorted(distinct)]
        for level, output in (distinct[stride] for stride in sorted(distinct)):
            height, width = (math.ceil(side / level["stride"]) for side in image.shape[1:])
            found = output[0, :, :height, :width].float().cpu().numpy()
            if not np.isfinite(found).all():
                what = f"{recipe.student.title}: features of {level['name']} are not finite"
                raise PkdError(f"{what}; its weights are those of {weights}.", "Name weights that have not diverged.")
            maps.setdefault(level["name"], []).append(found)
    return levels, maps


def named(levels: Sequence[Level], width: int, outputs: Sequence[Tensor]) -> list[dict[str, Any]]:
    """Levels by their strides: P3 has stride 8 = 2^3, in a detector that begins with P2 as in one that does with P3.

    Args:
        levels: As the config tells them; the stride of a backbone that it does not know comes from the sizes.
        width: Of the detector's input, in pixels.
        outputs: The maps (1, C, H, W) of the neck.
    """
    found = []
    for level, output in zip(levels, outputs, strict=True):
        exponent = round(math.log2(level.stride or width / output.shape[-1]))
        found.append({"name": f"P{exponent}", "stride": 2**exponent, "channels": output.shape[1]})
    return found


def main(argv: Sequence[str]) -> int:
    """Carry out the request in a JSON file, and write the features to its `output`."""

    def work(request: dict[str, Any]) -> dict[str, Any]:
        measure(request).write(Path(request["output"]))
        return {"features": request["output"]}

    return answer(argv, work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
