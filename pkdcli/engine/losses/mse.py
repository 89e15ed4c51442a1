"""The mean squared error of two feature maps."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from pkdcli.engine.losses.base import FeatureLoss, wide
from pkdcli.engine.losses.registry import register_loss


@register_loss("mse")
class MSE(FeatureLoss):
    """mean((s - t)^2) over all elements of a level.

    Source: paper, appendix, Table 8 (loss weights); no factor 1/2. It depends on the magnitude of the features, which
    is why the best weight differs by pair, from 3 to 80.
    """

    title = "mean squared error of the features"
    source = "PKD appendix, Table 8"
    statistics = False

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        dtype = wide(student.dtype, teacher.dtype)
        return F.mse_loss(student.to(dtype), teacher.to(dtype))
