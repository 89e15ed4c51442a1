"""A loss: the logarithm of the hyperbolic cosine, which is a square near zero and a line far from it."""

import math

from torch import nn
from torch.nn import functional as F


class LogCosh(nn.Module):
    """Mean of log(cosh(scale * (student - teacher))) over all elements.

    Args:
        scale: How early the square turns into a line.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, student, teacher):
        """The loss, a scalar, of the student's and the teacher's (N, C, H, W) of one level."""
        x = self.scale * (student - teacher)
        return (x + F.softplus(-2 * x) - math.log(2)).mean()
