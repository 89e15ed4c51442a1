"""What every loss on one pair of feature maps shares: checks, resizing, detaching, chunks, float32 and the weight."""

from __future__ import annotations

import warnings
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pkdcli.engine.losses.blocks import accumulator
from pkdcli.engine.losses.parameters import SHARED, Parameter, checked
from pkdcli.errors import PkdError


class FeatureShapeError(PkdError, ValueError):
    """Two feature maps that no loss can compare."""


class FeatureLoss(nn.Module):
    """A loss on two feature maps of one level. Subclasses implement `compare`.

    The gradient flows to the student only. A student map whose height or width differs from the teacher's is resized
    bilinearly to the teacher's size (mmrazor's PKDLoss does so on a height difference only, and fails on the width).
    Autocast is off inside: a half-precision map is taken as it is, and summed in float32.

    Args:
        weight: Finite and not negative; multiplies the loss. Zero keeps the loss in the log without any effect.
        stat_chunk: None or ``"batch"``: statistics over the whole batch, as in mmrazor. An integer k: over chunks of k
            images, the loss being their mean weighted by size, which is the same on any number of processes.

    Raises:
        PkdError: A parameter of a wrong type or out of its range.
    """

    title: ClassVar[str] = ""
    source: ClassVar[str] = ""
    options: ClassVar[dict[str, Parameter]] = {}
    statistics: ClassVar[bool] = True
    """Whether the loss has statistics over the batch: without any, chunks change nothing and are not made."""

    def __init__(self, weight: float = 1.0, stat_chunk: int | str | None = None) -> None:
        super().__init__()
        self.weight = float(checked(SHARED["weight"], weight))
        chunk = checked(SHARED["stat_chunk"], stat_chunk)
        self.stat_chunk: int | None = None if chunk in (None, "batch") else chunk
        self._told: set[str] = set()

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The weighted loss, a scalar of float32 (float64 for float64 maps).

        Args:
            student: (N, C, H, W).
            teacher: (N, C, H', W'); gets no gradient.

        Raises:
            FeatureShapeError: Another number of axes, images or channels.
        """
        with torch.autocast(student.device.type, enabled=False):
            student, teacher = self.paired(student, teacher)
            if student.numel() == 0:
                self.warn_once("an empty feature map", student.shape)
                return student.sum(dtype=accumulator(student.dtype))
            value = self.over_chunks(student, teacher)
            return value if self.weight == 1 else value * self.weight

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The unweighted loss of two maps of equal shape (N, C, H, W), the teacher's detached.

        Args:
            student: (N, C, H, W).
            teacher: (N, C, H, W), detached.
        """
        raise NotImplementedError

    def over_chunks(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The unweighted loss: that of each chunk, weighted by its share of the images.

        Args:
            student: (N, C, H, W).
            teacher: (N, C, H, W), detached.
        """
        images, chunk = student.shape[0], self.chunk(student)
        if chunk == images:
            return self.compare(student, teacher)
        parts = zip(student.split(chunk), teacher.split(chunk), strict=True)
        return torch.stack([self.compare(s, t) * (s.shape[0] / images) for s, t in parts]).sum()

    def chunk(self, student: Tensor) -> int:
        """Images per chunk for this map; warns where a chunk has no standard deviation, and so a loss of zero."""
        images = student.shape[0]
        if not self.statistics:
            return images
        chunk = min(self.stat_chunk or images, images)
        if student.shape[2] * student.shape[3] == 1 and (chunk == 1 or images % chunk == 1):
            self.warn_once("one position per channel, which has no standard deviation", student.shape)
        return chunk

    def paired(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The two maps at the teacher's size and in one floating-point type, the teacher's detached.

        Args:
            student: (N, C, H, W).
            teacher: (N, C, H', W').

        Raises:
            FeatureShapeError: They are no such maps, or of other numbers of images or channels.
        """
        if student.ndim != 4 or teacher.ndim != 4 or student.shape[:2] != teacher.shape[:2]:
            raise FeatureShapeError(
                f"the student's feature map {tuple(student.shape)} and the teacher's {tuple(teacher.shape)} cannot be "
                "compared.",
                "Both must be (N, C, H, W) with equal N and C; another number of channels needs a 1x1 adapter.",
            )
        teacher = teacher.detach()
        if student.shape[2:] != teacher.shape[2:]:
            if student.numel() == 0 or teacher.numel() == 0:
                return student[..., :0, :0], teacher[..., :0, :0]
            student = F.interpolate(student.to(accumulator(student.dtype)), teacher.shape[2:], mode="bilinear")
        return student, teacher

    def warn_once(self, what: str, shape: torch.Size) -> None:
        """Warn that a loss is zero, once for each reason.

        Args:
            what: The reason.
            shape: Of the map, (N, C, H, W).
        """
        if what not in self._told:
            self._told.add(what)
            message = f"{type(self).__name__}: {what}, {tuple(shape)}; its loss is zero."
            warnings.warn(message, RuntimeWarning, stacklevel=3)

    def extra_repr(self) -> str:
        return f"weight={self.weight:g}, stat_chunk={self.stat_chunk or 'batch'}"
