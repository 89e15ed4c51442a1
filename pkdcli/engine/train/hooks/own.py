"""What configs' own hooks do to a model, as a function of the epoch, so that a run is resumed exactly."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from pkdcli.engine.distributed import processes


@HOOKS.register_module()
class PkdModeSwitchHook(Hook):
    """The head's part of mmdet's YOLOXModeSwitchHook: it learns from its L1 loss too, from an epoch on.

    Args:
        epoch: From which on, from 0; None for never.
    """

    def __init__(self, epoch: int | None) -> None:
        self.epoch = epoch

    def before_train_epoch(self, runner: Runner) -> None:
        """Set what the epoch asks for."""
        on = self.epoch is not None and runner.epoch >= self.epoch
        for module in runner.model.modules():
            if hasattr(module, "use_l1"):
                if not hasattr(module, "pkd_use_l1"):
                    module.pkd_use_l1 = module.use_l1  # as it was built
                module.use_l1 = on or module.pkd_use_l1


@HOOKS.register_module()
class PkdSyncNormHook(Hook):
    """Statistics of batch norms, those of averages too, become their mean over the processes at an epoch's end.

    mmdet's SyncNormHook and mmengine's SyncBuffersHook do it before an evaluation: after a state was saved.
    """

    priority = "LOW"  # before the state is saved

    def after_train_epoch(self, runner: Runner) -> None:
        """Average them."""
        if processes.world_size() == 1:
            return
        models = [runner.model, *(hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook))]
        for model in models:
            _average_norms(model)


def _average_norms(model: nn.Module) -> None:
    buffers = [
        buffer
        for module in model.modules()
        if isinstance(module, _NormBase)
        for buffer in (module.running_mean, module.running_var)
        if buffer is not None
    ]
    if buffers:
        means = processes.mean(torch.cat([one.reshape(-1).float().cpu() for one in buffers]))
        for buffer, mean in zip(buffers, means.split([one.numel() for one in buffers]), strict=True):
            buffer.copy_(mean.view_as(buffer))


def tell_epoch(model: Any, epoch: int) -> None:
    """Tell a model the epoch, as mmdet's SetEpochInfoHook does: each module that wants to know.

    Args:
        model: The run's, with or without the teacher around it.
        epoch: From 0.
    """
    for module in model.modules():
        if callable(getattr(module, "set_epoch", None)):
            module.set_epoch(epoch)
