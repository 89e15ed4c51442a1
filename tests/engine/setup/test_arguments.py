"""A section whose type was set keeps the arguments that its new type takes, and no others."""

from __future__ import annotations

import pytest
import torch

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.engine.setup.arguments import arguments
from pkdcli.engine.setup.config import run_config
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve


def config_with(*sets: str, pair: str = "gfl101-fcos50", loss: str = "none"):
    recipe = resolve(Request(pair=pair, scale="tiny", loss=loss, schedule="1x", sets=sets))
    data = recipe.data.model_copy(update={"classes": ["a", "b", "c"], "masks": False, "train_images": 800})
    return run_config(recipe.model_copy(update={"data": data}), "/x", "/t.pth")


def test_nothing_is_left_out_where_no_type_was_set():
    config, said = config_with("config.optim_wrapper.optimizer.lr=0.5")
    assert (config["optim_wrapper"]["optimizer"]["momentum"], said) == (0.9, [])


def test_another_optimizer():
    config, said = config_with("config.optim_wrapper.optimizer.type=AdamW")
    assert config["optim_wrapper"]["optimizer"] == {"type": "AdamW", "lr": 0.02, "weight_decay": 1e-4}
    assert config["optim_wrapper"]["clip_grad"] == {"max_norm": 35.0, "norm_type": 2}
    assert said == ["config.optim_wrapper.optimizer.type=AdamW: AdamW takes no momentum: left out."]


def test_what_was_set_too_stays_even_where_it_is_wrong():
    config, said = config_with(
        "config.optim_wrapper.optimizer.type=AdamW",
        "config.optim_wrapper.optimizer.momentum=0.5",
        "config.optim_wrapper.optimizer.betas=[0.8, 0.99]",
    )
    assert config["optim_wrapper"]["optimizer"]["momentum"] == 0.5
    assert config["optim_wrapper"]["optimizer"]["betas"] == [0.8, 0.99]
    assert said == []


def test_a_whole_section_is_taken_as_it_is():
    config, said = config_with("config.optim_wrapper.optimizer={type: Adam, lr: 0.001}")
    assert (config["optim_wrapper"]["optimizer"], said) == ({"type": "Adam", "lr": 0.001}, [])


def test_another_schedule_of_the_rate():
    config, said = config_with("config.param_scheduler.1.type=CosineAnnealingLR", "config.param_scheduler.1.T_max=300")
    assert config["param_scheduler"][1] == {
        "type": "CosineAnnealingLR", "by_epoch": False, "begin": 0, "end": 300, "T_max": 300
    }  # fmt: skip
    assert said == ["config.param_scheduler.1.type=CosineAnnealingLR: CosineAnnealingLR takes no milestones, gamma: "
                    "left out."]  # fmt: skip


@pytest.mark.parametrize(("loss", "where"), [("none", ()), ("pkd", ("architecture",))])
def test_another_loss_of_a_head(loss, where):
    config, said = config_with("student.set.bbox_head.loss_cls.type=QualityFocalLoss", loss=loss)
    section = config["model"]
    for key in where:
        section = section[key]
    kept = {"type": "QualityFocalLoss", "use_sigmoid": True, "loss_weight": 1.0}
    assert section["bbox_head"]["loss_cls"] == kept
    assert said == ["student.set.bbox_head.loss_cls.type=QualityFocalLoss: QualityFocalLoss takes no gamma, alpha: "
                    "left out."]  # fmt: skip


def test_another_hook_and_another_transform():
    config, said = config_with(
        "config.default_hooks.timer.type=EMAHook",
        "config.train_dataloader.dataset.pipeline.2.type=RandomFlip",
        "config.train_dataloader.dataset.pipeline.2.prob=0.5",
    )
    assert config["default_hooks"]["timer"] == {"type": "EMAHook"}
    assert config["train_dataloader"]["dataset"]["pipeline"][2] == {"type": "RandomFlip", "prob": 0.5}
    assert said == [
        "config.train_dataloader.dataset.pipeline.2.type=RandomFlip: RandomFlip takes no scale, keep_ratio: left out."
    ]


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("config.optim_wrapper.optimizer.type=AdemW", "Did you mean 'AdamW'?"),
        ("student.set.bbox_head.loss_cls.type=FocalLost", "Did you mean 'FocalLoss'?"),
        ("config.default_hooks.timer.type=qqq", "Name the module that registers it in `imports`."),
    ],
)
def test_a_type_that_nobody_knows(setting, hint):
    with pytest.raises(PkdError) as caught:
        config_with(setting)
    path, _, name = setting.partition("=")
    assert caught.value.message == f"{path}: no registry of mmdet's knows the type '{name}'."
    assert caught.value.hint == hint


def test_the_arguments_of_a_class():
    class Above:
        def __init__(self, a, b=1):
            pass

    class Below(Above):
        def __init__(self, *args, c=2, **kwargs):
            pass

    class Anything:
        def __init__(self, **kwargs):
            pass

    assert arguments(Below) == {"a", "b", "c"}
    assert arguments(Anything) is None
    assert "momentum" in arguments(torch.optim.SGD)
    assert "momentum" not in arguments(torch.optim.AdamW)
