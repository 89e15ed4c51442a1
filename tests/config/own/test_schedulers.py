"""A config's course of the learning rate at any length: each part at its share of the run, counted in steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkdcli.config import schedule
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector, Recipe

IMAGES = 800

CONFIG = """
model = dict(type="GFL", backbone=dict(type="ResNet"))
train_cfg = dict(CFG)
param_scheduler = SCHEDULERS
train_dataloader = dict(batch_size=2, dataset=dict(type="CocoDataset", pipeline=[]))
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9))
auto_scale_lr = dict(base_batch_size=16)
"""


def own(config: str, epochs: int, batch: int = 8, rate: float = 0.01, **scale) -> Recipe:
    """A baseline of a config that is trained by it, on 800 images."""
    recipe = resolve(Request(scale="tiny", loss="none"))
    student = Detector(name="one", title="One", kind="one-stage", config=config, lr=rate)
    return recipe.model_copy(
        update={
            "student": student,
            "training": "own",
            "batch": batch,
            "schedule": recipe.schedule.model_copy(update={"name": "own", "epochs": epochs, "milestones": []}),
            "data": recipe.data.model_copy(update={"train_images": IMAGES, "classes": ["a"]}),
            "scale": recipe.scale.model_copy(update={"lr_factor": 1.0, "warmup_share": 0.1, **scale}),
        }
    )


@pytest.fixture
def of(tmp_path: Path):
    """`of(schedulers)`: the schedulers of a run of 10 epochs of 100 steps, by a config of 100 epochs."""

    def made(schedulers: str, cfg: str = "max_epochs=100", **more) -> list[dict]:
        path = tmp_path / "own.py"
        path.write_text(CONFIG.replace("SCHEDULERS", schedulers).replace("CFG", cfg))
        return schedule.param_scheduler(own(str(path), 10, **more))

    return made


def test_rtmdet():
    """Its 1,000 steps of 256 images are 32,000 of 8: a tenth of the run is what the scale lets it have."""
    recipe = own("rtmdet/rtmdet_tiny_8xb32-300e_coco.py", epochs=30, rate=0.00025)
    warmup, cosine = schedule.param_scheduler(recipe)
    assert warmup == {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 300, "start_factor": 1e-5}
    rate = schedule.learning_rate(recipe)
    assert rate == pytest.approx(0.000125)
    assert cosine.pop("eta_min") == pytest.approx(rate * 0.05)
    assert cosine == {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 1500, "end": 3000, "T_max": 1500}


def test_yolox():
    recipe = own("yolox/yolox_s_8xb8-300e_coco.py", epochs=60, rate=0.0025)
    warmup, cosine, last = schedule.param_scheduler(recipe)
    assert warmup == {"type": "mmdet.QuadraticWarmupLR", "by_epoch": False, "begin": 0, "end": 100}
    assert cosine.pop("eta_min") == pytest.approx(schedule.learning_rate(recipe) * 0.05)
    assert cosine == {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 100, "end": 5700, "T_max": 5700}
    assert last == {"type": "ConstantLR", "by_epoch": False, "begin": 5700, "end": 6000, "factor": 1}


def test_steps_of_a_config_that_counts_steps():
    """BoxInst's 90,000 steps, milestones at 60,000 and 80,000."""
    warmup, steps = schedule.param_scheduler(own("boxinst/boxinst_r50_fpn_ms-90k_coco.py", epochs=9))
    assert (warmup["type"], warmup["end"]) == ("LinearLR", 90)
    assert (steps["by_epoch"], steps["end"], steps["milestones"], steps["gamma"]) == (False, 900, [600, 800], 0.1)


