"""What becomes of a config's hooks: scaled to the run, done by pkd itself, left out with a word, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkdcli.config.build import build_config, hooks
from pkdcli.config.build import notes as notes_of
from pkdcli.config.own import own_hooks, own_notes, own_summary
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector, Recipe

IMAGES = 117_266  # COCO's
OURS = [{"type": "PkdProgressHook"}, {"type": "PkdUpdatesHook"}]
"""What every training is followed by, whatever its config's hooks."""


def own(config: str, epochs: int, batch: int, images: int = IMAGES, **changes) -> Recipe:
    recipe = resolve(Request(scale="tiny", loss="none"))
    student = Detector(name="one", title="One", kind="one-stage", config=config, lr=0.01)
    return recipe.model_copy(
        update={
            "student": student,
            "training": "own",
            "batch": batch,
            "schedule": recipe.schedule.model_copy(update={"name": "own", "epochs": epochs, "milestones": []}),
            "data": recipe.data.model_copy(update={"train_images": images, "classes": ["a"]}),
            **changes,
        }
    )


RTMDET, YOLOX = "rtmdet/rtmdet_tiny_8xb32-300e_coco.py", "yolox/yolox_tiny_8xb8-300e_coco.py"


def test_on_coco_at_its_own_length_and_batch_they_are_the_configs():
    assert own_hooks(own(RTMDET, 300, 256)) == (
        [{"type": "PkdEMAHook", "ema_type": "ExpMomentumEMA", "momentum": pytest.approx(0.0002, rel=1e-2),
          "update_buffers": True, "priority": 49, "gamma": pytest.approx(2000, rel=1e-2)}],
        [],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("epochs", "batch", "images", "momentum", "gamma"),
    [
        (300, 16, IMAGES, 0.0002 / 16, 32000),  # sixteen times as many steps
        (30, 256, IMAGES, 0.002, 200),
        (8, 8, 800, 0.0343559, 12),  # 800 steps for 137,421
        (1, 8, 16, 0.5, 1),
    ],
)
def test_averages_look_back_over_the_same_share_of_the_run(epochs, batch, images, momentum, gamma):
    (found,) = own_hooks(own(RTMDET, epochs, batch, images)).sections
    assert (found["momentum"], found["gamma"]) == (pytest.approx(momentum, rel=1e-2), pytest.approx(gamma, rel=1e-2))


@pytest.mark.parametrize(("epochs", "switch"), [(300, 284), (60, 56), (8, 6), (2, 1), (1, None)])
def test_yolox_switches_at_the_same_share_of_the_run(epochs, switch):
    switches, sync, averages = own_hooks(own(YOLOX, epochs, 64)).sections
    assert switches == {"type": "PkdModeSwitchHook", "epoch": switch, "priority": 48}
    assert sync == {"type": "PkdSyncNormHook"}
    assert averages["type"] == "PkdEMAHook"


CONFIG = """
model = dict(type="GFL", backbone=dict(type="ResNet"))
train_cfg = dict(max_epochs=100)
param_scheduler = []
train_dataloader = dict(batch_size=2, dataset=dict(type="CocoDataset", pipeline=[]))
optim_wrapper = dict(WRAPPER)
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(logger=dict(type="LoggerHook"), checkpoint=dict(type="CheckpointHook"), DEFAULT)
custom_hooks = [CUSTOM]
"""


@pytest.fixture
def of(tmp_path: Path):
    """`of(custom)`: a run of 10 epochs of 100 steps by a config of 100 epochs with these hooks."""

    def made(custom: str, default: str = "", wrapper: str = "", scheduler: str = "", **changes) -> Recipe:
        path = tmp_path / "own.py"
        wrapper = wrapper or "optimizer=dict(type='SGD', lr=0.01)"
        text = CONFIG.replace("CUSTOM", custom).replace("DEFAULT", default).replace("WRAPPER", wrapper)
        text = text.replace("param_scheduler = []", f"param_scheduler = [{scheduler}]")
        path.write_text(text)
        return own(str(path), 10, 8, 800, **changes)

    return made


def test_a_hook_of_the_users_stays_as_it_is(of):
    recipe = of("dict(type='MyHook', epoch=3)", default="mine=dict(type='Other'), none=None")
    assert own_hooks(recipe).sections == [{"type": "Other"}, {"type": "MyHook", "epoch": 3}]
    assert hooks(recipe) == [*OURS, {"type": "Other"}, {"type": "MyHook", "epoch": 3}]


