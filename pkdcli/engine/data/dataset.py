"""mmdet's CocoDataset, whose augmentation is a function of (seed, epoch, image) and whose errors name the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.registry import DATASETS

from pkdcli.engine.data.indexed_dataset import IndexedCocoDataset
from pkdcli.engine.data.loader_errors import naming
from pkdcli.engine.data.rng import drawing_for_image


class _ByName(IndexedCocoDataset.COCOAPI):
    """Annotations whose categories come in the order that is asked for; mmdet numbers labels in the file's own."""

    def get_cat_ids(self, cat_names: Sequence[str] = (), **kwargs: Any) -> list[int]:
        """The ids of categories, in the order of their names where these are given."""
        found = super().get_cat_ids(cat_names=list(cat_names), **kwargs)
        places = {name: place for place, name in enumerate(cat_names)}
        return sorted(found, key=lambda one: places.get(self.cats[one]["name"], 0))


@DATASETS.register_module()
class PkdCocoDataset(IndexedCocoDataset):
    """CocoDataset that also takes (index, epoch), and then draws only from that image's own random numbers.

    A label is the place of its category's name in the `classes` of `metainfo`.

    Args:
        args: As for CocoDataset.
        seed: The run's.
        kwargs: As for CocoDataset.
    """

    COCOAPI = _ByName

    def __init__(self, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        self.seed = seed
        super().__init__(*args, **kwargs)

    def labels_of(self, categories: Sequence[str]) -> np.ndarray:
        """int64 (K,): the label of each category of the file, whatever the file's order; -1 for those left out."""
        places = {name: place for place, name in enumerate(self.metainfo["classes"])}
        return np.array([places.get(name, -1) for name in categories], dtype=np.int64)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        if isinstance(key, tuple):
            index, epoch = key
            with drawing_for_image(self.seed, epoch, index):
                return super().__getitem__(index)
        return super().__getitem__(key)

    def prepare_data(self, index: int) -> Any:
        """One image through the pipeline.

        Raises:
            LoadingError: The image can't be loaded, or a transform fails.
        """
        info = self.get_data_info(index)
        info["img_folder"] = self.data_prefix.get("img")
        with naming(dict(info)):
            return self.pipeline(info)
