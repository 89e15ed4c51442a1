"""Images and boxes go to a GPU once, beside the computing, and become a batch there in few launches.

mmdet's preprocessor copies each tensor from pageable memory, which the processor waits for, and turns, casts,
subtracts, divides, pads and stacks one image after the other. Here a copy starts from page-locked memory and nobody
waits for it, and one subtraction an image writes into the batch. On a CPU mmdet's own way stays.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures.bbox import BaseBoxes
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import BaseDataElement
from torch import Tensor, nn


def quicken_upload(model: nn.Module) -> None:
    """Have a model's preprocessors upload and stack in this way; those of other types than mmdet's own stay."""
    for module in model.modules():
        if type(module) is DetDataPreprocessor:
            module.__class__ = QuickPreprocessor
            module.divides = module._enable_normalize and not bool((module.std == 1).all())


class _Stacking(ImgDataPreprocessor):
    """Takes the place of mmengine's part in mmdet's preprocessor.

    Attributes:
        divides: Whether a deviation differs from 1, as those of caffe's weights do not.
    """

    divides: bool = True

    def cast_data(self, data: Any) -> Any:
        """The same data on the device; what is there already is not copied."""
        if self.device.type == "cuda" and isinstance(data, (Tensor, BaseDataElement)):
            return pinned(data).to(self.device, non_blocking=True)
        return super().cast_data(data)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """As mmengine's: `inputs`, a list of (3, H, W), becomes one (N, 3, H', W'), normalised and padded."""
        if not self._stacks(data["inputs"]):
            return super().forward(data, training)
        data = self.cast_data(data)
        data["inputs"] = self._stacked(data["inputs"])
        data.setdefault("data_samples", None)
        return data

    def _stacks(self, images: Any) -> bool:
        usual = isinstance(images, (list, tuple)) and all(x.dtype == torch.uint8 and x.dim() == 3 for x in images)
        return usual and self.device.type != "cpu" and self._enable_normalize and len(self.mean) == 3

    def _stacked(self, images: list[Tensor]) -> Tensor:
        divisor = self.pad_size_divisor
        height, width = (-(-max(image.shape[side] for image in images) // divisor) * divisor for side in (1, 2))
        shape = (len(images), 3, height, width)
        filled = all(tuple(image.shape[1:]) == (height, width) for image in images)
        batch = self.mean.new_empty(shape) if filled else self.mean.new_full(shape, self.pad_value)
        for image, place in zip(images, batch, strict=True):
            image = image.flip(0) if self._channel_conversion else image
            place = place[:, : image.shape[1], : image.shape[2]]
            torch.sub(image, self.mean, out=place)
            if self.divides and self.pad_value:
                place.div_(self.std)
        return batch.div_(self.std) if self.divides and not self.pad_value else batch


class QuickPreprocessor(DetDataPreprocessor, _Stacking):
    """mmdet's preprocessor, whose `super().forward` is the one above."""


def pinned(data: Any) -> Any:
    """The same tensor, boxes or sample in page-locked memory, from which a copy needs no waiting."""
    if isinstance(data, Tensor):
        return data.pin_memory() if data.device.type == "cpu" else data
    if isinstance(data, BaseBoxes):
        data.tensor = pinned(data.tensor)
    elif isinstance(data, BaseDataElement):
        for name, value in list(data.items()):
            found = pinned(value)
            if found is not value:
                setattr(data, name, found)
    return data
