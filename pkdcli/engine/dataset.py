"""mmdet's CocoDataset, whose augmentation is a function of (seed, epoch, image) and whose errors name the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import DATASETS, TRANSFORMS

from pkdcli.engine.indexed_dataset import IndexedCocoDataset
from pkdcli.engine.randomness import drawing_for_image
from pkdcli.errors import ExitCode, PkdError

# How files of a format begin, and what stands near the end of a whole one.
_ENDS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND"}


class ImageError(PkdError):
    """An image that can't be used.

    A loader process hands an exception on as the text of its traceback, from which this one takes its own words back.
    """

    def __init__(self, message: str, hint: str | None = None, code: ExitCode = ExitCode.MISSING) -> None:
        name = f"{type(self).__module__}.{type(self).__name__}: "
        if name in message:
            message, _, hint = message.rpartition(name)[2].strip().partition("\n")
        super().__init__(message, hint or None, code)


def _unusable(path: str, why: str) -> ImageError:
    return ImageError(
        f"image {path} {why}.",
        "Put a whole copy of it there, or take it out of the annotation file; then type the same command again: "
        "the run goes on where it stopped.",
    )


@TRANSFORMS.register_module()
class PkdLoadImage(LoadImageFromFile):
    """Loads an image, whole or not at all: of a JPEG that was cut short opencv would give the upper part over grey."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the image (H, W, 3), BGR, uint8, and its size.

        Raises:
            ImageError: There is no such file, or it is no whole image.
        """
        path = results["img_path"]
        try:
            with open(path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            raise _unusable(path, "is missing") from None
        except OSError as error:
            raise _unusable(path, f"can't be read: {error.strerror}") from error
        end = next((end for begin, end in _ENDS.items() if content.startswith(begin)), b"")
        if end not in content:
            raise _unusable(path, "is cut short")
        try:
            image = mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception:  # cv2.error, which says nothing to a user
            image = None
        if image is None:
            raise _unusable(path, "is corrupt: opencv can't decode it")
        results["img"] = image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results


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
