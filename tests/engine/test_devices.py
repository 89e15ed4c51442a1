"""On a GPU (a fake one) nothing mixes devices: training step, losses, evaluation and prediction of every pair."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pkdcli.engine.register  # noqa: F401

# isort: split
from mmdet.registry import MODELS, TASK_UTILS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from pkdcli.config.build import detector, with_adapters
from pkdcli.engine.bench.fake_gpu import fake_gpu
from pkdcli.engine.bench.fake_gpu.phases import distilled_step
from pkdcli.engine.bench.inputs import models
from pkdcli.engine.bench.inputs.pictures import with_pictures
from pkdcli.engine.losses import build_loss
from pkdcli.engine.metrics.coco import PkdCocoMetric
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe

CUDA = torch.device("cuda", 0)
LOSSES = [name for name in library.names("losses") if name != "none"]


@dataclass(frozen=True)
class OnGpu:
    """A pair at scale tiny on a fake GPU, and a batch of two pictures of 64 by 96 pixels."""

    recipe: Recipe
    batch: dict[str, Any]
    algorithm: nn.Module


def recipe_of(pair: str, folder: Path, **changes: Any) -> Recipe:
    recipe = resolve(Request(pair=pair, scale="tiny", workers=0, batch_size=2, pretrained=False, **changes))
    return with_adapters(with_pictures(recipe, folder, 64, 96, 4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module", params=library.names("pairs"))
def pair(request, folder) -> OnGpu:
    init_default_scope("mmdet")
    logging.getLogger("mmengine").setLevel("ERROR")
    recipe = recipe_of(request.param, folder)
    batch = next(models.batches(recipe))
    with fake_gpu():
        algorithm = models.built(models.our_section(recipe), recipe, batch)
    return OnGpu(recipe, batch, algorithm)


def test_a_training_step(pair, gpu):
    optimizer = models.optimizer(pair.recipe, pair.algorithm)
    before = next(one for one in pair.algorithm.parameters() if one.requires_grad).detach().cpu().clone()
    phases = distilled_step(pair.algorithm, optimizer, pair.batch)
    assert all(counts.kernels for counts in phases.values()), phases
    assert phases["teacher"].syncs == 0
    tensors = [*pair.algorithm.parameters(), *pair.algorithm.buffers(), *pair.algorithm.teacher.parameters()]
    assert {one.device for one in tensors} == {CUDA}
    assert {one.grad.device for one in pair.algorithm.parameters() if one.grad is not None} <= {CUDA}
    after = next(one for one in pair.algorithm.parameters() if one.requires_grad).detach().cpu()
    assert not torch.equal(after, before)


def test_every_loss_on_the_features_of_the_pair(pair, gpu):
    algorithm, distiller = pair.algorithm, pair.algorithm.distiller
    data = algorithm.data_preprocessor(pair.batch, True)
    taught = algorithm.forward_teacher(data["teacher_inputs"])
    with distiller.student_recorders:
        levels = algorithm.student.extract_feat(data["inputs"])
    (record,) = distiller.student_recorders.recorders["fpn"].data_buffer
    for name in LOSSES:
        for key, buffer in taught.items():  # a loss leaves the recorders empty
            distiller.teacher_recorders.recorders[key]._data_buffer = list(buffer)
        constants = [level.detach().requires_grad_() for level in levels]
        distiller.student_recorders.recorders["fpn"]._data_buffer = [type(record)(constants)]
        for key, module in distiller.distill_losses.items():
            # What an adapter makes of the student's level is as wide as the teacher's.
            wide = distiller.adapters().get("0", [0, levels[0].shape[1]])[1]
            channels = {"channels": wide} if name == "mgd" else {}
            distiller.distill_losses[key] = build_loss(name, weight=1.0, stat_chunk=2, **channels).to("cuda")
            kept = module
        distiller.measuring = name == "pkd"
        losses = distiller.compute_distill_losses()
        sum(losses.values()).backward()
        used = [constants[level] for level, _ in distiller.level_pairs.values()]
        assert {(one.grad.device, bool(one.grad.isfinite().all())) for one in used} == {(CUDA, True)}, name
        assert len(distiller.measured) == (len(losses) if name == "pkd" else 0)
        for key in distiller.distill_losses:
            distiller.distill_losses[key] = kept


def test_evaluation_and_prediction(pair, gpu, folder):
    algorithm = pair.algorithm.eval()
    metric = PkdCocoMetric(str(folder / "annotations.json"))
    metric.dataset_meta = {"classes": tuple(pair.recipe.data.classes)}
    with torch.no_grad():
        found = algorithm.val_step(pair.batch)
        metric.process(pair.batch, [sample.to_dict() for sample in found])
    algorithm.train()
    assert [sample.pred_instances.bboxes.device for sample in found] == [CUDA] * 2
    assert len(metric._found.images) == 2


@pytest.mark.parametrize("name", ["gfl101-fcos50", "maskswin-faster50"])
def test_the_teachers_own_training(gpu, folder, name):
    init_default_scope("mmdet")
    recipe = recipe_of(name, folder)
    recipe = recipe.model_copy(update={"role": "teacher", "student": recipe.teacher})
    batch = next(models.batches(recipe))
    teacher = MODELS.build(ConfigDict(detector(recipe, recipe.student)))
    teacher.init_weights()
    teacher = teacher.to("cuda").train()
    log = teacher.train_step(batch, models.optimizer(recipe, teacher))
    assert all(value.device == CUDA for value in log.values())
    assert log["loss"].isfinite()


def test_a_step_in_mixed_precision(gpu, folder):
    init_default_scope("mmdet")
    recipe = recipe_of("gfl101-fcos50", folder, amp=True)
    batch = next(models.batches(recipe))
    algorithm = models.built(models.our_section(recipe), recipe, batch)
    optimizer = models.optimizer(recipe, algorithm)
    assert type(optimizer).__name__ == "PkdAmpOptimWrapper"
    for _ in range(2):
        log = algorithm.train_step(batch, optimizer)
    assert log["loss"].isfinite()
    assert {value.device for value in log.values()} == {CUDA}
    # The scale of the losses, which steps have changed, is in a training state: that is the wrapper's.
    state = optimizer.state_dict()
    assert state["loss_scaler"]["scale"] > 0
    state["loss_scaler"]["scale"] = 128.0
    resumed = models.optimizer(recipe, algorithm)
    resumed.load_state_dict(state)
    assert resumed.loss_scaler.get_scale() == 128.0


@pytest.mark.parametrize(("precision", "casts"), [("float32", 0), ("bfloat16", 1), ("float16", 1)])
def test_in_mixed_precision_the_teacher_has_its_own_and_its_weights_are_cast_once(gpu, folder, precision, casts):
    init_default_scope("mmdet")
    recipe = recipe_of("gfl101-fcos50", folder, amp=True, sets=(f"teacher_speed.precision={precision}",))
    algorithm = models.built(models.our_section(recipe), recipe, batch := next(models.batches(recipe)))
    with models.optimizer(recipe, algorithm).optim_context(algorithm):
        data = algorithm.data_preprocessor(batch, True)
        with gpu.count() as counts:
            algorithm.record_teacher(data["teacher_inputs"])
        with gpu.count() as student:
            algorithm.student.extract_feat(data["inputs"])
    (levels,) = algorithm.distiller.teacher_recorders.recorders["fpn"].data_buffer
    assert {level.dtype for level in levels} == {getattr(torch, precision)}
    assert {one.dtype for one in algorithm.teacher.parameters()} == {getattr(torch, precision)}
    assert counts.operations["_to_copy"] == casts  # the images, where they have to be
    assert student.operations["_to_copy"] > 10  # autocast casts a student's weights, which change in every step


def test_points_are_assigned_on_their_device(gpu):
    init_default_scope("mmdet")
    points = torch.tensor([[4.0, 4.0, 8.0], [12.0, 4.0, 8.0], [4.0, 12.0, 8.0], [8.0, 8.0, 16.0]])
    truth = InstanceData(bboxes=torch.tensor([[0.0, 0.0, 24.0, 26.0]]), labels=torch.tensor([2]))
    assigner = TASK_UTILS.build({"type": "PointAssigner", "scale": 4, "pos_num": 1})
    here = assigner.assign(InstanceData(priors=points), truth)
    there = assigner.assign(InstanceData(priors=points.to("cuda")), truth.to("cuda"))
    assert there.gt_inds.device == CUDA
    assert here.gt_inds.tolist() == there.gt_inds.tolist()
    assert sum(here.gt_inds.tolist()) == 1
