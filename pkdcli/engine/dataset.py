"""mmdet's CocoDataset, whose augmentation is a function of (seed, epoch, image) and whose errors name the image."""

from __future__ import annotations

from typing import Any

from mmdet.registry import DATASETS

from pkdcli.engine.indexed_dataset import IndexedCocoDataset
from pkdcli.engine.loader_errors import naming
from pkdcli.engine.randomness import drawing_for_image


@DATASETS.register_module()
class PkdCocoDataset(IndexedCocoDataset):
    """CocoDataset that also takes (index, epoch), and then draws only from that image's own random numbers.

    Args:
        args: As for CocoDataset.
        seed: The run's.
        kwargs: As for CocoDataset.
    """

    def __init__(self, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        self.seed = seed
        super().__init__(*args, **kwargs)

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
