"""The ONNX file of each head finds what mmdet's own detector finds in real images, to a thousandth of a pixel."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
from untrained import HEADS, built

from pkdcli.engine.export import check, onnx_file, prepare
from pkdcli.engine.export.graph import graph_of

from mmengine.dataset import Compose  # isort: skip

PIPELINE = [
    {"type": "mmdet.Resize", "scale": (128, 128), "keep_ratio": True},
    {"type": "mmdet.PackDetInputs", "meta_keys": ("img_shape", "ori_shape", "scale_factor")},
]
# Mask R-CNN's boxes are Faster R-CNN's. Without a training GFL's and RTMDet's scores tie at the bias, and of boxes that
# tie suppression may keep either; their graphs are held to mmdet's detections in test_graph.py.
TRIED = [name for name in HEADS if name not in ("mask", "gfl", "rtmdet")]
QUICK = ("faster",)  # an export takes up to a minute; the file of FCOS is made in tests/api/test_export.py


@pytest.fixture(scope="module")
def images(micro):
    """Pictures of the val split, ready; of every other one the lower part is missing."""
    files = sorted((micro.parent / "images" / "val").iterdir())
    pixels = [cv2.imread(str(file))[: 120 if n % 2 else None] for n, file in enumerate(files)]
    return [prepare.ready(one, Compose(PIPELINE), 32) for one in pixels]


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TRIED]
)
def test_a_file_finds_what_mmdet_finds(name, images, tmp_path):
    model = built(HEADS[name])
    graph, path = graph_of(model, raw=False), tmp_path / "detector.onnx"
    free = onnx_file.write(graph, model, path, 32, ["boxes", "scores", "labels"])
    assert free == {"opset": 18, "batch": "any", "size": "any"}
    run = onnx_file.session(path)
    told = check.differences(model, run, images, graph.limit)
    assert told["detections"] >= 20 * len(images)
    assert (told["scores"] <= 1e-3, told["pixels"] <= 1e-3, told["without"]) == (True, True, 0), told
    several = [np.concatenate([one.images for one in images[::2]]), np.concatenate([one.sizes for one in images[::2]])]
    for alone, both in zip(run(images[2].images, images[2].sizes), run(*several), strict=True):
        assert np.allclose(alone[0], both[1], atol=1e-3)
    if name == "faster":
        kinds = [node.op_type for node in onnx.load(path).graph.node]
        kinds += [node.op_type for function in onnx.load(path).functions for node in function.node]
        assert {"RoiAlign", "NonMaxSuppression"} <= set(kinds)
