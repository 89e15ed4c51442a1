"""Pictures drawn for a bench: as COCO data, so that loaders, pipelines and heads do what they do in a training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pkdcli.recipe.schema import Data, Recipe, Split
from pkdcli.runs.store import write_json

OBJECTS = 7  # an image; COCO has as many


def draw(folder: Path, height: int, width: int, count: int, classes: list[str], seed: int = 0) -> Data:
    """Draw JPEG files and their COCO annotations, the same for the same seed.

    Args:
        folder: Where to; made.
        height: In pixels.
        width: In pixels.
        count: Of pictures; train and val are the same.
        classes: Names of the categories.
        seed: Of everything drawn.
    """
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    content = {"images": [], "annotations": [], "categories": [{"id": i, "name": n} for i, n in enumerate(classes, 1)]}
    for number in range(1, count + 1):
        # Coarse noise made large is as hard to decode as a photograph; white noise would be harder.
        coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        for _ in range(OBJECTS):
            w, h = (int(random.uniform(0.08, 0.5) * side) for side in (width, height))
            x, y = int(random.uniform(0, width - w)), int(random.uniform(0, height - h))
            cv2.rectangle(picture, (x, y), (x + w, y + h), random.integers(0, 256, 3).tolist(), -1)
            box = {"id": len(content["annotations"]) + 1, "image_id": number, "bbox": [x, y, w, h], "area": w * h}
            category = int(random.integers(1, len(classes) + 1))
            content["annotations"].append({**box, "category_id": category, "iscrowd": 0})
        name = f"{number:06d}.jpg"
        cv2.imwrite(str(folder / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        content["images"].append({"id": number, "file_name": name, "height": height, "width": width})
    write_json(folder / "annotations.json", content)
    split = Split(images=str(folder), annotations=str(folder / "annotations.json"))
    return Data(name="bench", train=split, val=split, classes=classes, masks=False, train_images=count)


def with_pictures(recipe: Recipe, folder: Path, height: int, width: int, count: int) -> Recipe:
    """The recipe on pictures of that size, which its pipeline leaves as large as they are.

    Args:
        recipe: Of any run.
        folder: Where the pictures are drawn.
        height: Of each, in pixels.
        width: Of each, in pixels.
        count: How many.
    """
    classes = list(recipe.data.classes or [f"class {number}" for number in range(1, 81)])
    data = draw(folder, height, width, count, classes)
    scale = recipe.scale.model_copy(update={"image": (max(height, width), min(height, width))})
    return recipe.model_copy(update={"data": data, "scale": scale})
