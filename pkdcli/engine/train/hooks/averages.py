"""Averages of the weights (EMA) beside those that are trained: what is evaluated and exported."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import EMAHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor


@HOOKS.register_module()
class PkdEMAHook(EMAHook):
    """mmengine's, which swaps weights by their names and refuses a state of another model's.

    mmengine's goes through the weights of both in parallel and takes for granted that they stand in one order.

    Args:
        kwargs: As mmengine's.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "strict_load": True})

    def before_train(self, runner: Runner) -> None:
        """Nothing: averages that begin behind the end of a smoke run are no error."""

    def _swap_ema_parameters(self) -> None:
        averages, weights = self._held(self.ema_model.module), self._held(self.src_model)
        for name, average in averages.items():
            weight = weights[name]
            kept = average.clone()
            average.copy_(weight)
            weight.copy_(kept)

    def _held(self, model: Any) -> dict[str, Tensor]:
        """What of a model is averaged, by name."""
        if self.ema_model.update_buffers:
            return model.state_dict()
        return {name: one.detach() for name, one in model.named_parameters()}
