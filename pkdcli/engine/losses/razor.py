"""mmrazor's own losses that take one pair of feature maps: cwd, mgd, at, l1, l2. Imported when one is built."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from pkdcli.engine.losses.base import FeatureLoss, FeatureShapeError
from pkdcli.engine.losses.blocks import accumulator
from pkdcli.engine.losses.parameters import Parameter, checked
from pkdcli.engine.losses.registry import register_loss
from pkdcli.errors import unknown


class RazorLoss(FeatureLoss):
    """One of mmrazor's modules, fed contiguous float32 maps (it knows neither channels-last nor autocast).

    Its own loss_weight stays 1: `weight` is what multiplies it.

    Args:
        weight: Multiplies the loss.
        stat_chunk: As for `FeatureLoss`; these losses take no statistics over a batch.
        parameters: The loss's own, by our names.

    Raises:
        PkdError: A parameter that it does not have, or a value that is not allowed.
    """

    statistics = False
    module: ClassVar[str]
    keywords: ClassVar[dict[str, str]] = {}
    """Our parameter's name -> mmrazor's, where they differ."""

    def __init__(self, weight: float = 1.0, stat_chunk: int | str | None = None, **parameters: Any) -> None:
        super().__init__(weight, stat_chunk)
        for key in parameters:
            if key not in self.options:
                raise unknown("loss parameter", key, ["weight", "stat_chunk", *self.options])
        values = {key: checked(p, parameters.get(key, p.default)) for key, p in self.options.items()}
        self.inner = self.build(values)

    def build(self, values: dict[str, Any]) -> nn.Module:
        return _mmrazor(self.module)(**{self.keywords.get(key, key): value for key, value in values.items()})

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        return self.inner(*widened(student, teacher))


@register_loss("cwd")
class CWD(RazorLoss):
    """T^2 KL(softmax(t / T) || softmax(s / T)), softmax over the positions of each channel and image, mean over both.

    Source: Channel-wise Distillation for Semantic Segmentation (arXiv 2011.13256); mmrazor/models/losses/cwd.py.
    """

    title = "KL divergence of each channel's attention map"
    source = "CWD (arXiv 2011.13256); mmrazor/models/losses/cwd.py"
    module, keywords = "ChannelWiseDivergence", {"temperature": "tau"}
    options: ClassVar[dict[str, Parameter]] = {
        "temperature": Parameter("temperature", 1.0, minimum=0.1, maximum=100, summary="softens; mmrazor's tau"),
    }


@register_loss("at")
class AT(RazorLoss):
    """mean((A_s - A_t)^2), A = the mean over channels of x^2, as a unit vector per image.

    Source: Paying More Attention to Attention (ICLR 2017); mmrazor/models/losses/at_loss.py.
    """

    title = "mean squared error of the attention maps"
    source = "AT (arXiv 1612.03928); mmrazor/models/losses/at_loss.py"
    module = "ATLoss"


@register_loss("l1")
class L1(RazorLoss):
    """mean(|s - t|) over all elements. Source: mmrazor/models/losses/l1_loss.py."""

    title = "mean absolute error of the features"
    source = "mmrazor/models/losses/l1_loss.py"
    module = "L1Loss"


@register_loss("l2")
class L2(RazorLoss):
    """sum((s' - t')^2) / N, x' = x as a vector of length `mult` per image; without `normalize` x itself.

    Source: mmrazor/models/losses/l2_loss.py, used there for FitNets (arXiv 1412.6550).

    Args:
        normalize: Scale each image's map to the length `mult`.
        mult: That length.
        div_element: Divide by the number of elements, not of images.
        dist: The root of the sum, undivided.
    """

    title = "squared error of the features as unit vectors"
    source = "mmrazor/models/losses/l2_loss.py"
    module = "L2Loss"
    options: ClassVar[dict[str, Parameter]] = {
        "normalize": Parameter("normalize", True, "flag", summary="scale each image's map to the length mult"),
        "mult": Parameter("mult", 1.0, minimum=0, summary="that length"),
        "div_element": Parameter("div_element", False, "flag", summary="divide by elements, not by images"),
        "dist": Parameter("dist", False, "flag", summary="the root of the sum, undivided"),
    }


@register_loss("mgd")
class MGD(RazorLoss):
    """sum((g(mask * s) - t)^2) / N, g being two 3x3 convolutions that are trained with the student.

    Those convolutions are parameters of this module: they are optimised and checkpointed beside the student, and are
    no part of the exported student. One module per level. The mask is drawn anew at every call.
    Source: Masked Generative Distillation (arXiv 2205.01529); mmrazor/models/losses/mgd_loss.py and
    mmrazor/models/architectures/connectors/mgd_connector.py. `weight` is the paper's alpha, 2e-5 for detectors.

    Args:
        channels: C of the feature maps.
        lambda_mgd: The share of positions that is masked.
        mask_on_channel: Mask whole channels, not positions.
    """

    title = "squared error after the student's masked features are generated anew"
    source = "MGD (arXiv 2205.01529); mmrazor/models/losses/mgd_loss.py"
    module = "MGDLoss"
    options: ClassVar[dict[str, Parameter]] = {
        "channels": Parameter("channels", 256, "integer", 1, summary="channels of the feature maps"),
        "lambda_mgd": Parameter("lambda_mgd", 0.65, minimum=0, maximum=1, summary="share of positions masked"),
        "mask_on_channel": Parameter("mask_on_channel", False, "flag", summary="mask channels, not positions"),
    }

    def build(self, values: dict[str, Any]) -> nn.Module:
        self.channels = values.pop("channels")
        connector = _mmrazor("MGDConnector")(self.channels, self.channels, **values)
        return nn.ModuleDict({"generate": connector, "distance": _mmrazor("MGDLoss")(alpha_mgd=1.0)})

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        if student.shape[1] != self.channels:
            raise FeatureShapeError(
                f"loss mgd was built for {self.channels} channels, the feature maps are {tuple(student.shape)}.",
                f"Set its parameter channels to {student.shape[1]}.",
            )
        weight = next(self.inner["generate"].parameters())
        student, teacher = (x.to(weight.dtype) for x in widened(student, teacher))
        return self.inner["distance"](self.inner["generate"](student), teacher)


def widened(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps contiguous and in one type of 32 bits or more.

    Args:
        student: (N, C, H, W).
        teacher: (N, C, H, W).
    """
    dtype = accumulator(student.dtype, teacher.dtype)
    return student.to(dtype).contiguous(), teacher.to(dtype).contiguous()


def _mmrazor(name: str) -> type[nn.Module]:
    from pkdcli.compat import activate

    activate()
    from mmrazor.models import losses
    from mmrazor.models.architectures import connectors

    return getattr(losses, name, None) or getattr(connectors, name)
