"""The detections of one or two detectors in images and videos: `python -m pkdcli.engine.predict.detect REQUEST.json`.

Every image is answered by a line of JSON as soon as it is done, so that memory does not grow with their number.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pkdcli.compat import activate

activate()

from mmengine.dataset import Compose  # noqa: E402

from pkdcli.config import data as data_section  # noqa: E402
from pkdcli.data.images.pixels import read as read_image  # noqa: E402
from pkdcli.data.images.reading import Reading  # noqa: E402
from pkdcli.engine.analysis.load_model import load_detector  # noqa: E402
from pkdcli.engine.predict.sources import Loaded, load  # noqa: E402
from pkdcli.engine.worker.request import answer_lines  # noqa: E402
from pkdcli.errors import ExitCode, PkdError  # noqa: E402
from pkdcli.recipe.library import parse  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402

Say = Callable[..., None]


def detect(request: dict[str, Any], say: Say) -> None:
    """Carry out a request of `pkd predict`.

    Args:
        request: `models` (each `name`, `recipe` of the detector alone, `weights`, `own_pipeline`: whether images are
            prepared as its own config says), `items` (each `path`, and whether it is a `video`), `batch`, `device` (or
            None), `lowest` (score).
        say: Prints one object: first `classes` by model and the `device`; then for each image `place` and `frame`,
            its `size` (width, height), `found` by model (rows of x1, y1, x2, y2 in its pixels, score, label, the best
            first) and `seconds` by model; or `why` it can't be read; last of all the `processor` seconds of this
            process, from the loaded detectors on.

    Raises:
        PkdError: Weights that don't fit, a device that is not there, or a batch too large for it.
    """
    device = device_named(request["device"])
    recipes = [parse(Recipe, one["recipe"], "the recipe to predict with") for one in request["models"]]
    models = {
        one["name"]: load_detector(recipe, Path(one["weights"]), device)
        for one, recipe in zip(request["models"], recipes, strict=True)
    }
    say(classes={name: list(model.dataset_meta["classes"]) for name, model in models.items()}, device=device)
    begun = time.process_time()
    steps = [_steps(recipe, one["own_pipeline"]) for one, recipe in zip(request["models"], recipes, strict=True)]
    reading = Reading.of(recipes[0].data.exif, recipes[0].data.pixel_range)
    images = load(
        request["items"],
        partial(read_image, reading=reading),
        [Compose(one[1:]) for one in steps],
        2 * request["batch"],
    )
    for batch in batches(images, request["batch"]):
        good = [one for one in batch if one.why is None]
        found: dict[str, list[list[list[float]]]] = {}
        seconds: dict[str, float] = {}
        for number, (name, model) in enumerate(models.items()):
            begin = time.perf_counter()
            found[name] = forward(model, [one.inputs[number] for one in good], request["lowest"]) if good else []
            seconds[name] = (time.perf_counter() - begin) / max(1, len(good))
        place = 0
        for one in batch:
            about: dict[str, Any] = {"place": one.place, "frame": one.frame}
            if one.why is not None:
                say(**about, why=one.why)
                continue
            height, width = one.inputs[0]["data_samples"].ori_shape
            say(
                **about,
                size=[width, height],
                found={name: rows[place] for name, rows in found.items()},
                seconds=seconds,
            )
            place += 1
    say(processor=time.process_time() - begun)


def _steps(recipe: Recipe, own: bool) -> list[dict[str, Any]]:
    """The transforms of an evaluation, the first of which loads."""
    found = data_section.own_test_pipeline(recipe.student, data_section.load_image(recipe)) if own else None
    return found or data_section.val_pipeline(recipe)


def batches(images: Iterator[Loaded], size: int) -> Iterator[Sequence[Loaded]]:
    """Images in their order, so many that can be read at a time, with those between them that can't.

    Args:
        images: As they are loaded.
        size: Images of a batch; the last one may have fewer.
    """
    batch: list[Loaded] = []
    good = 0
    for image in images:
        batch.append(image)
        good += image.why is None
        if good == size:
            yield batch
            batch, good = [], 0
    if batch:
        yield batch


@torch.inference_mode()
def forward(model: nn.Module, packed: Sequence[dict[str, Any]], lowest: float = 0.0) -> list[list[list[float]]]:
    """What a detector finds in a batch.

    Args:
        model: mmdet's.
        packed: `inputs` (3, H, W) and `data_samples` of each image; the latter are handed what is found.
        lowest: Score, below which a detection is left out.

    Returns:
        Of each image, rows of x1, y1, x2, y2 in pixels of the image as it was read, score and label; best first.

    Raises:
        PkdError: The batch does not fit into memory.
    """
    batch = {name: [one[name] for one in packed] for name in ("inputs", "data_samples")}
    try:
        samples = model.test_step(batch)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            many = f"Give a smaller --batch than {len(packed)}." if len(packed) > 1 else "Try --device cpu."
            raise PkdError(f"no memory left: {error}", many, ExitCode.RUN_FAILED) from error
        raise
    return [_rows(sample.pred_instances, lowest) for sample in samples]


def _rows(found: Any, lowest: float) -> list[list[float]]:
    """An image's detections as `forward` returns them; in numpy, since so few numbers cost torch more."""
    rows = torch.cat([found.bboxes.float(), found.scores[:, None].float(), found.labels[:, None].float()], 1)
    rows = rows.cpu().numpy()  # once, as each copy from a GPU waits for it
    rows = rows[rows[:, 4] >= lowest]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    return [[*(round(side, 3) for side in row[:4]), round(row[4], 6), int(row[5])] for row in rows.tolist()]


def device_named(word: str | None) -> str:
    """The device that was asked for, or the best there is.

    Args:
        word: `cpu`, `cuda`, `cuda:1`; None for the first GPU, or the CPU where there is none.

    Raises:
        PkdError: It is no device, or not there.
    """
    if word is None:
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=word)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise PkdError(f"--device: there is no device {word!r} here.", f"There are: {', '.join(there)}.") from error
    return word


if __name__ == "__main__":
    sys.exit(answer_lines(sys.argv[1:], detect))
