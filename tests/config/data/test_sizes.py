"""Sizes of a config's own pipeline at a scale that limits images."""

from __future__ import annotations

import pytest

from pkdcli.config.data.sizes import Shrinking, shrinking

RTMDET = Shrinking(0.3, 0.3)  # 640 to 192
DETR = Shrinking(192 / 1333, 192 / 800)


@pytest.mark.parametrize(
    ("limit", "own", "upscale", "expected"),
    [
        ((1333, 800), (640, 640), True, (1, 1)),  # scale paper
        ((1333, 800), (1600, 896), True, (1, 1)),
        ((1333, 800), None, True, (1, 1)),
        ((192, 192), (640, 640), False, (0.3, 0.3)),
        ((192, 192), (1333, 800), False, (192 / 1333, 0.24)),
        ((192, 192), None, False, (192 / 1333, 0.24)),  # mmdet's for COCO
        ((320, 320), (300, 300), False, (1, 1)),  # a limit, which enlarges nothing
        ((320, 240), (640, 480), True, (0.5, 0.5)),  # a size of the user's own
    ],
)
def test_the_factors_are_those_of_the_test_images(limit, own, upscale, expected):
    assert shrinking(limit, own, upscale=upscale) == expected


@pytest.mark.parametrize(
    ("factors", "step", "expected"),
    [
        (RTMDET, {"type": "CachedMosaic", "img_scale": (640, 640), "pad_val": 114.0, "max_cached_images": 20},
         {"type": "CachedMosaic", "img_scale": (192, 192), "pad_val": 114.0, "max_cached_images": 20}),
        (RTMDET, {"type": "RandomResize", "scale": (1280, 1280), "ratio_range": (0.1, 2.0)},
         {"type": "RandomResize", "scale": (384, 384), "ratio_range": (0.1, 2.0)}),
        (RTMDET, {"type": "Pad", "size": (640, 640), "pad_val": {"img": (114, 114, 114)}},
         {"type": "Pad", "size": (192, 192), "pad_val": {"img": (114, 114, 114)}}),
        (RTMDET, {"type": "RandomAffine", "border": (-320, -320), "scaling_ratio_range": (0.5, 1.5)},
         {"type": "RandomAffine", "border": (-96, -96), "scaling_ratio_range": (0.5, 1.5)}),
        (RTMDET, {"type": "BatchSyncRandomResize", "random_size_range": (320, 640), "size_divisor": 32},
         {"type": "BatchSyncRandomResize", "random_size_range": (96, 192), "size_divisor": 32}),
        (RTMDET, {"type": "BatchSyncRandomResize", "random_size_range": (480, 800)},
         {"type": "BatchSyncRandomResize", "random_size_range": (128, 256)}),  # 4.5 and 7.5 times 32
        (RTMDET, {"type": "Pad", "size_divisor": 32}, {"type": "Pad", "size_divisor": 32}),
        (RTMDET, {"type": "RandomShift", "max_shift_px": 32, "prob": 0.5},
         {"type": "RandomShift", "max_shift_px": 32, "prob": 0.5}),
        (RTMDET, {"type": "InstaBoost", "scale": (0.8, 1.2)}, {"type": "InstaBoost", "scale": (0.8, 1.2)}),
        (Shrinking(0.64, 0.64), {"type": "Resize", "scale": (300, 300)}, {"type": "Resize", "scale": (192, 192)}),
        (DETR, {"type": "Resize", "scale": (1333, 800)}, {"type": "Resize", "scale": (192, 192)}),
        (DETR, {"type": "RandomChoiceResize", "scales": [(480, 1333), (800, 1333)]},
         {"type": "RandomChoiceResize", "scales": [(115, 192), (192, 192)]}),
        (DETR, {"type": "RandomCrop", "crop_type": "absolute_range", "crop_size": (384, 600)},
         {"type": "RandomCrop", "crop_type": "absolute_range", "crop_size": (92, 144)}),
        (DETR, {"type": "RandomChoice", "transforms": [[{"type": "Resize", "scale": (1333, 640)}], [{"type": "Flip"}]]},
         {"type": "RandomChoice", "transforms": [[{"type": "Resize", "scale": (192, 154)}], [{"type": "Flip"}]]}),
        (Shrinking(0.01, 0.01), {"type": "Pad", "size": (640, 640)}, {"type": "Pad", "size": (32, 32)}),
        (Shrinking(0.001, 0.001), {"type": "Resize", "scale": (300, 300)}, {"type": "Resize", "scale": (1, 1)}),
    ],
)  # fmt: skip
def test_every_size_of_a_transform_shrinks_alike(factors, step, expected):
    (found,) = factors.steps([step])
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]
    assert Shrinking().steps([step]) == [step]
