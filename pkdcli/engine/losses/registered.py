"""The losses as one type of mmdet's and mmrazor's registries, so that mmrazor's ConfigurableDistiller can build them.

Call `pkdcli.compat.activate()` and import this module before building a config that names `PkdLoss`.
"""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS
from torch import Tensor, nn

from pkdcli.engine.losses.registry import build_loss, takes_temperature


@MODELS.register_module(name="PkdLoss")
class PkdLoss(nn.Module):
    """``dict(type='mmdet.PkdLoss', loss='pkd', loss_weight=10.0, stat_chunk='batch')``, one per level.

    Args:
        loss: A registered name or ``module:Class``.
        loss_weight: Finite, zero or more.
        stat_chunk: ``"batch"`` or images per chunk.
        temperature: Used by losses that have one, ignored by the others, so that one config serves all.
        **parameters: The loss's own.
    """

    def __init__(
        self,
        loss: str = "pkd",
        loss_weight: float = 1.0,
        stat_chunk: int | str | None = "batch",
        temperature: float | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__()
        if temperature is not None and takes_temperature(loss):
            parameters["temperature"] = temperature
        self.loss = build_loss(loss, weight=loss_weight, stat_chunk=stat_chunk, **parameters)

    def forward(self, preds_S: Tensor, preds_T: Tensor) -> Tensor:
        """The weighted loss of the student's (N, C, H, W) and the teacher's feature map of one level.

        Args:
            preds_S: The student's level (N, C, H, W), behind its adapter.
            preds_T: The teacher's (N, C, H', W').
        """
        return self.loss(preds_S, preds_T)
