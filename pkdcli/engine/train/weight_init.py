"""Starting values that mmengine's own initializers can't name."""

from __future__ import annotations

from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn


@WEIGHT_INITIALIZERS.register_module()
class PkdZeroResidual:
    """Start every residual block as the identity: its last norm's scale is 0, as `zero_init_residual` does.

    mmdet 3.3 carries that option out for ResNet alone: a ResNeXt's block is another class than the one it looks for
    (mmdet/models/backbones/resnet.py), and a deep ResNeXt that learns from nothing then takes far more steps.
    """

    def __call__(self, module: nn.Module) -> None:
        """Zero the scale of the last norm of every bottleneck in `module`."""
        for block in module.modules():
            last = getattr(block, "norm3", None)
            if last is not None and last.weight is not None:
                nn.init.zeros_(last.weight)
