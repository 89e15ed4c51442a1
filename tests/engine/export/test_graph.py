"""The graph that is exported finds what mmdet's own `predict` finds, head by head, with weights of no training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from untrained import HEADS, built

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.engine.export.boxes import keep_best, suppressed
from pkdcli.engine.export.check import compare
from pkdcli.engine.export.deform import Sampler
from pkdcli.engine.export.graph import graph_of, refusal
from pkdcli.errors import PkdError

from mmcv.ops import DeformConv2d, ModulatedDeformConv2dPack  # isort: skip
from mmdet.structures import DetDataSample  # isort: skip

SIZES = [(120, 160), (128, 150)]  # a wide margin would give many equal scores


@pytest.mark.parametrize("name", HEADS)
def test_a_graph_finds_what_mmdet_finds(name):
    model = built(HEADS[name])
    generator = torch.Generator().manual_seed(1)
    images = [torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in SIZES]
    samples = [DetDataSample(metainfo={"img_shape": s, "ori_shape": s, "scale_factor": (1.0, 1.0)}) for s in SIZES]
    together = torch.full((2, 3, 128, 160), 77.0)  # what is beside an image does not matter
    for n, image in enumerate(images):
        together[n, :, : image.shape[1], : image.shape[2]] = image.flip(0).float()
    with torch.no_grad():
        batch = model.data_preprocessor({"inputs": images, "data_samples": samples}, False)
        if batch["inputs"].shape != together.shape:  # a detector that asks for no multiple of 32
            padded = torch.nn.functional.pad
            batch["inputs"] = padded(batch["inputs"], (0, 160 - batch["inputs"].shape[3], 0, 0))
        theirs = model.predict(batch["inputs"], samples)
        graph = graph_of(model, raw=False)
        ours = graph(together, torch.tensor(SIZES))
        plain = graph_of(model, raw=False, plain=True)(together, torch.tensor(SIZES))
    assert all(torch.equal(one, other) for one, other in zip(ours, plain, strict=True))
    for n, sample in enumerate(theirs):
        found = sample.pred_instances
        assert len(found) >= 20
        mine = ours[2][n] >= 0
        rows = [
            torch.cat([boxes, scores[:, None], labels[:, None].to(boxes)], 1).double().numpy()
            for boxes, scores, labels in (
                (found.bboxes, found.scores, found.labels),
                (ours[0][n][mine], ours[1][n][mine], ours[2][n][mine]),
            )
        ]
        apart = compare(*rows, graph.limit)
        assert (apart.scores < 1e-5, apart.pixels < 1e-3, apart.alone) == (True, True, 0), apart


def test_a_difference_is_seen():
    rows = np.array([[10.0, 10, 50, 50, 0.9, 1], [0, 0, 5, 5, 0.5, 0]])
    assert compare(rows, rows[::-1], 100) == (0.0, 0.0, 0, 0.0)
    moved = rows + np.array([[0, 0, 0.5, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    assert compare(rows, moved, 100)[1] == pytest.approx(0.5, abs=0.01)
    assert compare(rows, moved, 100).pixels == 0.5
    scored = rows + np.array([[0, 0, 0, 0, 0.0005, 0], [0, 0, 0, 0, 0, 0]])
    assert compare(rows, scored, 100)[0] == pytest.approx(0.0005)
    assert compare(rows, rows[:1], 100)[2] == 1
    assert compare(rows, rows + np.array([[0, 0, 0, 0, 0.01, 0], [0, 0, 0, 0, 0, 0]]), 100)[2] == 2
    assert compare(rows, rows + np.array([[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]), 100)[2] == 2


def test_suppression_is_by_image_and_class():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [30, 30, 40, 40]]] * 2)
    scores = torch.tensor([[0.9, 0.8, 0.7, -1.0], [0.2, 0.8, 0.7, 0.1]])
    labels = torch.tensor([[0, 0, 1, 0]] * 2)
    expected = torch.tensor([[0.9, -1, 0.7, -1], [-1, 0.8, 0.7, 0.1]])
    for way in (keep_best, suppressed):
        assert torch.equal(way(boxes, scores, labels, 0.5, 2), expected)


@pytest.mark.parametrize(
    ("layer", "masked"),
    [
        (lambda: DeformConv2d(4, 6, 3, padding=1), False),
        (lambda: DeformConv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, deform_groups=2), False),
        (lambda: ModulatedDeformConv2dPack(4, 6, 3, padding=1, deform_groups=2), True),
    ],
)
def test_a_sampler_is_the_deformable_convolution(layer, masked):
    torch.manual_seed(0)
    layer = layer()
    x = torch.randn(2, 4, 9, 12)
    if masked:
        torch.nn.init.normal_(layer.conv_offset.weight, std=0.5)
        given = (x,)
    else:
        size = ((9 + 1) // 2, (12 + 1) // 2) if layer.stride[0] == 2 else (9, 12)
        given = (x, 3 * torch.randn(2, layer.deform_groups * 18, *size))
    with torch.no_grad():
        assert torch.allclose(Sampler(layer)(*given), layer(*given), atol=1e-4)
        if len(given) == 1:
            assert torch.allclose(Sampler(layer)(x[:, :, :1]), layer(x[:, :, :1]), atol=1e-4)  # a coarse level's row


def test_a_head_that_is_not_covered_is_refused_and_raw_works():
    model = built("yolof/yolof_r50-c5_8xb8-1x_coco.py")
    model.bbox_head.test_cfg.nms.type = "soft_nms"
    assert refusal(model) == "its suppression is soft_nms, which ONNX has not"
    model = built("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py")
    model.rpn_head.test_cfg.nms.type = "soft_nms"
    assert refusal(model) == "its suppression is soft_nms, which ONNX has not"
    model = built("cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py")
    with pytest.raises(PkdError) as caught:
        graph_of(model, raw=False)
    assert caught.value.message == (
        "CascadeRoIHead, the second stage of CascadeRCNN, is not covered: its boxes can't be decoded inside the graph."
    )
    assert caught.value.hint == (
        "Boxes are decoded for FCOS, GFL, RetinaNet, ATSS, RTMDet, YOLOX, RepPoints, Faster R-CNN. --raw exports the "
        "outputs of the head itself, of any detector."
    )
    with torch.no_grad():
        outputs = graph_of(model, raw=True)(torch.rand(1, 3, 128, 128) * 255, torch.tensor([[128, 128]]))
    assert len(outputs) == 10  # classes and boxes of five levels
