"""The models of a bench: ours and mmrazor's around the same student and teacher, with random weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pkdcli.config import data, schedule
from pkdcli.config.build import model
from pkdcli.engine.speedups.frozen_norms import apply_speedups
from pkdcli.recipe.detectors.read import modules
from pkdcli.recipe.schema import Recipe

LR = 1e-9  # so that no step of a bench leads random weights to where a loss is infinite


def our_section(recipe: Recipe, teacher_weights: Path | None = None) -> ConfigDict:
    """The model section of a distilled run, with no pretrained weights to fetch.

    Args:
        recipe: Of a distilled run.
        teacher_weights: The teacher's file of weights; None for random ones.
    """
    section = ConfigDict(model(recipe, teacher_weights))
    for module in modules(section["architecture"]):
        if isinstance(module.get("init_cfg"), dict) and module["init_cfg"].get("type") == "Pretrained":
            module["init_cfg"] = None
    return section


def razor_section(recipe: Recipe) -> ConfigDict:
    """The same pair as mmrazor's own configs have it: FpnTeacherDistill, ConfigurableDistiller, PKDLoss a level.

    Source: mmrazor/configs/distill/mmdet/pkd/pkd_fpn_fcos_x101_retina_r50_1x_coco.py.
    """
    ours = our_section(recipe)
    distiller = ours["distiller"]
    losses = {name: {"type": "mmrazor.PKDLoss", "loss_weight": recipe.loss.weight} for name in distiller.distill_losses}
    return ConfigDict(
        type="mmrazor.FpnTeacherDistill",
        architecture=copy.deepcopy(ours["architecture"]),
        teacher=copy.deepcopy(ours["teacher"]),
        teacher_ckpt=None,
        distiller={**copy.deepcopy(distiller), "type": "mmrazor.ConfigurableDistiller", "distill_losses": losses},
    )


def batches(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Training batches as the run's own loader gives them, without end."""
    loader = Runner.build_dataloader(copy.deepcopy(data.train_dataloader(recipe)), seed=recipe.seed)
    epoch = 0
    while True:
        loader.batch_sampler.go_to(epoch)
        yield from loader
        epoch += 1


def built(section: ConfigDict, recipe: Recipe, batch: dict[str, Any]) -> nn.Module:
    """A model in training mode on this machine's device; norms without trained statistics get those of a batch.

    Args:
        section: `our_section` or `razor_section`.
        recipe: The same run's.
        batch: One as `batches` gives it, for the statistics of norms.
    """
    torch.manual_seed(recipe.seed)
    algorithm = MODELS.build(section)
    algorithm.architecture.init_weights()
    algorithm = algorithm.to("cuda" if torch.cuda.is_available() else "cpu")
    ours = section["type"] == "PkdDistill"
    if ours:
        apply_speedups(algorithm.architecture)
    if ours and recipe.scale.channels_last:
        algorithm = algorithm.to(memory_format=torch.channels_last)
    algorithm.train()
    inputs = algorithm.data_preprocessor(batch, True)["inputs"]
    for detector in (algorithm.architecture, *(() if section["teacher_ckpt"] else (algorithm.teacher,))):
        calibrate(detector, inputs)
    return algorithm


@torch.no_grad()
def calibrate(detector: nn.Module, inputs: torch.Tensor) -> None:
    """Give batch norms the statistics of a batch: with those of no data features grow from block to block.

    Args:
        detector: Changed in place.
        inputs: Images (N, 3, H, W), normalised.
    """
    norms = [(module, module.momentum, module.training) for module in detector.modules()
             if isinstance(module, _BatchNorm)]  # fmt: skip
    for module, _, _ in norms:
        module.momentum, module.training = 1.0, True
    if norms:
        detector.extract_feat(inputs)
    for module, momentum, training in norms:
        module.momentum, module.training = momentum, training


def optimizer(recipe: Recipe, algorithm: nn.Module, stock: bool = False) -> OptimWrapper:
    """The run's optimizer, or mmengine's own around the same.

    Args:
        recipe: Of the run.
        algorithm: What it trains.
        stock: mmengine's wrapper in place of ours.
    """
    section = copy.deepcopy(schedule.optim_wrapper(recipe))
    section["optimizer"]["lr"] = LR
    if stock:
        section["type"] = section["type"].removeprefix("Pkd")
    return build_optim_wrapper(algorithm, section)


def resident(algorithm: nn.Module, teacher: bool = True) -> float:
    """MiB of weights, statistics and momentum, of student and teacher or of the student.

    Args:
        algorithm: Student and teacher.
        teacher: Count the teacher too.
    """
    mine = [*algorithm.parameters(), *algorithm.buffers()]
    momentum = [parameter for parameter in algorithm.parameters() if parameter.requires_grad]
    others = [*algorithm.teacher.parameters(), *algorithm.teacher.buffers()]
    if not teacher:  # which is a submodule of mmrazor's
        mine = [tensor for tensor in mine if all(tensor is not other for other in others)]
    unique = {id(tensor): tensor for tensor in [*mine, *(others if teacher else ())]}
    return sum(x.numel() * x.element_size() for x in [*unique.values(), *momentum]) / 2**20
