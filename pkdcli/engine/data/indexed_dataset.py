"""mmdet's CocoDataset over an `AnnotationIndex`: the same dicts in the same order, without a list of them in memory."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets import CocoDataset
from mmengine.dataset import force_full_init
from mmengine.logging import print_log

from pkdcli.data.annotations.cache import open_index
from pkdcli.data.annotations.index import AnnotationIndex


class IndexedCocoDataset(CocoDataset):
    """CocoDataset that keeps the places of its images in an index, and makes an image's dict when asked for it.

    `get_data_info`, the order of the images, their filtering and the labels are CocoDataset's.
    """

    index: AnnotationIndex
    places: np.ndarray  # int64, the images of this data set

    def full_init(self) -> None:
        """Open the index and choose the images.

        Raises:
            PkdError: The annotation file is absent or is not COCO's.
        """
        if self._fully_initialized:
            return
        if self.proposal_file is not None:  # given by image: mmdet's own list is what they are put into
            super().full_init()
            return
        self.index = open_index(Path(self.ann_file), lambda text: print_log(text, "current", 30))
        labels = self.labels_of(self.index.classes)
        self._labels: list[int] = labels.tolist()
        chosen = np.arange(len(self.index.image_id))
        if not self.test_mode and self.filter_cfg is not None:
            right = self.index.size.min(axis=1) >= self.filter_cfg.get("min_size", 0)
            if self.filter_cfg.get("filter_empty_gt", False):
                right &= self.index.with_any_of(labels)
            chosen = chosen[right]
        self.places = chosen if self._indices is None else self._subset(chosen, self._indices)
        self._fully_initialized = True

    def labels_of(self, categories: Sequence[str]) -> np.ndarray:
        """int64 (K,): the label of each category of the file, by its name; -1 for those that are left out."""
        wanted = set(self.metainfo["classes"])
        used = [place for place, name in enumerate(categories) if name in wanted]
        labels = np.full(len(categories), -1, dtype=np.int64)
        labels[used] = np.arange(len(used))
        return labels

    @staticmethod
    def _subset(places: np.ndarray, indices: int | Sequence[int]) -> np.ndarray:
        if isinstance(indices, int):
            return places[:indices] if indices >= 0 else places[indices:]
        return places[np.asarray(indices, dtype=np.int64)]

    @force_full_init
    def __len__(self) -> int:
        """Images."""
        return len(self.places) if hasattr(self, "places") else super().__len__()

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of an image, as mmdet's pipelines take it."""
        if not hasattr(self, "places"):
            return super().get_data_info(idx)
        place = int(self.places[idx])
        name = self.index.file_name(place)
        width, height = map(_number, self.index.size[place].tolist())
        folder = self.data_prefix.get("seg")
        info = {
            "img_path": os.path.join(self.data_prefix["img"], name),
            "img_id": int(self.index.image_id[place]),
            "seg_map_path": os.path.join(folder, name.rsplit(".", 1)[0] + self.seg_map_suffix) if folder else None,
            "height": height,
            "width": width,
        }
        if self.return_classes:
            info |= {"text": self.metainfo["classes"], "caption_prompt": self.caption_prompt, "custom_entities": True}
        instances = self.index.instances(place, self._labels)
        return {**info, "instances": instances, "sample_idx": idx if idx >= 0 else len(self) + idx}

    @force_full_init
    def sizes(self) -> np.ndarray:
        """float64 (n, 2): width and height of every image in pixels, as the annotation file says."""
        if not hasattr(self, "places"):
            infos = (self.get_data_info(place) for place in range(len(self)))
            return np.array([[info["width"], info["height"]] for info in infos], dtype=np.float64)
        return self.index.size[self.places]

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Go on with some of the images."""
        if hasattr(self, "places"):
            self.places = self._subset(self.places, indices)
        else:
            super().get_subset_(indices)

    @force_full_init
    def get_subset(self, indices: int | Sequence[int]) -> IndexedCocoDataset:
        """A data set of some of the images, over the same index."""
        if not hasattr(self, "places"):
            return super().get_subset(indices)
        other = copy.copy(self)
        other.places = self._subset(self.places, indices)
        return other


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value
