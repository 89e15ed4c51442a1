"""Recorders for modules that put out one tensor, rows for positions, or their batch once for each of some branches."""

from __future__ import annotations

from typing import Any

from mmrazor.models.task_modules.recorder import ModuleOutputsRecorder
from mmrazor.registry import TASK_UTILS
from torch import Tensor, nn

from pkdcli.engine.distill.encoder import folded, rows_of, sizes_of


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


@TASK_UTILS.register_module()
class PkdEncoderOutputsRecorder(ModuleOutputsRecorder):
    """Keeps what an encoder, or one of its layers, puts out as maps, one for each level.

    What follows gets its rows back from these maps, so that the detection loss has a gradient at them, as it has at the
    levels of a neck.

    Args:
        sizes: The module that puts out the maps which the encoder takes, by its name.
        kwargs: As for mmrazor's ModuleOutputsRecorder.
    """

    def __init__(self, *args: Any, sizes: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = sizes
        self._sizes: list[tuple[int, int]] = []

    def prepare_from_model(self, model: nn.Module | None = None) -> None:
        """Look at the encoder, and at what it is fed from."""
        super().prepare_from_model(model)
        model.get_submodule(self.before).register_forward_hook(self.keep_sizes)

    def keep_sizes(self, module: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        """Keep how large the maps are that the encoder takes next."""
        self._sizes = sizes_of(outputs)

    def forward_hook(self, module: nn.Module, inputs: tuple[Any, ...], outputs: Tensor) -> Tensor | None:
        """Keep the levels; returns the same rows, made from them, where a gradient is to come by."""
        if not self.recording:
            return None
        maps = folded(outputs, self._sizes)
        super().forward_hook(module, inputs, maps)
        return rows_of(maps) if outputs.requires_grad else None
