"""Parameters and floating-point operations of a detector.

Counted is what PyTorch's FlopCounterMode counts: convolutions, matrix products and attention, a multiply-add as two
operations. What mmdet's get_flops and fvcore call FLOPs is about half of it, since they count a multiply-add as one.
Norms, activations, pooling, RoIAlign, decoding and suppression are left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
import torchvision
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pkdcli.compat import activate

activate()

from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402

GIGA = 1e9


@dataclass(frozen=True)
class Size:
    """How large a detector is.

    Attributes:
        parameters: Of all modules, frozen ones too; each once.
        flops: Operations of a forward pass on one image; None where they can't be counted.
        image: Height and width in pixels of that image, as it enters the backbone.
        why: Why they can't be counted.
    """

    parameters: int
    flops: int | None
    image: tuple[int, int]
    why: str | None = None

    def columns(self) -> dict[str, Any]:
        """The same as it stands in result.json."""
        gflops = None if self.flops is None else round(self.flops / GIGA, 6)
        return {"parameters": self.parameters, "gflops": gflops, "gflops_image": list(self.image)}


def parameters_of(model: nn.Module) -> int:
    """How many numbers a model has learnt or been given, each once; buffers such as running means are none."""
    return sum(one.numel() for one in model.parameters())


def detector_size(model: nn.Module, image: tuple[int, int]) -> Size:
    """Parameters of a detector, and operations of its forward pass on an image, without decoding of boxes.

    The pass is made on PyTorch's meta device, where nothing is computed; for real only where a layer asks for values.
    A two-stage detector is counted with as many proposals as its config allows, so that the number is the same
    whatever its weights.

    Args:
        model: mmdet's; left as it is.
        image: Height and width in pixels as it enters the backbone.
    """
    parameters = parameters_of(model)
    reasons: list[str] = []
    for device, mode in ((torch.device("meta"), "tensor"), (None, "tensor"), (None, "predict")):
        try:
            flops = _counted(model, image, device, mode)
        except Exception as error:  # whatever a detector of the user's may raise
            reasons.append(f"{type(error).__name__}: {error}".strip())
        else:
            if flops:
                return Size(parameters, flops, image)
            reasons.append("its forward pass has no convolution, matrix product or attention")
    return Size(parameters, None, image, reasons[-1])


def flops_of(forward: Callable[[], Any]) -> int:
    """The operations of whatever a function computes.

    Args:
        forward: Is called once, without gradients.
    """
    mapping = {torch.ops.torchvision.deform_conv2d: _deform_flops} if torchvision.extension._has_ops() else {}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        forward()
    return counter.get_total_flops()


def size_at(model: nn.Module, height: int, width: int) -> tuple[int, int]:
    """Height and width of an image as it enters the backbone, with what the preprocessor pads it by.

    Args:
        model: mmdet's detector.
        height: Of the image in pixels.
        width: The same.
    """
    divisor = max(1, int(getattr(model.data_preprocessor, "pad_size_divisor", 1) or 1))
    return -(-height // divisor) * divisor, -(-width // divisor) * divisor


def _counted(model: nn.Module, image: tuple[int, int], device: torch.device | None, mode: str) -> int:
    """The operations of a forward pass, on a device, or on the model's own."""
    model = (_on_meta(model) if device is not None else copy.deepcopy(model)).eval()
    device = device or next(model.parameters()).device
    inputs = torch.zeros(1, 3, *image, device=device)
    sample = DetDataSample(metainfo={
        "img_shape": image, "ori_shape": image, "pad_shape": image, "batch_input_shape": image, "img_id": 0,
        "scale_factor": (1.0, 1.0),
    })  # fmt: skip
    if mode == "tensor" and getattr(model, "with_rpn", False):
        _with_all_proposals(model.rpn_head)
    with mock.patch.object(SingleRoIExtractor, "forward", _pooled):
        return flops_of(lambda: model(inputs, [sample], mode=mode))


def _on_meta(model: nn.Module) -> nn.Module:
    """A copy whose tensors have shapes alone."""
    memo: dict[int, Any] = {}
    for one in model.parameters():
        memo[id(one)] = nn.Parameter(one.detach().to("meta"), requires_grad=one.requires_grad)
    for one in model.buffers():
        memo[id(one)] = one.detach().to("meta")
    return copy.deepcopy(model, memo)


def _with_all_proposals(head: nn.Module) -> None:
    """Have a region proposal head return as many boxes as its config allows, whatever its weights.

    Args:
        head: Changed in place.
    """
    limit = int(head.test_cfg.get("max_per_img") or 1000)

    def predict(features: Any, samples: Any, rescale: bool = False) -> list[InstanceData]:
        scores = head(features)[0]  # its own convolutions count
        anchors = sum(one.shape[-2] * one.shape[-1] for one in scores) * head.num_base_priors
        boxes = scores[0].new_zeros(min(limit, anchors), 4)
        boxes[:, 2:] = 32.0
        labels = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
        return [InstanceData(bboxes=boxes, scores=boxes[:, 0], labels=labels) for _ in samples]

    head.predict = predict


def _pooled(extractor: nn.Module, features: Any, rois: Tensor, *_: Any, **__: Any) -> Tensor:
    """What a RoI extractor gives, in shape: pooling is not counted, and asks for values."""
    size = extractor.roi_layers[0].output_size
    return features[0].new_zeros(rois.size(0), extractor.out_channels, *size)


def _deform_flops(
    input_shape: Any, weight_shape: Any, offset_shape: Any, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    """Those of the convolution that a deformable one is; its bilinear samples are not counted.

    Args:
        input_shape: (N, C, H, W).
        weight_shape: (D, C / groups, kH, kW).
        offset_shape: (N, 2 * deformable groups * kH * kW, h, w).
        out_shape: (N, D, h, w).
    """
    channels, inside, height, width = weight_shape
    return 2 * out_shape[0] * out_shape[-2] * out_shape[-1] * channels * inside * height * width
