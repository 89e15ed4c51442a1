"""mmdet's CocoDataset, whose augmentation is a function of (seed, epoch, image) and whose errors name the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from pkdcli.data.annotations import read
from pkdcli.data.data_infos import DataInfos
from pkdcli.engine.loader_errors import naming
from pkdcli.engine.randomness import drawing_for_image


@DATASETS.register_module()
class PkdCocoDataset(CocoDataset):
    """CocoDataset that also takes (index, epoch), and then draws only from that image's own random numbers.

    Args:
        args: As for CocoDataset.
        seed: The run's.
        kwargs: As for CocoDataset.
    """

    def __init__(self, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        self.seed = seed
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotations as the check and the evaluation do; masks only where the pipeline loads them."""
        masks = any(getattr(step, "with_mask", False) for step in self.pipeline.transforms)
        truth = read(Path(self.ann_file), segmentations=masks)
        infos = DataInfos(truth, self.data_prefix["img"], self.metainfo["classes"], masks)
        # For `filter_data`, which looks up the images of each class.
        self.cat_ids, self.cat_img_map = [0], {0: truth.image_id[infos.with_object()].tolist()}
        return list(infos)

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
