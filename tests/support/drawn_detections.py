"""Annotations that are drawn by lot, and what a detector with boxes off by so many pixels finds in them."""

from __future__ import annotations

import numpy as np

from pkdcli.data.scoring.predictions import Detections

CLASSES = ("car", "person")


def data_set(images: int, seed: int = 0):
    """Boxes of two classes in some images, in COCO's form."""
    random = np.random.default_rng(seed)
    annotations = []
    for image in range(1, images + 1):
        for _ in range(random.integers(1, 5)):
            x, y, w, h = *random.uniform(0, 300, 2), *random.uniform(8, 150, 2)
            kind = int(random.integers(1, 3))
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": kind,
                                "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0})  # fmt: skip
    return {"images": [{"id": n, "file_name": f"{n}.jpg", "width": 500, "height": 500} for n in range(1, images + 1)],
            "annotations": annotations,
            "categories": [{"id": n, "name": name} for n, name in enumerate(CLASSES, 1)]}  # fmt: skip


def detections(content, noise: float, seed: int) -> Detections:
    random = np.random.default_rng(seed)
    images = [image["id"] for image in content["images"]]
    counts, boxes, scores, labels = [], [], [], []
    for image in images:
        own = [one for one in content["annotations"] if one["image_id"] == image and random.random() < 0.8]
        for one in own:
            x, y, w, h = one["bbox"]
            corners = np.array([x, y, x + w, y + h]) + random.normal(0, noise, 4)
            boxes.append([*np.minimum(corners[:2], corners[2:]), *np.maximum(corners[:2], corners[2:])])
            scores.append(random.uniform(0.3, 1))
            labels.append(one["category_id"] - 1)
        counts.append(len(own))
    return Detections(np.array(images), np.array(counts), np.array(boxes, np.float32), np.array(scores, np.float32),
                      np.array(labels), CLASSES, "mine", "val", "ab")  # fmt: skip