def test_averages_that_begin_late_begin_at_their_share(of):
    (found,) = own_hooks(of("dict(type='EMAHook', momentum=0.01, begin_epoch=30)")).sections
    assert (found["begin_iter"], "begin_epoch" in found, "gamma" in found) == (300, False, False)
    (found,) = own_hooks(of("dict(type='EMAHook', ema_type='StochasticWeightAverage', begin_epoch=80)")).sections
    assert found == {"type": "PkdEMAHook", "ema_type": "StochasticWeightAverage", "begin_iter": 800}


def test_what_pkd_does_itself_and_what_does_nothing_here(of):
    done = ("SetEpochInfoHook", "PipelineSwitchHook", "CheckInvalidLossHook", "mmdet.NumClassCheckHook", "LoggerHook")
    dropped = ("DetVisualizationHook", "EarlyStoppingHook", "MemoryProfilerHook")
    recipe = of(", ".join(f"dict(type='{name}')" for name in (*done, *dropped)))
    assert own_hooks(recipe) == (
        [],
        ["DetVisualizationHook (`pkd visualize` draws)",
         "EarlyStoppingHook (a run has the length that its recipe says)",
         "MemoryProfilerHook (`pkd bench` measures)"],
    )  # fmt: skip


def test_statistics_are_averaged_once_whatever_asks_for_it(of):
    assert own_hooks(of("dict(type='SyncNormHook'), dict(type='SyncBuffersHook')")).sections == [
        {"type": "PkdSyncNormHook"}
    ]


def test_a_hook_that_trains_from_other_data_is_refused(of):
    with pytest.raises(PkdError) as caught:
        own_hooks(of("dict(type='MyHook'), dict(type='MeanTeacherHook')"))
    assert caught.value.message == (
        "detector one: custom_hooks.1: MeanTeacherHook: it trains from images without annotations, which data sets "
        "here do not have."
    )
    assert caught.value.hint == "Give --training paper to train it as appendix A.2 does."


def test_a_run_by_the_papers_settings_has_none(of):
    recipe = of("dict(type='MyHook')").model_copy(update={"training": "paper"})
    assert hooks(recipe) == OURS
    assert own_summary(recipe) is None
    assert own_notes(recipe) == []


def test_a_given_teacher_is_only_evaluated(of):
    recipe = of("dict(type='EMAHook')", role="teacher", weights="a.pth")
    assert hooks(recipe) == [{"type": "PkdProgressHook"}]
    assert own_summary(recipe) is None


def test_what_is_said():
    assert own_summary(own(RTMDET, 8, 8, 800)) == (
        "one is trained by its own config: AdamW with LinearLR and CosineAnnealingLR; averaged weights (EMA); "
        "CachedMosaic, YOLOXHSVRandomAug, CachedMixUp; PipelineSwitchHook; 8 epochs for its 300."
    )
    assert own_summary(own("gfl/gfl_r50_fpn_1x_coco.py", 12, 16)) == (
        "one is trained by its own config: SGD with LinearLR and MultiStepLR; 12 epochs."
    )


def test_what_can_not_be_carried_out_is_refused_where_it_would_be_said(of):
    with pytest.raises(PkdError, match="MeanTeacherHook"):
        own_summary(of("dict(type='MeanTeacherHook')"))
    with pytest.raises(PkdError, match="ReduceOnPlateauLR can't be scaled to another length"):
        own_summary(of("", scheduler="dict(type='ReduceOnPlateauLR')"))


def test_hooks_that_are_set_take_the_place_of_the_configs_averages():
    recipe = own(RTMDET, 8, 8, 800)
    recipe = recipe.model_copy(update={"config": {"custom_hooks": [{"type": "EMAHook", "momentum": 0.1}]}})
    found = build_config(recipe, "/w")["custom_hooks"]
    assert found == [*OURS, {"type": "EMAHook", "momentum": 0.1}]


def test_what_is_not_done_is_a_note(of):
    wrapper = "type='AmpOptimWrapper', accumulative_counts=4, optimizer=dict(type='SGD', lr=0.01)"
    recipe = of("dict(type='ProfilerHook')", wrapper=wrapper)
    said = [
        "the config of one asks for mixed precision: it is trained in float32 unless --amp is given.",
        "the config of one adds up the gradients of 4 steps: every step moves the weights unless --accumulate 4 is "
        "given.",
        "the config of one has hooks that do nothing here: ProfilerHook (`pkd bench` measures).",
    ]
    assert own_notes(recipe) == said
    assert notes_of(recipe) == said
    assert own_notes(recipe.model_copy(update={"amp": True, "accumulate": 4})) == said[2:]
