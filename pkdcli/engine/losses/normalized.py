"""The losses of this project: pkd, mse, the ways in between, and norm-kl. z = (x - mean) / (std + 1e-6) per channel."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from pkdcli.engine.losses import rows
from pkdcli.engine.losses.base import FeatureLoss
from pkdcli.engine.losses.distance import distance
from pkdcli.engine.losses.divergence import divergence
from pkdcli.engine.losses.parameters import Parameter, checked
from pkdcli.engine.losses.registry import register_loss


def in_blocks(x: Tensor) -> bool:
    """Whether a map is worked through in blocks that fit a cache, as on a CPU, or at once, with few launches."""
    return x.device.type == "cpu"


class Distance(FeatureLoss):
    """factor * mean(D^2) of two maps (N, C, H, W), each centred and scaled per channel or not."""

    centered: ClassVar[bool]
    scaled: ClassVar[bool]
    factor: ClassVar[float] = 1.0

    def over_chunks(self, student: Tensor, teacher: Tensor) -> Tensor:
        options = self.centered, self.scaled, self.chunk(student)
        if in_blocks(student):
            value, _ = distance(student, teacher, *options)
        else:
            value = rows.distance(student, teacher, *options)
        return value if self.factor == 1 else value * self.factor


@register_loss("pkd")
class PKD(Distance):
    """mean((z_s - z_t)^2) / 2 over all elements = (1 - r)(m - 1)/m averaged over channels, r being Pearson's.

    Does not change when either map is scaled or shifted per channel: neither magnitude, nor a dominant level or
    channel decides what the student imitates.
    """

    title = "one minus Pearson's correlation, channel by channel"
    source = "PKD (arXiv 2207.02039), eq. 4; mmrazor/models/losses/pkd_loss.py"
    centered, scaled, factor = True, True, 0.5


@register_loss("norm-mse")
class NormMSE(Distance):
    """mean((z_s - z_t)^2) over all elements: twice pkd."""

    title = "mean squared error of the normalised features: twice pkd"
    source = "PKD (arXiv 2207.02039), section 3"
    centered, scaled = True, True


@register_loss("mse")
class MSE(Distance):
    """mean((s - t)^2) over all elements of a level.

    Depends on the magnitude of the features, which is why the best weight differs by pair, from 3 to 80 (Table 8).
    """

    title = "mean squared error of the features"
    source = "PKD appendix, Table 8"
    statistics = False
    centered, scaled = False, False


@register_loss("center-only")
class CenterOnly(Distance):
    """mean(((s - mean_s) - (t - mean_t))^2): half of the normalisation, which removes offsets but keeps magnitudes."""

    title = "mean squared error of the centred features"
    source = "an ablation of PKD's normalisation, not in the paper"
    centered, scaled = True, False


@register_loss("std-only")
class StdOnly(Distance):
    """mean((s / (std_s + 1e-6) - t / (std_t + 1e-6))^2): the other half, which removes magnitudes but keeps offsets."""

    title = "mean squared error of the scaled features"
    source = "an ablation of PKD's normalisation, not in the paper"
    centered, scaled = False, True


@register_loss("norm-kl")
class NormKL(FeatureLoss):
    """T^2 KL(softmax(z_t / T) || softmax(z_s / T)), softmax over the m positions of a channel, mean over channels.

    For T -> infinity its value and gradient go to pkd's, the gap shrinking as 1/T.

    Args:
        temperature: T, from 1 to 10000. Below 1 the softmax would sharpen rather than soften; above 10000 the loss
            is pkd to four digits.
    """

    title = "KL divergence of the normalised features, softened by a temperature"
    source = "PKD appendix A.3"
    options: ClassVar[dict[str, Parameter]] = {
        "temperature": Parameter("temperature", 50.0, minimum=1, maximum=10000, summary="softens; the limit is pkd"),
    }

    def __init__(self, weight: float = 1.0, stat_chunk: int | str | None = None, temperature: float = 50.0) -> None:
        super().__init__(weight, stat_chunk)
        self.temperature = float(checked(self.options["temperature"], temperature))

    def over_chunks(self, student: Tensor, teacher: Tensor) -> Tensor:
        options = self.temperature, self.chunk(student)
        if in_blocks(student):
            value, _ = divergence(student, teacher, *options)
            return value
        return rows.divergence(student, teacher, *options)
