"""Images and objects in the form that mmdet's data sets hand to their pipelines, out of the one reading of a file."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from pkdcli.data.annotations import Annotations


class DataInfos(Sequence[dict[str, Any]]):
    """What mmdet's `CocoDataset.parse_data_info` makes of every image, made when it is asked for.

    Args:
        truth: The annotations; with `masks`, read with their segmentations.
        folder: The folder of the images.
        classes: Names of the classes in the order of the file; objects of others are left out.
        masks: Whether objects get their segmentation.
    """

    def __init__(self, truth: Annotations, folder: str, classes: Collection[str], masks: bool = False) -> None:
        self.truth, self.folder, self.masks = truth, folder, masks
        self.classes = [name for name in truth.classes if name in classes]
        self.labels = truth.labels(self.classes)
        self._order = np.argsort(truth.image, kind="stable")
        self._begins = np.searchsorted(truth.image[self._order], np.arange(len(truth.image_id) + 1))
        self._loaded = truth.loaded & (self.labels >= 0)

    def __len__(self) -> int:
        return len(self.truth.image_id)

    def __getitem__(self, place: int) -> dict[str, Any]:  # type: ignore[override]
        truth = self.truth
        width, height = truth.size[place].tolist()
        objects = self._order[self._begins[place] : self._begins[place + 1]]
        return {
            "img_path": os.path.join(self.folder, truth.file_name[place]),
            "img_id": int(truth.image_id[place]),
            "seg_map_path": None,
            "height": int(height) if height.is_integer() else height,
            "width": int(width) if width.is_integer() else width,
            "instances": [self._object(int(index)) for index in objects[self._loaded[objects]]],
        }

    def _object(self, index: int) -> dict[str, Any]:
        x, y, width, height = self.truth.bbox[index].tolist()
        found = {
            "ignore_flag": int(self.truth.iscrowd[index]),
            "bbox": [x, y, x + width, y + height],
            "bbox_label": int(self.labels[index]),
        }
        mask = self.truth.segmentation(index) if self.masks else None
        return found if mask is None else {**found, "mask": mask}

    def with_object(self) -> np.ndarray:
        """bool (N,): images with an annotation of one of the classes, which mmdet trains on by default."""
        found = np.zeros(len(self), dtype=bool)
        found[self.truth.image[self.labels >= 0]] = True
        return found
