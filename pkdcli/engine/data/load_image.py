"""The transform that loads images, for training, evaluation, figures and measurements alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS

from pkdcli.data.images.file_names import path_of
from pkdcli.data.images.pixels import read
from pkdcli.data.images.reading import Reading
from pkdcli.engine.data.loaded_images import LoadedImages


@TRANSFORMS.register_module()
class PkdLoadImage(LoadImageFromFile):
    """Loads an image, whole and of the annotated size, or not at all.

    Args:
        args: As for LoadImageFromFile.
        exif: As in a data recipe.
        pixel_range: As in a data recipe.
        kwargs: As for LoadImageFromFile.

    Attributes:
        loaded: Keeps images that are asked for again, where a pipeline mixes them; None otherwise.
    """

    def __init__(
        self, *args: Any, exif: str | None = None, pixel_range: Sequence[float] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.reading = Reading.of(exif, pixel_range)
        self.loaded: LoadedImages | None = None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the image (H, W, 3), BGR, uint8, and its size.

        Args:
            results: `img_path`; where they are known `width` and `height` as annotated, and `img_folder`, which the
                file is looked for in where its name has another form.

        Raises:
            ImageError: There is no such file, it is no whole image, or one of another size.
        """
        path, folder = results["img_path"], results.get("img_folder")
        if folder:
            path = path_of(folder, path.removeprefix(folder.rstrip("/") + "/"))
        size = (results["width"], results["height"]) if "width" in results and "height" in results else None
        load = partial(self._load, path, size)
        image = load() if self.loaded is None else self.loaded.get(str(path), load)
        results["img"] = image.astype(np.float32) if self.to_float32 else image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results

    def _load(self, path: str | Path, size: tuple[float, float] | None) -> np.ndarray:
        image = read(path, size, self.reading)
        if self.color_type != "color":
            image = mmcv.imread(str(path), flag=self.color_type, backend=self.imdecode_backend)
        return image
