"""Section `operators`: mmcv's operators as `pkdcli.compat` has them, against torchvision's own where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor

from pkdcli import compat
from pkdcli.engine.bench.measure import Section, interleaved

PYRAMID = {"batch": 2, "channels": 64, "size": (50, 84), "boxes": 1000}
"""A middle level of a pyramid of 1333x800 images, with the channels of a DCN's first stage."""

IOU = 0.5  # overlap from which nms drops a box
Pass = Callable[[], Any]


def operators(repeat: int, sizes: Mapping[str, Any] = PYRAMID) -> Section:
    """Time each operator forward, and backward where it has a gradient.

    Args:
        repeat: Rounds.
        sizes: `batch`, `channels`, `size` (height, width) of the feature maps, and `boxes`.
    """
    compat.activate()
    batch, channels, (height, width), boxes = (sizes[key] for key in ("batch", "channels", "size", "boxes"))
    section = Section(
        "operators", f"mmcv's operators against torchvision's: {batch}x{channels} at {height}x{width}, {boxes} boxes"
    )
    for name, (ours, theirs) in _pairs(batch, channels, height, width, boxes).items():
        pieces = {name: ours, f"{name}: torchvision": theirs}
        section.time(interleaved(pieces, repeat))
        section.ratio(f"{name}: times faster", [f"{name}: torchvision"], [name])
    section.notes.append(
        "Softnms, nms_match, focal losses, carafe and deformable attention have no counterpart in torchvision. Its "
        "roi_pool rounds regions to whole pixels first, mmcv's does not: the same work, other numbers."
    )
    return section


def _pairs(batch: int, channels: int, height: int, width: int, boxes: int) -> dict[str, tuple[Pass, Pass]]:
    """Ours and torchvision's of each operator, forward and backward in one."""
    from mmcv import ops

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    x, weight, bias = draw(batch, channels, height, width), draw(channels, channels, 3, 3), draw(channels)
    offset, mask = draw(batch, 18, height, width), draw(batch, 9, height, width).sigmoid()
    corners = torch.rand(boxes, 2, generator=generator).to(device) * torch.tensor([width, height], device=device) * 0.7
    found = torch.cat([corners, corners + 1 + torch.rand(boxes, 2, generator=generator).to(device) * height / 4], 1)
    scores = draw(boxes)
    index = (torch.arange(boxes, device=device) % batch).unsqueeze(1).float()
    regions = torch.cat([index, found], 1)
    deform, their_deform = ops.deform_conv2d, torchvision.ops.deform_conv2d
    modulated = ops.modulated_deform_conv2d
    ours_align = ops.RoIAlign(7, 1.0, 2, "avg", True)
    return {
        "nms": (
            lambda: ops.nms(found, scores, IOU),
            lambda: torchvision.ops.nms(found, scores, IOU),
        ),
        "roi_align": (
            _there_and_back(lambda x: ours_align(x, regions), [x]),
            _there_and_back(lambda x: torchvision.ops.roi_align(x, regions, 7, 1.0, 2, True), [x]),
        ),
        "roi_pool": (
            _there_and_back(lambda x: ops.roi_pool(x, regions, 7, 1.0), [x]),
            _there_and_back(lambda x: torchvision.ops.roi_pool(x, regions, 7, 1.0), [x]),
        ),
        "deform_conv2d": (
            _there_and_back(lambda x, o, w: deform(x, o, w, 1, 1), [x, offset, weight]),
            _there_and_back(lambda x, o, w: their_deform(x, o, w, None, 1, 1), [x, offset, weight]),
        ),
        "modulated_deform_conv2d": (
            _there_and_back(lambda x, o, m, w, b: modulated(x, o, m, w, b, 1, 1), [x, offset, mask, weight, bias]),
            _there_and_back(
                lambda x, o, m, w, b: their_deform(x, o, w, b, 1, 1, mask=m), [x, offset, mask, weight, bias]
            ),
        ),
    }


def _there_and_back(operator: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Pass:
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]

    def run() -> None:
        output = operator(*leaves)
        torch.autograd.grad(output.sum(), leaves)

    return run
