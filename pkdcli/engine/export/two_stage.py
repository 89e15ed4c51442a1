"""Faster R-CNN as a function of tensors: the first stage's proposals, their features, and the second stage's boxes."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.ops import RoIAlign
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.rpn_head import RPNHead
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from torch import Tensor, nn

from pkdcli.engine.export.boxes import clipped, deltas_decoded
from pkdcli.engine.export.heads import Candidates, activated, anchors_of, gathered, rows, together, top
from pkdcli.engine.export.rois import RegionFeatures


def uncovered(model: nn.Module) -> str | None:
    """What of a two-stage detector is another than in Faster R-CNN; None where nothing is.

    Args:
        model: mmdet's.
    """
    first, second = model.rpn_head, model.roi_head
    kind, box = type(first), getattr(second, "bbox_head", None)
    if (
        type(model).predict is not TwoStageDetector.predict
        or kind._predict_by_feat_single is not RPNHead._predict_by_feat_single
        or kind._bbox_post_process is not RPNHead._bbox_post_process
        or kind.predict_by_feat is not BaseDenseHead.predict_by_feat
        or not isinstance(first, AnchorHead)
        or type(first.bbox_coder) is not DeltaXYWHBBoxCoder
    ):
        return f"{kind.__name__}, the first stage of {type(model).__name__}, is not covered"
    if (
        type(second).predict_bbox is not StandardRoIHead.predict_bbox
        or type(second)._bbox_forward is not StandardRoIHead._bbox_forward
        or second.with_shared_head
        or not isinstance(box, BBoxHead)
        or type(box)._predict_by_feat_single is not BBoxHead._predict_by_feat_single
        or type(box.bbox_coder) is not DeltaXYWHBBoxCoder
        or box.custom_cls_channels
        or not box.with_reg
    ):
        return f"{type(second).__name__}, the second stage of {type(model).__name__}, is not covered"
    extractor = second.bbox_roi_extractor
    if type(extractor) is not SingleRoIExtractor or not all(map(_pools_so, extractor.roi_layers)):
        return f"{type(extractor).__name__}, which pools the proposals of {type(model).__name__}, is not covered"
    return None


class Proposals(nn.Module):
    """The first stage, up to suppression.

    Args:
        head: mmdet's RPN head.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.config = head.test_cfg

    def forward(self, maps: Any, sizes: Tensor) -> Candidates:
        """Every level's best; the label is the level, since each is suppressed by itself.

        Args:
            maps: Of the neck.
            sizes: (N, 2), height and width of each image.
        """
        found = []
        for level, (cls, box) in enumerate(zip(*self.head(maps), strict=True)):
            scores, _, places = top(activated(self.head, cls), {"score_thr": 0.0, "nms_pre": _before(self.config)})
            decoded = deltas_decoded(
                anchors_of(self.head, level, cls)[places], gathered(rows(box, 4), places), self.head.bbox_coder
            )
            if self.head.bbox_coder.clip_border:
                decoded = clipped(decoded, sizes)
            found.append(Candidates(decoded, scores, torch.full_like(places, level)))
        return together(found, self.config)


class Boxes(nn.Module):
    """The second stage, up to suppression.

    Args:
        head: mmdet's RoI head.
        plain: With operators that TorchScript knows.
    """

    def __init__(self, head: nn.Module, plain: bool) -> None:
        super().__init__()
        self.head = head.bbox_head
        self.config = head.test_cfg
        extractor = head.bbox_roi_extractor
        self.finest = float(extractor.finest_scale)
        self.layers = nn.ModuleList(RegionFeatures(layer, plain) for layer in extractor.roi_layers)

    def forward(self, maps: Any, proposals: Tensor, there: Tensor, sizes: Tensor) -> Candidates:
        """Boxes of every class around the proposals.

        Args:
            maps: Of the neck.
            proposals: (N, K, 4), corners.
            there: (N, K), which of these are proposals.
            sizes: (N, 2), height and width of each image.
        """
        batch, count = proposals.shape[:2]
        image = torch.arange(batch, device=proposals.device).to(proposals.dtype).reshape(-1, 1, 1)
        regions = torch.cat([image.expand(-1, count, 1), proposals], -1).flatten(0, 1)
        level = torch.where(there.flatten(), self._level(proposals).flatten(), -1)
        pooled = sum(layer(maps[at], regions, level == at) for at, layer in enumerate(self.layers))
        cls, box = self.head(pooled)
        classes = self.head.num_classes
        scores = cls.softmax(-1)[:, :classes].reshape(batch, count, classes)
        scores = torch.where(there.unsqueeze(-1), scores, torch.zeros_like(scores))
        best, labels, places = top(scores, {"score_thr": self.config.score_thr, "nms_pre": count * classes})
        each = 1 if self.head.reg_class_agnostic else classes
        deltas = gathered(box.reshape(batch, count * each, 4), places * each + (0 if each == 1 else labels))
        decoded = deltas_decoded(gathered(proposals, places), deltas, self.head.bbox_coder)
        if self.head.bbox_coder.clip_border:
            decoded = clipped(decoded, sizes)
        return Candidates(decoded, best, labels)

    def _level(self, proposals: Tensor) -> Tensor:
        """Which map each proposal's features are of, by its size: `floor(log2(...))` without a logarithm to round."""
        sides = proposals[..., 2:] - proposals[..., :2]
        scale = (sides[..., 0] * sides[..., 1]).sqrt() / self.finest + 1e-6
        return sum((scale >= 2.0**at).long() for at in range(1, len(self.layers))) + torch.zeros_like(scale).long()


def _before(config: Any) -> int:
    """Anchors of a level that are looked at; mmdet takes all where none or -1 is told."""
    count = int(config.get("nms_pre", -1))
    return count if count > 0 else 1 << 30


def _pools_so(layer: nn.Module) -> bool:
    """A RoIAlign as mmdet's configs have it: averages, of squares, by the centres of positions."""
    square = isinstance(layer, RoIAlign) and len(set(layer.output_size)) == 1
    return square and layer.pool_mode == "avg" and layer.aligned
