"""What a dense head predicts -> the best candidates of each image, in shapes that do not depend on what is found.

mmdet's own `predict_by_feat` picks, level by level, what lies above a threshold, so that its shapes depend on the data
and no exporter can follow it. Here every level gives the same number of candidates, and those that do not count have a
score of -1. A test compares both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.gfl_head import GFLHead
from mmdet.models.dense_heads.reppoints_head import RepPointsHead
from mmdet.models.dense_heads.yolox_head import YOLOXHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, DistancePointBBoxCoder
from torch import Tensor, nn

from pkdcli.engine.export.boxes import around, clipped, deltas_decoded

COVERED = "FCOS, GFL, RetinaNet, ATSS, RTMDet, YOLOX, RepPoints, Faster R-CNN"
"""Whose boxes are decoded inside the graph; others that decode as one of these do are covered too."""
CANDIDATES = 4096  # of a level; RTMDet's config allows 30,000, of which none so far down is ever kept
MOST = 300  # detections of an image where the detector's own config sets no limit


class Candidates(NamedTuple):
    """Boxes among which suppression chooses, of a batch.

    Attributes:
        boxes: (N, M, 4), corners in pixels of the batch's images.
        scores: (N, M); -1 for those that do not count.
        labels: (N, M), int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


Decode = Callable[[nn.Module, Sequence[Sequence[Tensor]], Tensor], Candidates]
"""From a head, what its forward returns, and heights and widths (N, 2) of the images, to candidates."""


def decoder_of(head: nn.Module) -> Decode | None:
    """How a dense head's outputs become boxes; None for a way that is not covered."""
    kind = type(head)
    if isinstance(head, YOLOXHead) and kind.predict_by_feat is YOLOXHead.predict_by_feat:
        return _yolox
    if not isinstance(head, BaseDenseHead) or kind.predict_by_feat is not BaseDenseHead.predict_by_feat:
        return None
    if kind._bbox_post_process is not BaseDenseHead._bbox_post_process:
        return None
    single = kind._predict_by_feat_single
    if single is GFLHead._predict_by_feat_single:
        return _gfl
    if single is RepPointsHead._predict_by_feat_single:
        return _reppoints
    coder = type(getattr(head, "bbox_coder", None))
    if single is BaseDenseHead._predict_by_feat_single and coder in (DeltaXYWHBBoxCoder, DistancePointBBoxCoder):
        return _base
    return None


def limit_of(config: Any) -> int:
    """Detections of an image at most, as a test config says."""
    limit = int(config.get("max_per_img", 0) or 0)
    return limit if limit > 0 else MOST


def _base(head: nn.Module, outputs: Sequence[Sequence[Tensor]], sizes: Tensor) -> Candidates:
    """FCOS, RetinaNet, ATSS, RTMDet: distances to the sides, or deltas of anchors; perhaps a factor of the score."""
    classes, boxes, *more = outputs
    factors = more[0] if more and more[0] is not None else None
    coder = head.bbox_coder
    deltas = isinstance(coder, DeltaXYWHBBoxCoder)
    found = []
    for level, (cls, box) in enumerate(zip(classes, boxes, strict=True)):
        priors = anchors_of(head, level, cls) if deltas else _points(head, level, cls)
        scores, labels, places = top(activated(head, cls), head.test_cfg)
        chosen = gathered(rows(box, 4), places)
        decoded = deltas_decoded(priors[places], chosen, coder) if deltas else around(priors[places], chosen)
        if getattr(coder, "clip_border", True):
            decoded = clipped(decoded, sizes)
        if factors is not None:
            factor = gathered(rows(factors[level], 1).sigmoid(), places).squeeze(-1)
            scores = torch.where(scores >= 0, scores * factor, scores)
        found.append(Candidates(decoded, scores, labels))
    return together(found, head.test_cfg)


def _gfl(head: nn.Module, outputs: Sequence[Sequence[Tensor]], sizes: Tensor) -> Candidates:
    """GFL: a distribution of each distance, whose mean it is."""
    found = []
    for level, (cls, box) in enumerate(zip(*outputs, strict=True)):
        anchors = anchors_of(head, level, cls)
        centres = (anchors[:, :2] + anchors[:, 2:]) / 2
        scores, labels, places = top(rows(cls, head.cls_out_channels).sigmoid(), head.test_cfg)
        bins = head.reg_max + 1
        chosen = gathered(rows(box, 4 * bins), places)
        parts = chosen.reshape(chosen.shape[0], chosen.shape[1], 4, bins).softmax(-1)
        distances = (parts * head.integral.project.to(parts)).sum(-1) * head.prior_generator.strides[level][0]
        decoded = around(centres[places], distances)
        if head.bbox_coder.clip_border:
            decoded = clipped(decoded, sizes)
        found.append(Candidates(decoded, scores, labels))
    return together(found, head.test_cfg)


