"""An annotation file as large as COCO's train2017, with polygons as many and as long, and its images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

TRAIN = 118_287  # images of train2017
PER_IMAGE = 860_001 / TRAIN
CROWDS = 10_057 / 860_001
EMPTY = 1_021 / TRAIN  # images without an object
IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
"""COCO's category ids, which have gaps."""
SIZES = ((640, 480), (640, 427), (500, 375), (640, 426), (480, 640), (427, 640), (640, 640))
SHARES = (0.38, 0.18, 0.08, 0.12, 0.12, 0.08, 0.04)
PIECE = 2000  # annotations that are made at a time


def write_coco(folder: Path, images: int = TRAIN, seed: int = 0, above: int = 0) -> tuple[Path, Path]:
    """Write annotations and images, the same for the same seed; of a size all images are one file under many names.

    Args:
        folder: Where to; made.
        images: How many; of annotations there are as many an image as in COCO.
        seed: Of everything drawn.
        above: Ids, which the files are named by, are larger than this.

    Returns:
        The annotation file and the folder of the images.
    """
    random = np.random.default_rng(seed)
    pictures = folder / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    ids = np.sort(random.choice(5 * images, images, replace=False) + 1) + above
    kinds = random.choice(len(SIZES), images, p=SHARES)
    for kind, (width, height) in enumerate(SIZES):
        coarse = random.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{kind}.jpg"), picture)
    listed = []
    for number, kind in zip(ids.tolist(), kinds.tolist(), strict=True):
        name, (width, height) = f"{number:012d}.jpg", SIZES[kind]
        listed.append({"license": 3, "file_name": name, "coco_url": f"http://images.cocodataset.org/train2017/{name}",
                       "height": height, "width": width, "date_captured": "2013-11-14 11:18:45", "id": number,
                       "flickr_url": f"http://farm9.staticflickr.com/8186/{number}_f1d6b5a2a4_z.jpg"})  # fmt: skip
        os.link(folder / f"{kind}.jpg", pictures / name)
    path = folder / "instances.json"
    head = {"info": {"description": "drawn"}, "licenses": [{"id": 3, "name": "x", "url": "y"}], "images": listed,
            "categories": [{"supercategory": "thing", "id": id_, "name": f"class {id_}"} for id_ in IDS]}  # fmt: skip
    with open(path, "w") as out:
        out.write(json.dumps(head)[:-1] + ', "annotations": [')
        for number, one in enumerate(_annotations(random, ids, kinds)):
            out.write((", " if number else "") + json.dumps(one))
        out.write("]}")
    return path, pictures


def _annotations(random: np.random.Generator, ids: np.ndarray, kinds: np.ndarray) -> Iterator[dict[str, Any]]:
    count = round(PER_IMAGE * len(ids))
    owners = random.permutation(len(ids))[: len(ids) - round(EMPTY * len(ids))]
    # Every owner once, then some much oftener than others; in the order of the images, as COCO has them by and large.
    places = np.concatenate([owners, owners[(random.beta(0.6, 2, count) * len(owners)).astype(int)]])
    places = np.sort(places[:count])
    numbers = random.permutation(3 * count)[:count] + 1
    sizes = np.array(SIZES)[kinds]
    for at in range(0, count, PIECE):
        place = places[at : at + PIECE]
        side = np.maximum(4, sizes[place] * random.random((len(place), 2)) ** 2 * 0.9)
        corner = (sizes[place] - side) * random.random((len(place), 2))
        category = np.array(IDS)[(random.beta(0.5, 1.6, len(place)) * len(IDS)).astype(int)]
        points = np.clip(random.gamma(1.6, 15, len(place)), 4, 120).astype(int)
        crowd = random.random(len(place)) < CROWDS
        for n in range(len(place)):
            (x, y), (width, height) = corner[n].tolist(), side[n].tolist()
            if crowd[n]:
                size = sizes[place[n]][::-1].tolist()
                shape: Any = {"counts": random.integers(1, 900, 140).tolist(), "size": size}
            else:
                angles = np.linspace(0, 2 * np.pi, points[n], endpoint=False)
                outline = corner[n] + side[n] / 2 * (1 + np.stack([np.cos(angles), np.sin(angles)], axis=1))
                shape = [outline.round(2).ravel().tolist()]
            yield {"segmentation": shape, "area": round(0.785 * width * height, 4), "iscrowd": int(crowd[n]),
                   "image_id": int(ids[place[n]]), "category_id": int(category[n]), "id": int(numbers[at + n]),
                   "bbox": [round(one, 2) for one in (x, y, width, height)]}  # fmt: skip
