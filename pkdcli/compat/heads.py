"""What is wrong with modules of mmcv 2.1 and mmdet 3.3, mended when they are imported."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


def _ssd(module: ModuleType) -> None:
    """SSDHead has no `loss_cls`, and mmdet 3.3's prediction asks every head for its loss's channels."""
    module.SSDHead.loss_cls = None


def _heatmaps(module: ModuleType) -> None:
    """The best places of a heatmap (N, C, H, W) are looked for in a view, which one laid out channels last lacks."""
    stock = module.get_topk_from_heatmap

    def get_topk_from_heatmap(scores: Any, k: int = 20) -> Any:
        return stock(scores.contiguous(), k)

    module.get_topk_from_heatmap = get_topk_from_heatmap


def _grid(module: ModuleType) -> None:
    """The best points of a Grid R-CNN's heatmaps are looked for in a view too."""
    stock = module.GridHead._predict_by_feat_single

    def predict(self: Any, grid_pred: Any, *rest: Any, **more: Any) -> Any:
        return stock(self, grid_pred.contiguous(), *rest, **more)

    module.GridHead._predict_by_feat_single = predict


def _masked(module: ModuleType) -> None:
    """Guided anchoring's convolutions leave out places without an anchor, from batches of one image alone.

    What they would give there is looked at by nobody (`loc_mask` in mmdet's guided_anchor_head.py), so an ordinary
    convolution serves, for any batch.
    """
    from torch import nn

    module.MaskedConv2d.forward = lambda self, input, mask=None: nn.Conv2d.forward(self, input)


def _pasted(module: ModuleType) -> None:
    """A mask whose box lies outside of the image covers no pixel of it; on a CPU mmdet's pasting breaks there."""
    stock = module._do_paste_mask

    def do_paste_mask(masks: Any, boxes: Any, img_h: int, img_w: int, skip_empty: bool = True) -> Any:
        if skip_empty:
            left, top = (boxes.min(dim=0).values.floor()[:2] - 1).clamp(min=0).tolist()
            right, bottom = (boxes.max(dim=0).values.ceil()[2:] + 1).tolist()
            if left >= min(right, img_w) or top >= min(bottom, img_h):
                return masks.new_zeros((len(masks), 0, 0)), (slice(0, 0), slice(0, 0))
        return stock(masks, boxes, img_h, img_w, skip_empty)

    module._do_paste_mask = do_paste_mask


def _standardised(module: ModuleType) -> None:
    """Weights are standardised in a view, which those of a model that is laid out channels last don't have."""
    stock, stock_aws = module.conv_ws_2d, module.ConvAWS2d._get_weight

    def conv_ws_2d(input: Any, weight: Any, *rest: Any, **more: Any) -> Any:
        return stock(input, weight.contiguous(), *rest, **more)

    module.conv_ws_2d = conv_ws_2d
    module.ConvAWS2d._get_weight = lambda self, weight: stock_aws(self, weight.contiguous())


def _drawn(module: ModuleType) -> None:
    """RTMDet's heads draw their weights with a deviation of 0.01 whatever `init_cfg` their config gives.

    Where one is given it is carried out after their own, as in other heads; the default stays mmdet's.
    """
    from mmengine.model import initialize

    def mended(head: type) -> None:
        build, draw = head.__init__, head.init_weights

        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            build(self, *args, **kwargs)
            self.given_init_cfg = kwargs.get("init_cfg")

        def init_weights(self: Any) -> None:
            draw(self)
            if self.given_init_cfg:
                initialize(self, self.given_init_cfg)

        head.__init__, head.init_weights = init, init_weights

    mended(module.RTMDetHead)
    mended(module.RTMDetSepBNHead)


MENDS: dict[str, Callable[[ModuleType], None]] = {
    "mmcv.cnn.bricks.conv_ws": _standardised,
    "mmcv.ops.masked_conv": _masked,
    "mmdet.models.dense_heads.rtmdet_head": _drawn,
    "mmdet.models.dense_heads.ssd_head": _ssd,
    "mmdet.models.roi_heads.mask_heads.fcn_mask_head": _pasted,
    "mmdet.models.roi_heads.mask_heads.grid_head": _grid,
    "mmdet.models.utils.gaussian_target": _heatmaps,
}
"""By the module's full name."""
