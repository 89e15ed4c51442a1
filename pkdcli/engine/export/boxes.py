"""Arithmetic of boxes that an exporter can follow: no shape and no branch depends on a value."""

from __future__ import annotations

import math
from typing import Any

import torch
import torchvision
from torch import Tensor


def around(points: Tensor, distances: Tensor) -> Tensor:
    """Boxes (..., 4) around points.

    Args:
        points: (..., 2), x and y.
        distances: (..., 4), to left, top, right and bottom.
    """
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], -1)


def deltas_decoded(anchors: Tensor, deltas: Tensor, coder: Any) -> Tensor:
    """Boxes from deltas of anchors, as mmdet's `delta2bbox` has them.

    Args:
        anchors: (..., 4), corners.
        deltas: (..., 4): of the centre in parts of the sides, and of the sides as logarithms.
        coder: mmdet's, for means and standard deviations.
    """
    deltas = deltas * deltas.new_tensor(coder.stds) + deltas.new_tensor(coder.means)
    sides = anchors[..., 2:] - anchors[..., :2]
    centres = (anchors[..., :2] + anchors[..., 2:]) * 0.5
    moved = sides * deltas[..., :2]
    most = abs(math.log(16 / 1000))
    if coder.add_ctr_clamp:
        moved, grown = moved.clamp(-coder.ctr_clamp, coder.ctr_clamp), deltas[..., 2:].clamp(max=most)
    else:
        grown = deltas[..., 2:].clamp(-most, most)
    half = sides * grown.exp() * 0.5
    return torch.cat([centres + moved - half, centres + moved + half], -1)


def clipped(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes within their images.

    Args:
        boxes: (N, M, 4), corners.
        sizes: (N, 2), height and width of each image.
    """
    most = sizes.flip(-1).to(boxes.dtype).repeat(1, 2).unsqueeze(1)
    return torch.minimum(boxes.clamp(min=0), most)


@torch.library.custom_op("pkd::keep_best", mutates_args=())
def keep_best(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float, groups: int) -> Tensor:
    """Which candidates are left by greedy suppression, in each image and group by itself.

    Args:
        boxes: (N, M, 4), corners.
        scores: (N, M); those of 0 and less do not count.
        labels: (N, M), the group of each.
        iou: Above which the lower score of two boxes goes.
        groups: How many there are.

    Returns:
        (N, M), the scores of those that are left, and -1.
    """
    return suppressed(boxes, scores, labels, iou, groups)


@keep_best.register_fake
def _keep_best_shape(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float, groups: int) -> Tensor:
    return torch.empty_like(scores)


def suppressed(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float, groups: int) -> Tensor:
    """The same in plain operators, one suppression for the whole batch: every image and group lies apart.

    Args:
        boxes: As for `keep_best`, and so the rest.
        scores: Of the candidates.
        labels: Their groups.
        groups: How many there are.
        iou: Above which the lower score of two boxes goes.
    """
    flat, known = boxes.flatten(0, 1).double(), scores.flatten()
    there = (known > 0).nonzero().flatten()
    image = torch.arange(scores.shape[0], device=boxes.device).unsqueeze(1)
    apart = (image * groups + labels).flatten().double()
    span = flat.max() - flat.min() + 1
    shifted = flat + (apart * span).unsqueeze(1)
    kept = there[torchvision.ops.nms(shifted[there], known[there].double(), iou)]
    return torch.full_like(known, -1.0).scatter(0, kept, known[kept]).reshape(scores.shape)


def best(boxes: Tensor, scores: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best so many of each image, in order; where there are fewer, boxes and scores of 0 with the label -1.

    Args:
        boxes: (N, M, 4).
        scores: (N, M), -1 for those that do not count.
        labels: (N, M).
        count: How many.
    """
    empty = scores.new_full((scores.shape[0], count), -1.0)
    scores, places = torch.cat([scores, empty], 1).topk(count, 1)
    there = scores > 0
    places = torch.where(there, places, torch.zeros_like(places))
    chosen = boxes.gather(1, places.unsqueeze(-1).expand(-1, -1, 4))
    zero = torch.zeros_like(scores)
    return (
        torch.where(there.unsqueeze(-1), chosen, torch.zeros_like(chosen)),
        torch.where(there, scores, zero),
        torch.where(there, labels.gather(1, places), -torch.ones_like(places)),
    )
