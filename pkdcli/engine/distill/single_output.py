"""Recorders for modules that put out one tensor, or their batch once for each of several branches."""

from __future__ import annotations

from typing import Any

from mmrazor.models.task_modules.recorder import ModuleOutputsRecorder
from mmrazor.registry import TASK_UTILS
from torch import nn


@TASK_UTILS.register_module()
class PkdSingleOutputRecorder(ModuleOutputsRecorder):
    """Keeps the one tensor that a module puts out as its level 0.

    mmrazor's own recorder takes levels from tuples and lists only.
    """

    def forward_hook(self, module: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        """Keep the output of a module as a tuple of one."""
        super().forward_hook(module, inputs, (outputs,))


@TASK_UTILS.register_module()
class PkdBranchOutputsRecorder(ModuleOutputsRecorder):
    """Keeps, of levels that hold the batch once for each branch, the branch that predicts.

    A TridentNet in training mode puts out the batch three times, one branch behind the other; in eval mode, as a
    teacher is, the branch that predicts alone.

    Args:
        branches: How many there are.
        branch: Which of them predicts; -1 where all do, and the teacher is compared with the middle one.
        kwargs: As for mmrazor's ModuleOutputsRecorder.
    """

    def __init__(self, *args: Any, branches: int, branch: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.branches = branches
        self.branch = branches // 2 if branch < 0 else branch

    def forward_hook(self, module: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        """Keep the images of one branch, (N, C, H, W) of (branches * N, C, H, W), of every level."""
        if module.training:
            outputs = tuple(level.chunk(self.branches)[self.branch] for level in outputs)
        super().forward_hook(module, inputs, outputs)
