"""mmdet's CocoDataset, whose augmentation is a function of (seed, epoch, image) and whose errors name the image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from mmdet.registry import DATASETS

from pkdcli.engine.data.indexed_dataset import IndexedCocoDataset
from pkdcli.engine.data.loaded_images import MEGABYTES, LoadedImages
from pkdcli.engine.data.loader_errors import naming
from pkdcli.engine.data.pipeline import MixingPipeline, keep_loaded, mixes
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

    A label is the place of its category's name in the `classes` of `metainfo`. Transforms of its pipelines that mix
    images (`pkdcli.engine.data.pipeline`) draw them from it.

    Args:
        args: As for CocoDataset.
        seed: The run's.
        later: Pipelines that take the place of `pipeline` in later epochs: `epoch`, from 0, and `pipeline`.
        partner_steps: Through so many of the first transforms an image goes that is mixed into another.
        keep_megabytes: So many of loaded images a process keeps, where they are mixed.
        kwargs: As for CocoDataset.
    """

    COCOAPI = _ByName

    def __init__(
        self,
        *args: Any,
        seed: int = 0,
        later: Sequence[dict[str, Any]] = (),
        partner_steps: int | None = None,
        keep_megabytes: float = MEGABYTES,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        self._epoch = 0
        super().__init__(*args, **kwargs)
        first = self.pipeline.transforms
        build = partial(MixingPipeline, partner_steps=partner_steps, count=self.__len__, info=self._info)
        self.stages: list[tuple[int, Any]] = [(0, build(first) if any(map(mixes, first)) else self.pipeline)]
        for one in sorted(later, key=lambda one: one["epoch"]):
            self.stages.append((one["epoch"], build(one["pipeline"])))
        images = LoadedImages(keep_megabytes)
        for _, pipeline in self.stages:
            if any(map(mixes, pipeline.transforms)):
                keep_loaded(pipeline.transforms, images)

    def labels_of(self, categories: Sequence[str]) -> np.ndarray:
        """int64 (K,): the label of each category of the file, whatever the file's order; -1 for those left out."""
        places = {name: place for place, name in enumerate(self.metainfo["classes"])}
        return np.array([places.get(name, -1) for name in categories], dtype=np.int64)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        if isinstance(key, tuple):
            index, self._epoch = key
            with drawing_for_image(self.seed, self._epoch, index):
                return super().__getitem__(index)
        return super().__getitem__(key)

    def pipeline_of(self, epoch: int) -> Any:
        """The pipeline of an epoch, from 0."""
        return next(pipeline for begin, pipeline in reversed(self.stages) if epoch >= begin)

    def _info(self, index: int) -> dict[str, Any]:
        return {**self.get_data_info(index), "img_folder": self.data_prefix.get("img")}

    def prepare_data(self, index: int) -> Any:
        """One image through the pipeline of the epoch.

        Raises:
            LoadingError: The image can't be loaded, or a transform fails.
        """
        info = self._info(index)
        with naming(dict(info)):
            return self.pipeline_of(self._epoch)(info)

    def update_skip_type_keys(self, skip_type_keys: Sequence[str]) -> None:
        """What mmdet's YOLOXModeSwitchHook asks for; `later` has it already, and by the epoch of each image."""
