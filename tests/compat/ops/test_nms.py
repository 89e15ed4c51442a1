"""nms, batched_nms, soft_nms and nms_match against loops over Python numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch


def iou(a: list[float], b: list[float], offset: int) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    shared = width * height
    area = (a[2] - a[0] + offset) * (a[3] - a[1] + offset) + (b[2] - b[0] + offset) * (b[3] - b[1] + offset)
    return shared / (area - shared)


def plain_nms(boxes: list, scores: list, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(iou(boxes[i], boxes[j], offset) <= threshold for j in kept):
            kept.append(i)
    return kept


def plain_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset):
    left = {i: score for i, score in enumerate(scores)}
    kept = []
    while left:
        best = max(left, key=lambda i: (left[i], -i))
        kept.append((best, left.pop(best)))
        for i in list(left):
            overlap = iou(boxes[best], boxes[i], offset)
            if method == "gaussian":
                left[i] *= math.exp(-(overlap**2) / sigma)
            elif overlap >= threshold:
                left[i] *= 0.0 if method == "naive" else 1 - overlap
            if left[i] < min_score:
                del left[i]
    return kept


def random_boxes(number: int, rng: torch.Generator, dtype: torch.dtype = torch.float32):
    corner = torch.rand(number, 2, generator=rng, dtype=dtype) * 60
    size = torch.rand(number, 2, generator=rng, dtype=dtype) * 30 + 1
    return torch.cat([corner, corner + size], dim=1), torch.rand(number, generator=rng, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_nms_equals_the_loop(rng, threshold, offset, dtype):
    from mmcv.ops import nms

    boxes, scores = random_boxes(60, rng, dtype)
    dets, kept = nms(boxes, scores, threshold, offset=offset)
    expected = plain_nms(boxes.tolist(), scores.tolist(), threshold, offset)
    assert kept.tolist() == expected
    assert len(expected) < 60, "nothing was suppressed: the case proves nothing"
    assert torch.equal(dets, torch.cat([boxes, scores[:, None]], dim=1)[expected])


def test_offset_decides():
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 5.0, 9.0, 14.0]])  # IoU 36/126 without, 50/150 with offset
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.3, offset=0)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.3, offset=1)[1].tolist() == [0]


def test_an_iou_equal_to_the_threshold_is_kept():
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])  # IoU 0.5 exactly
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5)[1].tolist() == [0, 1]
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.499)[1].tolist() == [0]


def test_score_threshold_and_max_num(rng):
    from mmcv.ops import nms

    boxes, scores = random_boxes(60, rng)
    above = [i for i in plain_nms(boxes.tolist(), scores.tolist(), 0.3, 0) if scores[i] > 0.4]
    assert nms(boxes, scores, 0.3, score_threshold=0.4)[1].tolist() == above
    assert nms(boxes, scores, 0.3, score_threshold=0.4, max_num=3)[1].tolist() == above[:3]
    assert nms(boxes, scores, 0.3, score_threshold=2.0)[1].tolist() == []


def test_nms_of_nothing_and_of_numpy():
    from mmcv.ops import nms

    dets, kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.long
    # the example in mmcv's documentation
    boxes = np.array(
        [
            [49.1, 32.4, 51.0, 35.9], [49.3, 32.9, 51.0, 35.3], [49.2, 31.8, 51.0, 35.4], [35.1, 11.5, 39.1, 15.7],
            [35.6, 11.8, 39.3, 14.2], [35.3, 11.5, 39.9, 14.5], [35.2, 11.7, 39.7, 15.7],
        ],
        dtype=np.float32,
    )  # fmt: skip
    scores = np.array([0.9, 0.9, 0.5, 0.5, 0.5, 0.4, 0.3], dtype=np.float32)
    dets, kept = nms(boxes, scores, 0.6)
    assert isinstance(dets, np.ndarray)
    assert len(dets) == len(kept) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_nms_in_half_precision(dtype):
    from mmcv.ops import nms

    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [50, 50, 60, 60]], dtype=dtype)
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.3], dtype=dtype), 0.5)[1].tolist() == [1, 2]


@pytest.mark.parametrize("split_thr", [10000, 10])
def test_batched_nms_keeps_classes_apart(rng, split_thr):
    from mmcv.ops import batched_nms

    boxes, scores = random_boxes(60, rng)
    classes = torch.arange(60) % 3
    expected = []
    for number in range(3):
        mine = (classes == number).nonzero()[:, 0].tolist()
        kept = plain_nms(boxes[mine].tolist(), scores[mine].tolist(), 0.3, 0)
        expected += [mine[i] for i in kept]
    expected.sort(key=lambda i: -scores[i])
    dets, kept = batched_nms(boxes, scores, classes, {"type": "nms", "iou_threshold": 0.3, "split_thr": split_thr})
    assert kept.tolist() == expected
    assert torch.equal(dets[:, :4], boxes[expected])


def test_batched_nms_of_nothing_agnostic_and_limited(rng):
    from mmcv.ops import batched_nms

    nothing = batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0), {"type": "nms", "iou_threshold": 0.5},
                          class_agnostic=True)  # fmt: skip
    assert nothing[0].shape == (0, 5)
    boxes, scores = random_boxes(40, rng)
    cfg = {"type": "nms", "iou_threshold": 0.3, "max_num": 4, "class_agnostic": True}
    _, kept = batched_nms(boxes, scores, torch.arange(40), cfg)
    assert kept.tolist() == plain_nms(boxes.tolist(), scores.tolist(), 0.3, 0)[:4]


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
def test_soft_nms_equals_the_loop(rng, method, offset):
    from mmcv.ops import soft_nms

    boxes, scores = random_boxes(40, rng, torch.float64)
    dets, kept = soft_nms(boxes, scores, 0.3, sigma=0.5, min_score=0.05, method=method, offset=offset)
    expected = plain_soft_nms(boxes.tolist(), scores.tolist(), 0.3, 0.5, 0.05, method, offset)
    assert kept.tolist() == [i for i, _ in expected]
    assert 0 < len(expected) < 40
    assert torch.equal(dets[:, :4], boxes[kept])
    torch.testing.assert_close(dets[:, 4], torch.tensor([score for _, score in expected], dtype=torch.float64))


def test_soft_nms_leaves_its_input_alone_and_takes_nothing(rng):
    from mmcv.ops import soft_nms

    boxes, scores = random_boxes(20, rng)
    before = scores.clone()
    soft_nms(boxes, scores)
    assert torch.equal(scores, before)
    dets, kept = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5)
    assert kept.tolist() == []
    # the example in mmcv's documentation, with boxes that have no area
    boxes = np.array([[4, 3, 5, 3], [4, 3, 5, 4], [3, 1, 3, 1], [3, 1, 3, 1], [3, 1, 3, 1], [3, 1, 3, 1]], np.float32)
    dets, kept = soft_nms(boxes, np.array([0.9, 0.9, 0.5, 0.5, 0.4, 0.0], np.float32), 0.6, sigma=0.5)
    assert len(dets) == len(kept) == 5


def test_nms_match_groups_the_suppressed(rng):
    from mmcv.ops import nms_match

    boxes, scores = random_boxes(50, rng)
    groups = [group.tolist() for group in nms_match(torch.cat([boxes, scores[:, None]], dim=1), 0.3)]
    left = sorted(range(50), key=lambda i: -scores[i])
    expected = []
    while left:
        first, *rest = left
        joins = [i for i in rest if iou(boxes[first].tolist(), boxes[i].tolist(), 0) >= 0.3]
        expected.append([first, *joins])
        left = [i for i in rest if i not in joins]
    assert groups == expected
    assert any(len(group) > 2 for group in groups)
    assert nms_match(torch.zeros(0, 5), 0.3) == []
    assert [group.tolist() for group in nms_match(np.array([[0, 0, 2, 1, 0.5], [0, 0, 1, 1, 0.9]]), 0.5)] == [[1, 0]]