def _reppoints(head: nn.Module, outputs: Sequence[Sequence[Tensor]], sizes: Tensor) -> Candidates:
    """RepPoints: a box around points, in strides from a position's point."""
    found = []
    for level, (cls, box) in enumerate(zip(*outputs[:2], strict=True)):
        points = _points(head, level, cls)
        scores, labels, places = top(activated(head, cls), head.test_cfg)
        centres = points[places]
        decoded = gathered(rows(box, 4), places) * head.point_strides[level] + torch.cat([centres, centres], -1)
        found.append(Candidates(clipped(decoded, sizes), scores, labels))
    return together(found, head.test_cfg)


def _yolox(head: nn.Module, outputs: Sequence[Sequence[Tensor]], sizes: Tensor) -> Candidates:
    """YOLOX: of each position its best class only, and boxes that may reach out of the image."""
    found = []
    for level, (cls, box, objectness) in enumerate(zip(*outputs, strict=True)):
        points = _points(head, level, cls)
        stride = float(head.prior_generator.strides[level][0])
        best, labels = rows(cls, head.cls_out_channels).sigmoid().max(-1)
        scores = best * rows(objectness, 1).sigmoid().squeeze(-1)
        scores = torch.where(scores >= head.test_cfg.score_thr, scores, -torch.ones_like(scores))
        told = rows(box, 4)
        centres, half = told[..., :2] * stride + points, told[..., 2:].exp() * (stride / 2)
        found.append(Candidates(torch.cat([centres - half, centres + half], -1), scores, labels))
    return Candidates(*(torch.cat(parts, 1) for parts in zip(*found, strict=True)))


def rows(level: Tensor, width: int) -> Tensor:
    """A level's map as a row for each prior: (N, H * W * A, width).

    Args:
        level: (N, A * width, H, W).
        width: Of a row.
    """
    return level.permute(0, 2, 3, 1).reshape(level.shape[0], -1, width)


def gathered(values: Tensor, places: Tensor) -> Tensor:
    """The rows (N, k, D) at some places.

    Args:
        values: (N, P, D).
        places: (N, k).
    """
    return values.gather(1, places.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


def top(scores: Tensor, config: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The best pairs of prior and class of a level.

    Args:
        scores: (N, P, C).
        config: With `score_thr` and `nms_pre`, which is their number; there may be fewer, and scores of -1 then.

    Returns:
        Scores, labels and the priors' places, each (N, k).
    """
    count, classes = min(int(config.get("nms_pre", 1000)), CANDIDATES), scores.shape[-1]
    flat = scores.flatten(1)
    flat = torch.where(flat > config.get("score_thr", 0.0), flat, -torch.ones_like(flat))
    # A level may have fewer pairs than that.
    flat = torch.cat([flat, -flat.new_ones(flat.shape[0], count)], 1)
    best, index = flat.topk(count, 1)
    index = torch.where(best >= 0, index, torch.zeros_like(index))
    return best, index % classes, torch.div(index, classes, rounding_mode="floor")


def activated(head: nn.Module, cls: Tensor) -> Tensor:
    """Scores (N, P, C) of a level, without the background's.

    Args:
        head: Says by which function.
        cls: (N, A * C', H, W), logits.
    """
    scores = rows(cls, head.cls_out_channels)
    if getattr(head, "use_sigmoid_cls", True):
        return scores.sigmoid()
    return scores.softmax(-1)[..., :-1]  # the last is the background


def _grid(level: Tensor, offset: float, stride: Sequence[int]) -> Tensor:
    """Places of a level's positions in pixels, row by row: (H * W, 2), x and y."""
    height, width = level.shape[-2:]
    x = (torch.arange(width, device=level.device).to(level.dtype) + offset) * stride[0]
    y = (torch.arange(height, device=level.device).to(level.dtype) + offset) * stride[1]
    return torch.stack([x.unsqueeze(0).expand(height, -1), y.unsqueeze(1).expand(-1, width)], -1).reshape(-1, 2)


def _points(head: nn.Module, level: int, cls: Tensor) -> Tensor:
    generator = head.prior_generator
    return _grid(cls, generator.offset, generator.strides[level])


def anchors_of(head: nn.Module, level: int, cls: Tensor) -> Tensor:
    """A level's anchors: (H * W * A, 4), corners in pixels.

    Args:
        head: With their generator.
        level: Its number.
        cls: A map of it, for its size.
    """
    generator = head.prior_generator
    base = generator.base_anchors[level].to(cls)
    shifts = _grid(cls, 0.0, generator.strides[level])
    return (torch.cat([shifts, shifts], -1).unsqueeze(1) + base.unsqueeze(0)).reshape(-1, 4)


def together(found: Sequence[Candidates], config: Any) -> Candidates:
    """The candidates of all levels; boxes of no size do not count.

    Args:
        found: Level by level.
        config: With `min_bbox_size`.
    """
    boxes, scores, labels = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    least = config.get("min_bbox_size", -1)
    if least >= 0:
        width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
        scores = torch.where((width > least) & (height > least), scores, -torch.ones_like(scores))
    return Candidates(boxes, scores, labels)
