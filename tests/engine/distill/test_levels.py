"""A real distilled model, shrunk: adapters and losses with parameters learn beside the student and stay behind."""

from __future__ import annotations

import copy

import pytest
import torch

import pkdcli.engine.register  # noqa: F401  (first: it makes mmdet importable)

from mmdet.registry import MODELS  # isort: skip
from mmdet.structures import DetDataSample  # isort: skip
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from pkdcli.config import build
from pkdcli.engine.checkpoint import export_student, load_into
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve

SMALL = ("student.set.bbox_head.stacked_convs=1", "teacher.set.bbox_head.stacked_convs=1")


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmdet")


def recipe(*sets, **options):
    made = resolve(Request(scale="tiny", pretrained=False, sets=(*SMALL, *sets), **options))
    return made.model_copy(update={"data": made.data.model_copy(update={"classes": ["a", "b"]})})


def distilled(*sets, seed=0, **options):
    torch.manual_seed(seed)
    model = MODELS.build(ConfigDict(build.model(recipe(*sets, **options))))
    model.init_weights()
    return model.train()


def batch(size=64):
    generator = torch.Generator().manual_seed(5)
    samples = []
    for _ in range(2):
        shapes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), (size, size))
        sample = DetDataSample(metainfo={**shapes, "scale_factor": (1.0, 1.0)})
        boxes = torch.tensor([[4.0, 4.0, 40.0, 44.0], [20.0, 10.0, 60.0, 58.0]])
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([0, 1]))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, size, size), generator=generator, dtype=torch.uint8) for _ in samples]
    return {"inputs": images, "data_samples": samples}


def train(model, steps=2, measure=()):
    """A few optimizer steps; those listed in `measure` are measured. Returns the measurements by step."""
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))
    torch.manual_seed(7)
    found = {}
    for step in range(steps):
        model.distiller.measuring = step in measure
        model.train_step(batch(), optimizer)
        found[step] = dict(model.distiller.measured)
    return found


def learned(model):
    """Names of the parameters that a few steps change."""
    before = copy.deepcopy(model.state_dict())
    train(model)
    return {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}


NARROW = ("student.set.neck.out_channels=48", "student.set.bbox_head.in_channels=48")


def test_adapters_are_built_trained_recorded_and_dropped(tmp_path):
    model = distilled(*NARROW, levels="0:0,2:1")
    assert model.facts() == {
        "levels_paired": [[0, 0], [2, 1]],
        "adapters": {"0": [48, 64], "2": [48, 64]},
        "loss_parameters": 0,
        "inherited": [],
    }
    changed = learned(model)
    adapters = {f"distiller.connectors.adapter{i}.conv_module.conv.{what}" for i in (0, 2) for what in ("weight",)}
    assert adapters <= changed
    state = set(model.state_dict())
    assert adapters <= state  # so a checkpoint holds them
    export_student(model, tmp_path / "student.pth", {"dataset_meta": {"classes": ["a", "b"]}})
    exported = torch.load(tmp_path / "student.pth", weights_only=True)["state_dict"]
    assert set(exported) == set(model.architecture.state_dict())
    assert not any("adapter" in key or "distill" in key for key in exported)
    fresh = MODELS.build(ConfigDict(build.detector(recipe(*NARROW), recipe(*NARROW).student)))
    report = load_into(fresh, tmp_path / "student.pth", strict="exact", what="the student")
    assert len(report.loaded) == len(exported)


def test_without_adapters_where_channels_agree():
    assert distilled().facts()["adapters"] == {}


@pytest.mark.parametrize("loss", ["mgd"])
def test_a_loss_with_parameters_learns_them_and_leaves_them_behind(tmp_path, loss):
    model = distilled(loss=loss)
    own = {key for key in model.state_dict() if key.startswith("distiller.distill_losses.")}
    assert own
    assert model.facts()["loss_parameters"] == sum(p.numel() for p in model.distiller.distill_losses.parameters()) > 0
    assert {key for key in own if key.endswith("weight")} <= learned(model)
    export_student(model, tmp_path / "student.pth", {"dataset_meta": {"classes": ["a", "b"]}})
    exported = torch.load(tmp_path / "student.pth", weights_only=True)["state_dict"]
    assert set(exported) == set(model.architecture.state_dict())


@pytest.mark.parametrize("options", [{"loss": "pkd"}, {"loss": "mgd"}, {"loss": "mse", "weight": 10.0}])
def test_measuring_changes_no_weight_and_no_random_number(options):
    quiet, measured = distilled(**options), distilled(**options)
    nothing, found = train(quiet, steps=3), train(measured, steps=3, measure=(0, 2))
    after = torch.rand(3)
    assert [sorted(one) for one in nothing.values()] == [[], [], []]
    assert [sorted(one) for one in found.values()] == [[0, 1, 2, 3], [], [0, 1, 2, 3]]
    for (key, one), two in zip(quiet.state_dict().items(), measured.state_dict().values(), strict=True):
        assert torch.equal(one, two), key
    train(quiet, steps=3)
    assert torch.equal(torch.rand(3), after)


def test_every_level_is_connected_at_the_neck_even_behind_an_adapter():
    model = distilled(*NARROW)
    found = train(model, steps=1, measure=(0,))[0]
    assert sorted(found) == [0, 1, 2, 3]
    for one in found.values():
        assert one.connected
        assert one.trainable
        assert float(one.grad_norm) > 0


def test_levels_by_stride_meet_at_equal_sizes():
    model = distilled(levels="stride")
    assert list(model.distiller.level_pairs.values()) == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_the_student_inherits_and_its_facts_say_what():
    model = distilled(pair="gfl101-gfl50")
    facts = model.facts()
    assert facts["inherited"] == ["neck", "bbox_head"]
    assert facts["not_inherited"] == [f"neck.lateral_convs.{i}.conv.weight" for i in range(3)]
    twin = distilled(pair="gfl101-gfl50", init="scratch")
    assert twin.facts()["inherited"] == []
    teacher = model.inheritance.tensors
    assert len(teacher) == facts["inherited_tensors"]
    for key, value in teacher.items():
        assert torch.equal(model.architecture.state_dict()[key], value)
    key = "bbox_head.gfl_cls.weight"
    assert not torch.equal(twin.architecture.state_dict()[key], teacher[key])


def test_a_head_of_another_shape_is_refused_when_the_model_is_built():
    with pytest.raises(PkdError, match=r"bbox_head has another structure than the teacher's: bbox_head\.cls_convs\.1"):
        distilled("student.set.bbox_head.stacked_convs=2", pair="gfl101-gfl50")
