"""Images on their way to a GPU: the batch that mmdet makes, to the last bit, in few launches and without waiting."""

from __future__ import annotations

import copy

import pytest
import torch

import pkdcli.engine.register  # noqa: F401

# isort: split
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn

from pkdcli.engine.bench.fake_gpu import fake_gpu
from pkdcli.engine.distill.preprocessor import PkdPreprocessor
from pkdcli.engine.speedups.upload import QuickPreprocessor, quicken_upload

CAFFE = {"type": "DetDataPreprocessor", "mean": [103.53, 116.28, 123.675], "std": [1.0, 1.0, 1.0], "bgr_to_rgb": False,
         "pad_size_divisor": 32}  # fmt: skip
RGB = {**CAFFE, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "bgr_to_rgb": True}


def batch(sizes=((96, 128), (80, 90))):
    generator = torch.Generator().manual_seed(1)
    samples = []
    for size in sizes:
        sample = DetDataSample(metainfo={"img_shape": size})
        boxes = HorizontalBoxes(torch.tensor([[8.0, 8.0, 60.0, 70.0]]))
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([1]))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes]
    return {"inputs": images, "data_samples": samples}


def on_device(module):
    """As mmengine's models tell their preprocessors."""
    module = module.to("cuda")
    for one in module.modules():
        one._device = torch.device("cuda", 0)
    return module


@pytest.mark.parametrize("options", [CAFFE, RGB, {**RGB, "pad_value": 7}])
@pytest.mark.parametrize("sizes", [((96, 128), (80, 90)), ((64, 64), (64, 64)), ((33, 70),)])
def test_the_batch_is_mmdets(options, sizes):
    options = {key: value for key, value in options.items() if key != "type"}
    expected = DetDataPreprocessor(**options)(batch(sizes), True)
    with fake_gpu() as gpu:
        quick = DetDataPreprocessor(**options)
        quicken_upload(quick)
        assert type(quick) is QuickPreprocessor
        quick = on_device(quick)
        with gpu.count() as counts:
            found = quick(gpu.pin(batch(sizes)), True)
        assert found["inputs"].device.type == "cuda"
        assert counts.syncs == 0
        assert counts.kernels <= 2 + 3 * len(sizes)
        assert torch.equal(found["inputs"].cpu(), expected["inputs"])
        for ours, theirs in zip(found["data_samples"], expected["data_samples"], strict=True):
            assert ours.metainfo == theirs.metainfo
            assert torch.equal(ours.gt_instances.bboxes.cpu(), theirs.gt_instances.bboxes)
            assert torch.equal(ours.gt_instances.labels.cpu(), theirs.gt_instances.labels)


def test_both_views_of_a_batch_share_one_upload():
    init_default_scope("mmdet")
    expected = PkdPreprocessor(CAFFE, RGB)(batch(), True)
    with fake_gpu() as gpu:
        both = on_device(PkdPreprocessor(CAFFE, RGB))
        with gpu.count() as counts:
            found = both(gpu.pin(batch()), True)
        assert torch.equal(found["inputs"].cpu(), expected["inputs"])
        assert torch.equal(found["teacher_inputs"].cpu(), expected["teacher_inputs"])
    assert counts.uploaded == sum(image.numel() for image in batch()["inputs"]) + 2 * (4 * 4 + 8)
    assert (counts.kernels, counts.syncs) == (9, 0)


def test_other_preprocessors_and_other_pictures_stay_as_they_are():
    class Own(DetDataPreprocessor):
        pass

    model = nn.ModuleList([Own(), DetDataPreprocessor()])
    quicken_upload(model)
    assert [type(one) for one in model] == [Own, QuickPreprocessor]
    floats = batch()
    floats["inputs"] = [image.float() for image in floats["inputs"]]
    options = {key: value for key, value in RGB.items() if key != "type"}
    expected = DetDataPreprocessor(**options)(copy.deepcopy(floats), True)["inputs"]
    with fake_gpu():
        quick = DetDataPreprocessor(**options)
        quicken_upload(quick)
        assert torch.equal(on_device(quick)(floats, True)["inputs"].cpu(), expected)
