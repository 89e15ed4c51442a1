"""The losses of many steps, read from the device once.

mmengine's own log reads each loss of each step with `.item()`: every time the processor waits until the device has done
all that it was given, and the device waits for the processor next. Here the losses of a step become one small tensor on
the device; those of all steps since the last record are copied in one go, and added up behind it, step by step, so that
the sums do not depend on when they were read.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from pkdcli.engine.distributed import processes


class LossLog:
    """Sums of losses by name, over steps.

    Args:
        sums: What an earlier start has gathered.
        count: Steps that are in them.

    Attributes:
        count: Steps that are in them.
    """

    def __init__(self, sums: Mapping[str, Tensor] | None = None, count: int = 0) -> None:
        self.count = count
        self._sums = dict(sums or {})
        self._steps: list[tuple[tuple[str, ...], Tensor]] = []

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """One step's, scalars; nothing waits for them."""
        self.count += 1
        if losses:
            self._steps.append((tuple(losses), torch.stack([one.detach().reshape(()) for one in losses.values()])))

    def sums(self) -> dict[str, Tensor]:
        """The sums of the means over the processes, on the CPU; every process must ask at the same step."""
        while self._steps:
            names = self._steps[0][0]
            alike = next((n for n, (one, _) in enumerate(self._steps) if one != names), len(self._steps))
            for row in processes.mean(torch.stack([row for _, row in self._steps[:alike]]).cpu()):
                for name, value in zip(names, row, strict=True):
                    self._sums[name] = self._sums.get(name, 0.0) + value
            del self._steps[:alike]
        return self._sums

    def means(self) -> dict[str, float]:
        """The means over the steps, which are forgotten."""
        means = {name: float(value) / self.count for name, value in self.sums().items()}
        self._sums, self.count = {}, 0
        return means


@HOOKS.register_module()
class PkdRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's, which notes losses only where mmengine's own log wants to print them."""

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Read each loss, if somebody asks for them."""
        if any(isinstance(hook, LoggerHook) for hook in runner.hooks):
            super().after_train_iter(runner, *args, **kwargs)
