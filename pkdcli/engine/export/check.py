"""Is the file that was written the detector? On real images, and by mAP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import nn

from pkdcli.data.annotations.coco_file import read_file
from pkdcli.data.images.file_names import path_of
from pkdcli.data.images.pixels import read
from pkdcli.data.images.reading import Reading
from pkdcli.engine.export.prepare import Ready, detections, ready
from pkdcli.engine.metrics.coco import evaluate_detections, load_annotations
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.schema import Recipe, Split

Run = Callable[[np.ndarray, np.ndarray], Sequence[np.ndarray]]
"""A graph: from `images` and `sizes` to its outputs."""

SCORES = 1e-3  # that a score may differ by
PIXELS, RELATIVE = 1e-3, 1e-5  # that a side of a box may differ by: so much, and such a part of it
POINTS = 0.1  # of mAP


def images_of(split: Split | None, count: int | None = None) -> list[dict[str, Any]]:
    """Images of a split's annotation file, spread evenly over it, with the `path` of each.

    Args:
        split: Of a data set; None for none.
        count: How many at most; None for all.

    Raises:
        PkdError: The file can't be read.
    """
    if split is None or not Path(split.annotations).is_file():
        return []
    listed = read_file(Path(split.annotations), ("images",), None).parts["images"]
    places = range(len(listed))
    if count is not None and count < len(listed):
        places = sorted({int(place) for place in np.linspace(0, len(listed) - 1, count)})
    found = [_record(listed[place]) for place in places]
    return [{**one, "path": str(path_of(split.images, one["file_name"]))} for one in found]


def _record(raw: Any) -> dict[str, Any]:
    return msgspec.json.decode(raw) if isinstance(raw, msgspec.Raw) else raw


def loaded(paths: Sequence[str], recipe: Recipe, pipeline: Any, divisor: int) -> Iterator[Ready]:
    """Images, one after the other, ready for a graph.

    Args:
        paths: Of the files.
        recipe: Says how images are read.
        pipeline: mmengine's `Compose` behind the loading.
        divisor: Of height and width.
    """
    reading = Reading.of(recipe.data.exif, recipe.data.pixel_range)
    for path in paths:
        yield ready(read(path, None, reading), pipeline, divisor)


@torch.inference_mode()
def expected(model: nn.Module, image: Ready) -> np.ndarray:
    """What mmdet's own detector finds in an image; rows as `detections` has them.

    Args:
        model: The detector.
        image: Ready for it.
    """
    import copy

    packed = image.packed
    batch = {"inputs": [packed["inputs"]], "data_samples": [copy.deepcopy(packed["data_samples"])]}
    found = model.test_step(batch)[0].pred_instances
    columns = (found.bboxes, found.scores[:, None], found.labels[:, None])
    return torch.cat([one.double() for one in columns], 1).cpu().numpy()


class Apart(NamedTuple):
    """How far two lists of detections of an image are apart.

    Attributes:
        scores: The largest difference of scores.
        beyond: The largest of sides of boxes, in pixels beyond `RELATIVE`, which has to be within `PIXELS`.
        alone: How many have no counterpart.
        pixels: The largest of sides of boxes.
    """

    scores: float = 0.0
    beyond: float = 0.0
    alone: int = 0
    pixels: float = 0.0


def compare(theirs: np.ndarray, ours: np.ndarray, limit: int) -> Apart:
    """How far two lists of detections of an image are apart; the order of equal scores does not matter.

    Args:
        theirs: Of mmdet's detector.
        ours: Of the graph.
        limit: Detections of an image at most: of those that tie for the last place either may have another.
    """
    scores = beyond = pixels = 0.0
    alone = 0
    theirs = theirs[np.argsort(-theirs[:, 4], kind="stable")][:limit]
    last = theirs[-1, 4] if len(theirs) == limit else -1.0
    for rows, others in ((theirs, ours), (ours, theirs)):
        for row in rows:
            near = others[(others[:, 5] == row[5]) & (np.abs(others[:, 4] - row[4]) <= SCORES)]
            if not len(near):
                alone += bool(row[4] > last + SCORES)
                continue
            sides = np.abs(near[:, :4] - row[:4])
            apart = np.maximum(sides - RELATIVE * np.abs(row[:4]), 0).max(1)
            best = int(apart.argmin())
            if apart[best] > PIXELS and row[4] <= last + SCORES:
                continue
            beyond, pixels = max(beyond, float(apart[best])), max(pixels, float(sides[best].max()))
            scores = max(scores, float(abs(near[best, 4] - row[4])))
    return Apart(scores, beyond, alone, pixels)


def differences(model: nn.Module, run: Run, images: Sequence[Ready], limit: int) -> dict[str, Any]:
    """The largest differences on some images, as they stand in the file's JSON.

    Args:
        model: mmdet's detector.
        run: The graph.
        images: Real ones.
        limit: Detections of an image at most.

    Raises:
        PkdError: They are larger than allowed.
    """
    found, all_of = 0, []
    for image in images:
        theirs = expected(model, image)
        all_of.append(compare(theirs, detections(run(image.images, image.sizes), image.scale), limit))
        found += len(theirs)
    scores, beyond, pixels = (max(getattr(one, key) for one in all_of) for key in ("scores", "beyond", "pixels"))
    alone = sum(one.alone for one in all_of)
    if scores > SCORES or beyond > PIXELS or alone:
        raise PkdError(
            f"the exported file is not the detector: on {len(images)} images scores differ by up to {scores:.2g}, "
            f"sides of boxes by {pixels:.2g} pixels, and {alone} of {found} detections have no counterpart.",
            f"Allowed are {SCORES:g} and {PIXELS:g}. The file was not kept; --raw exports the head's own outputs.",
            ExitCode.RUN_FAILED,
        )
    return {"images": len(images), "detections": found, "scores": scores, "pixels": pixels, "without": alone}


def raw_differences(graph: nn.Module, run: Run, images: Sequence[Ready]) -> dict[str, Any]:
    """The largest difference of raw outputs, in parts of each output's largest value.

    Args:
        graph: PyTorch's own.
        run: The file.
        images: Real ones.

    Raises:
        PkdError: It is larger than allowed.
    """
    worst = 0.0
    for image in images:
        with torch.inference_mode():
            theirs = graph(torch.from_numpy(image.images), torch.from_numpy(image.sizes))
        for mine, other in zip(run(image.images, image.sizes), theirs, strict=True):
            value = other.numpy()
            worst = max(worst, float(np.abs(np.asarray(mine) - value).max() / max(1.0, np.abs(value).max())))
    if worst > SCORES:
        why = f"the exported file is not the detector: outputs differ by up to {worst:.2g} of their largest value."
        raise PkdError(why, f"Allowed is {SCORES:g}. The file was not kept.", ExitCode.RUN_FAILED)
    return {"images": len(images), "outputs": worst}


def mean_ap(
    runs: dict[str, Callable[[Ready], np.ndarray]],
    recipe: Recipe,
    classes: Sequence[str],
    pipeline: Any,
    divisor: int,
    step: Callable[[int, int], None],
) -> dict[str, float] | None:
    """The mAP of several forms of a detector on the validation split, in AP points; None where the data is not here.

    Args:
        runs: By name, from an image to rows as `detections` has them.
        recipe: Names the data.
        classes: In the order of the labels.
        pipeline: As for `loaded`.
        divisor: As for `loaded`.
        step: Called with the images that are done, and all.
    """
    from pkdcli.engine.metrics.labels import in_order_of

    split = recipe.data.val
    listed = images_of(split)[: recipe.val_images or None]
    if not listed or not all(Path(one["path"]).is_file() for one in (listed[0], listed[-1])):
        return None
    truth = load_annotations(split.annotations)
    ids = _category_ids(split, classes, in_order_of)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
    for number, image in enumerate(loaded([one["path"] for one in listed], recipe, pipeline, divisor)):
        for name, run in runs.items():
            results[name] += [
                {"image_id": listed[number]["id"], "category_id": ids[int(row[5])], "score": float(row[4]),
                 "bbox": [float(row[0]), float(row[1]), float(row[2] - row[0]), float(row[3] - row[1])]}
                for row in run(image)
            ]  # fmt: skip
        step(number + 1, len(listed))
    chosen = [one["id"] for one in listed] if recipe.val_images else None
    found = {name: evaluate_detections(truth, rows, images=chosen)["mAP"] for name, rows in results.items()}
    return {name: round(value, 4) for name, value in found.items()}


def _category_ids(split: Split, classes: Sequence[str], in_order_of: Any) -> list[int]:
    listed = [_record(one) for one in read_file(Path(split.annotations), ("categories",), None).parts["categories"]]
    ids = {str(one["name"]): one["id"] for one in listed}
    ordered = in_order_of(classes, list(ids)) or [name for name in classes if name in ids]
    if len(ordered) != len(classes):
        raise PkdError(f"{split.annotations} has other classes than the detector: {', '.join(ids)}.", "Try --no-map.")
    return [ids[name] for name in ordered]
