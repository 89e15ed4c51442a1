"""Non-maximum suppression: nms, softnms and nms_match (mmcv/ops/nms.py)."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor

from pkdcli.compat.ops.widen import widened


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Greedy suppression of boxes whose IoU with a better one is above the threshold.

    Args:
        bboxes: (N, 4), corners x1, y1, x2, y2 in pixels.
        scores: (N,).
        iou_threshold: 0 to 1; an IoU equal to it does not suppress.
        offset: 0 or 1, added to every width and height (1: corners are the centres of the last pixels).

    Returns:
        (K,) int64, the kept boxes by falling score.
    """
    if bboxes.numel() == 0:
        return bboxes.new_empty(0, dtype=torch.long)
    boxes = widened(bboxes)
    if offset:
        # Adding the offset to the far corner adds it to widths, heights and intersections alike.
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    return torchvision.ops.nms(boxes, widened(scores).to(boxes.dtype), iou_threshold)


def _ious(box: Tensor, boxes: Tensor, offset: int) -> Tensor:
    """IoU of one box, (4,), with others, (N, 4); 0 where both are empty."""
    lower = torch.maximum(box[:2], boxes[:, :2])
    upper = torch.minimum(box[2:], boxes[:, 2:])
    shared = (upper - lower + offset).clamp(min=0).prod(dim=1)
    area = (box[2:] - box[:2] + offset).prod()
    union = area + (boxes[:, 2:] - boxes[:, :2] + offset).prod(dim=1) - shared
    return torch.nan_to_num(shared / union)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Suppression that lowers the scores of overlapping boxes (Bodla et al., 2017).

    Of equal scores the first box is taken first; mmcv's order among them depends on its earlier swaps.

    Args:
        boxes: (N, 4), corners in pixels.
        scores: (N,).
        dets: (N, 5), written in place: kept boxes with their lowered scores in its first rows.
        iou_threshold: From this IoU on, methods 0 and 1 act.
        sigma: Width of method 2.
        min_score: A score lowered below it drops the box.
        method: 0 naive (to zero), 1 linear (times 1 - IoU), 2 gaussian (times exp(-IoU^2 / sigma)).
        offset: 0 or 1, added to every width and height.

    Returns:
        (K,) int64, the kept boxes in the order of `dets`.
    """
    left = torch.arange(boxes.size(0), device=boxes.device)
    scores = scores.clone()
    kept = []
    while left.numel():
        best = scores[left].argmax()
        chosen = left[best]
        dets[len(kept), :4] = boxes[chosen]
        dets[len(kept), 4] = scores[chosen]
        kept.append(chosen)
        left = torch.cat([left[:best], left[best + 1 :]])
        ious = _ious(boxes[chosen], boxes[left], offset)
        if method == 2:
            weight = torch.exp(-(ious**2) / sigma)
        else:
            lowered = torch.zeros_like(ious) if method == 0 else 1 - ious
            weight = torch.where(ious >= iou_threshold, lowered, torch.ones_like(ious))
        scores[left] *= weight
        left = left[scores[left] >= min_score]
    return torch.stack(kept) if kept else left


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups every suppressed box with the box that suppressed it.

    Args:
        dets: (N, 5), corners in pixels and score.
        iou_threshold: From this IoU on a box joins the better one's group.

    Returns:
        One list of indices per kept box, itself first, then its group by falling score.
    """
    left = dets[:, 4].sort(descending=True, stable=True).indices
    groups = []
    while left.numel():
        first, rest = left[0], left[1:]
        joins = _ious(dets[first, :4], dets[rest, :4], offset=0) >= iou_threshold
        groups.append([int(first), *rest[joins].tolist()])
        left = rest[~joins]
    return groups


OPERATORS = (nms, softnms, nms_match)
