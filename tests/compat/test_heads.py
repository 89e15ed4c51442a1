"""Modules of mmcv and mmdet that are mended as they are imported: each does what it did, and what it could not."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F


@pytest.fixture(autouse=True)
def _modules():
    from mmdet.utils import register_all_modules

    register_all_modules()
    torch.manual_seed(0)


def test_an_ssd_predicts():
    from mmdet.models.dense_heads import SSDHead
    from mmengine.config import ConfigDict

    generator = {"type": "SSDAnchorGenerator", "scale_major": False, "input_size": 64, "strides": [8, 16],
                 "ratios": [[2], [2]], "min_sizes": [10, 30], "max_sizes": [30, 50]}  # fmt: skip
    head = SSDHead(num_classes=3, in_channels=(4, 4), anchor_generator=generator)
    head.test_cfg = None
    meta = {"img_shape": (64, 64), "scale_factor": (1.0, 1.0)}
    config = {"nms_pre": 10, "min_bbox_size": 0, "score_thr": 0.0, "max_per_img": 7,
              "nms": {"type": "nms", "iou_threshold": 0.5}}  # fmt: skip
    scores, boxes = head([torch.randn(1, 4, 8, 8), torch.randn(1, 4, 4, 4)])
    (found,) = head.predict_by_feat(scores, boxes, batch_img_metas=[meta], cfg=ConfigDict(config))
    assert len(found.scores) == 7
    assert set(found.labels.tolist()) <= {0, 1, 2}


def test_the_best_places_of_a_heatmap_are_the_same_in_both_layouts():
    from mmdet.models.utils import get_topk_from_heatmap

    scores = torch.rand(2, 3, 4, 5)
    usual, last = (
        get_topk_from_heatmap(scores.clone(memory_format=layout), k=4)
        for layout in (torch.contiguous_format, torch.channels_last)
    )
    for one, other in zip(usual, last, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert usual[0][0].tolist() == scores[0].flatten().topk(4).values.tolist()


def test_a_masked_convolution_takes_any_batch():
    from mmcv.ops import MaskedConv2d

    conv = MaskedConv2d(3, 4, 3, padding=1).eval()
    images = torch.randn(2, 3, 5, 6)
    plain = F.conv2d(images, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(images, torch.zeros(5, 6)), plain, rtol=0, atol=0)
    torch.testing.assert_close(conv.train()(images), plain, rtol=0, atol=0)


@pytest.mark.parametrize("box", [[2, -9, 6, -4], [-9, 2, -4, 6], [12, 2, 15, 6], [2, 11, 6, 14]])
def test_a_mask_outside_of_the_image_covers_nothing(box):
    from mmdet.models.roi_heads.mask_heads import fcn_mask_head

    pasted, place = fcn_mask_head._do_paste_mask(torch.ones(1, 1, 4, 4), torch.tensor([box]).float(), 8, 8)
    whole = torch.zeros(1, 8, 8)
    whole[(slice(None), *place)] = pasted
    assert pasted.numel() == 0
    assert not whole.any()


def test_a_mask_inside_of_the_image_is_pasted_as_before():
    from mmdet.models.roi_heads.mask_heads import fcn_mask_head

    boxes = torch.tensor([[2.0, 3.0, 6.0, 7.0]])
    pasted, place = fcn_mask_head._do_paste_mask(torch.ones(1, 1, 4, 4), boxes, 9, 8)
    whole, _ = fcn_mask_head._do_paste_mask(torch.ones(1, 1, 4, 4), boxes, 9, 8, skip_empty=False)
    assert place == (slice(2, 8), slice(1, 7))
    torch.testing.assert_close(pasted, whole[(slice(None), *place)])
    assert float(whole.sum()) == 16


@pytest.mark.parametrize("name", ["RTMDetHead", "RTMDetSepBNHead"])
def test_an_rtmdet_head_draws_the_weights_that_its_config_asks_for(name):
    """mmdet's own draw them with 0.01, in place of `init_cfg`; where none is given that stays."""
    from mmdet.models import dense_heads

    head = {
        "num_classes": 40,
        "in_channels": 32,
        "feat_channels": 32,
        "with_objectness": False,
        "anchor_generator": {"type": "MlvlPointGenerator", "offset": 0, "strides": [8, 16, 32]},
        "norm_cfg": {"type": "GN", "num_groups": 4},
    }
    normal = {"type": "Normal", "std": 0.5, "bias_prob": 0.01}
    given = {"type": "Normal", "layer": "Conv2d", "std": 0.1, "override": {**normal, "name": "rtm_cls"}}

    def deviations(**keys):
        torch.manual_seed(0)
        built = getattr(dense_heads, name)(**head, **keys)
        built.init_weights()
        predictions = [built.rtm_cls, built.rtm_reg]
        return [torch.cat([w.flatten() for w in one.parameters() if w.ndim == 4]).std().item() for one in predictions]

    assert deviations() == pytest.approx([0.01, 0.01], rel=0.15)
    assert deviations(init_cfg=given) == pytest.approx([0.5, 0.1], rel=0.15)
