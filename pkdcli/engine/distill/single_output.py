"""A recorder for modules that put out one tensor."""

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