@pytest.mark.parametrize(("batch", "end"), [(16, 500), (32, 250), (8, 1000), (64, 125)])
def test_a_warm_up_by_steps_takes_as_many_images(of, batch, end):
    (found,) = of('[dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500)]', batch=batch,
                  warmup_share=1.0)  # fmt: skip
    assert found["end"] == min(end, 10 * -(-IMAGES // batch))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('[dict(type="MultiStepLR", milestones=[80, 95], end=100)]',
         {"type": "MultiStepLR", "begin": 0, "end": 1000, "milestones": [800, 950]}),
        ('dict(type="MultiStepLR", milestones=[80])',  # one alone, without an end
         {"type": "MultiStepLR", "begin": 0, "end": 1000, "milestones": [800]}),
        ('[dict(type="MultiStepLR", milestones=[99.96, 99.97], gamma=0.5)]',  # both at one step: both are taken
         {"type": "MultiStepLR", "begin": 0, "end": 1000, "milestones": [1000, 1000], "gamma": 0.5}),
        ('[dict(type="StepLR", step_size=30, gamma=0.5)]',
         {"type": "StepLR", "begin": 0, "end": 1000, "step_size": 300, "gamma": 0.5}),
        ('[dict(type="ExponentialLR", gamma=0.5)]',
         {"type": "ExponentialLR", "begin": 0, "end": 1000, "gamma": 0.5 ** 0.1}),
        ('[dict(type="CosineAnnealingLR", T_max=40, eta_min=0.001, begin=50, end=90)]',
         {"type": "CosineAnnealingLR", "begin": 500, "end": 900, "T_max": 400, "eta_min": 0.0005}),
        ('[dict(type="CosineAnnealingLR", eta_min_ratio=0.05)]',
         {"type": "CosineAnnealingLR", "begin": 0, "end": 1000, "T_max": 1000, "eta_min_ratio": 0.05}),
        ('[dict(type="PolyLR", power=0.9, eta_min=0.0001, end=100)]',
         {"type": "PolyLR", "begin": 0, "end": 1000, "power": 0.9, "eta_min": 0.00005}),
        ('[dict(type="OneCycleLR", eta_max=0.1, total_steps=100, pct_start=0.2, convert_to_iter_based=True)]',
         {"type": "OneCycleLR", "begin": 0, "end": 1000, "eta_max": 0.05, "total_steps": 1000, "pct_start": 0.2}),
        ('[dict(type="ConstantLR", factor=0.1, begin=0, end=50)]',  # no longer than a warm-up may be
         {"type": "ConstantLR", "begin": 0, "end": 100, "factor": 0.1}),
        ('[dict(type="LinearLR", start_factor=1.0, end_factor=0.1, begin=20, end=70)]',  # no warm-up
         {"type": "LinearLR", "begin": 200, "end": 700, "start_factor": 1.0, "end_factor": 0.1}),
    ],
)  # fmt: skip
def test_each_stands_at_its_share_of_the_run(of, given, expected):
    (found,) = of(given)
    assert found.pop("by_epoch") is False
    assert found == {key: pytest.approx(value) if isinstance(value, float) else value
                     for key, value in expected.items()}  # fmt: skip


def test_steps_beside_epochs_are_those_of_coco(of):
    """An epoch of 16 images a step has 7,329 on COCO: half of them is half an epoch of a hundred."""
    (found,) = of('[dict(type="PolyLR", by_epoch=False, begin=366_456, end=732_912)]')
    assert (found["begin"], found["end"]) == (500, 1000)


def test_a_warm_up_for_which_there_is_no_room_is_left_out(of):
    warmup = 'dict(type="LinearLR", start_factor=0.001, by_epoch=False, end=500)'
    steps = 'dict(type="MultiStepLR", milestones=[80])'
    assert [one["type"] for one in of(f"[{warmup}, {steps}]", warmup_share=0.001)] == ["MultiStepLR"]


@pytest.mark.parametrize("kind", ["ReduceOnPlateauLR", "CosineRestartLR", "CosineAnnealingMomentum", "mine.MyLR"])
def test_others_are_refused_by_name(of, kind):
    with pytest.raises(PkdError) as caught:
        of(f'[dict(type="ConstantLR", factor=1), dict(type="{kind}")]')
    name = kind.rpartition(".")[2]
    assert caught.value.message == f"detector one: param_scheduler.1: {name} can't be scaled to another length."
    assert caught.value.hint == (
        "--training own knows ConstantLR, CosineAnnealingLR, ExponentialLR, LinearLR, MultiStepLR, OneCycleLR, PolyLR, "
        "QuadraticWarmupLR, StepLR. Give --training paper to train it as appendix A.2 does, or the schedulers by steps "
        "with --set 'config.param_scheduler=[...]'."
    )
