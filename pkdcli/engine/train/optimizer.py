"""The optimizer's steps: refused where a loss is NaN or infinite, before the weights take it over."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import Tensor

from pkdcli.engine.distributed import processes
from pkdcli.engine.speedups.fused_sgd import use_fused_sgd

AMP_TOLERANCE = 3  # steps in a row: a single overflow is one that mixed precision recovers from


class NotFinite(Exception):
    """The loss of a step is NaN or infinite; the weights are those before the step."""

    def __init__(self, loss: float) -> None:
        super().__init__(f"the loss is {loss}")
        self.loss = loss


class _Guard:
    """Looks at a loss before it goes backward; mmengine's own log reads every loss in every step anyway.

    The loss of one process is enough: the others would wait for its gradients.
    """

    tolerance = 1
    _in_a_row = 0

    def update_params(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """As mmengine's.

        Raises:
            NotFinite: So many losses in a row were not finite.
        """
        self._in_a_row = self._in_a_row + 1 if processes.any_rank(not torch.isfinite(loss).all()) else 0
        if self._in_a_row >= self.tolerance:
            raise NotFinite(float(loss.detach()))
        super().update_params(loss, *args, **kwargs)


@OPTIM_WRAPPERS.register_module()
class PkdOptimWrapper(_Guard, OptimWrapper):
    """mmengine's OptimWrapper, which refuses the first loss that is not finite."""

    def step(self, **kwargs: Any) -> None:
        """As mmengine's, in one pass over the weights where that is possible."""
        use_fused_sgd(self.optimizer)
        super().step(**kwargs)


@OPTIM_WRAPPERS.register_module()
class PkdAmpOptimWrapper(_Guard, AmpOptimWrapper):
    """mmengine's AmpOptimWrapper, which refuses the third in a row; it skips the step of each."""

    tolerance = AMP_TOLERANCE
