"""Timing: the device is waited for, detectors take turns, and what can't be timed is said."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from pkdcli.engine.bench.fake_gpu import fake_gpu
from pkdcli.engine.profile import inputs, onnx, profile
from pkdcli.errors import PkdError
from pkdcli.recipe.schema.kinds import Split

REQUEST = {"batch": 2, "repeat": 3}
GPU = "cuda:0"


class Subject(SimpleNamespace):
    """A detector of one layer on a batch of ones, which notes when its turn is."""

    def detect(self, model):
        self.turns.append(self.name)
        return model(torch.ones(2, 4).to(next(model.parameters()).device))


def subjects(turns):
    return [Subject(name=name, turns=turns, model=nn.Linear(4, 5), images=[]) for name in ("a", "b")]


def test_on_a_gpu_it_is_waited_for_before_and_after_each_piece(monkeypatch):
    turns, said = [], []
    with fake_gpu() as gpu:
        found = subjects(turns)
        with gpu.count() as counts:
            profile._on_device(GPU, found, {}, REQUEST, lambda **what: said.append(what))
    rows = [line["row"] for line in said if "row" in line]
    assert turns[:10] == ["a", "b"] * 5  # two rounds to warm up, three that count
    timed = sum(n for (reason, _), n in counts.waits.items() if reason == "synchronize")
    assert timed == 2 * 10 + 2 * 2  # each piece, and twice for the memory of each
    assert [(row["device"], row["device_name"], row["batch"], row["rounds"]) for row in rows] == [
        (GPU, "a fake GPU", 2, 3)
    ] * 2
    assert all(row["images_per_second"] == pytest.approx(2e3 / row["latency_ms"], rel=0.01) for row in rows)
    assert all(next(one.model.parameters()).device.type == "cpu" for one in found)


def test_on_the_processor_memory_is_that_of_weights_and_of_a_batch():
    said = []
    profile._on_device("cpu", subjects([]), {}, REQUEST, lambda **what: said.append(what))
    rows = [line["row"] for line in said if "row" in line]
    assert [row["peak_memory_mb"] for row in rows] == [0.0, 0.0]
    assert profile._weights(nn.Linear(1024, 1023)) == 1023 * 1025 * 4 / 2**20


def test_a_batch_without_room_is_told_with_a_remedy():
    one = Subject(model=nn.Linear(1, 1), images=[], turns=[])
    one.detect = lambda model: (_ for _ in ()).throw(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    with pytest.raises(PkdError) as caught:
        profile._on_device("cpu", [one], {}, REQUEST, lambda **_: None)
    assert caught.value.message == "no memory left on cpu: CUDA out of memory. Tried to allocate 2 GiB"
    assert caught.value.hint == "Give a smaller --batch or --size."


def test_the_row_of_some_samples():
    found = profile._row([0.4, 0.1, 0.2, 0.3], 8)
    assert (found["latency_ms"], found["low_ms"], found["high_ms"]) == (250.0, 175.0, 325.0)
    assert (found["images_per_second"], found["rounds"]) == (32.0, 4)


def test_images_of_the_data_set_are_stretched_and_noise_stands_in(micro):
    root = micro.parent
    split = Split(images=str(root / "images" / "val"), annotations=str(root / "annotations" / "val.json"))
    data = SimpleNamespace(val=split, name="micro", exif=None, pixel_range=None)
    images, shown = inputs.pictures(SimpleNamespace(data=data), 10, (40, 60))
    assert ([one.shape for one in images], shown) == ([(40, 60, 3)] * 10, "micro val")
    assert np.array_equal(images[0], images[8])  # there are eight
    assert not np.array_equal(images[0], images[1])
    gone = SimpleNamespace(data=SimpleNamespace(val=split.model_copy(update={"annotations": "gone.json"})))
    images, shown = inputs.pictures(gone, 2, (8, 16))
    assert ([one.shape for one in images], shown) == ([(8, 16, 3)] * 2, "noise")
    batch = inputs.batch_of(images)
    assert [tuple(one.shape) for one in batch["inputs"]] == [(3, 8, 16)] * 2
    assert batch["data_samples"][1].metainfo["ori_shape"] == (8, 16)


def test_the_graph_is_given_rgb_padded_to_its_divisor():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    arrays, sizes = onnx.arrays_of([image], 4)
    assert arrays.shape == (1, 3, 4, 4)
    assert arrays[0, :, 1, 2].tolist() == image[1, 2, ::-1].tolist()
    assert arrays[0, :, 2:].sum() == arrays[0, :, :, 3].sum() == 0
    assert sizes.tolist() == [[2, 3]]


def test_a_head_that_is_not_covered_is_not_exported(tmp_path):
    class RoIs(nn.Module):
        predict = None

    assert onnx.write(RoIs(), tmp_path / "x.onnx") == "RoIs is not covered"
    assert not (tmp_path / "x.onnx").exists()


def test_what_this_onnxruntime_has_for_a_device(monkeypatch):
    import onnxruntime

    assert onnx.provider("cpu") == "CPUExecutionProvider"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert onnx.provider(GPU) is None
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert onnx.provider(GPU) == "CUDAExecutionProvider"
