"""The losses of `distance` and `divergence` on every device but a CPU, in few launches.

Student and teacher are laid side by side, channel by channel, as (2, R, m): m positions in each of R = chunks * C rows.
PyTorch has one kernel for most of what a row needs then, and nothing depends on what a number is, so the host never
waits for the device:

- layer_norm: w = (x - mean) * rstd, rstd = 1 / biased deviation. With q = std + 1e-6 (std unbiased, or FLOOR),
  z = w / h for h = q * rstd, which is sqrt(m / (m - 1)) but for the 1e-6;
- a gradient G with respect to z becomes (G - w mean(G w) share) / q with respect to x, share = std / q, or 0 where the
  deviation is below FLOOR. layer_norm's own backward kernel gives G - mean(G) - w mean(G w);
- softmax, whose backward kernel gives p (x - sum(p x)).

The gradient is worked out in the forward pass, but for its factor, and takes the place of what a backward pass would
have kept: the teacher's map is free as soon as the loss is known.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pkdcli.engine.losses.blocks import EPS, FLOOR, NO_SECOND, accumulator

_SAFE = 40.0  # the largest |z| / T whose exponential, times that of another, float32 can hold
_TINY = 1e-20  # keeps 1 / 0 from a constant row; no deviation above FLOOR feels it


class Worked(NamedTuple):
    """A loss and what its gradient is made of: `gradient * factor * upstream`.

    Attributes:
        value: A scalar.
        gradient: (R, m), or None where none is asked for.
        factor: (R, 1).
    """

    value: Tensor
    gradient: Tensor | None
    factor: Tensor | None


class Normalized(NamedTuple):
    """Two maps as rows, normalised.

    Attributes:
        unit: (2, R, m), of mean 0 and biased deviation 1.
        mean: (2, R, 1).
        rstd: (2, R, 1), 1 / biased deviation.
        divisor: (2, R, 1), unit / divisor = z / scale.
        share: (R, 1), std / (std + EPS) of the student; 0 where it is constant.
    """

    unit: Tensor
    mean: Tensor
    rstd: Tensor
    divisor: Tensor
    share: Tensor


def distance(student: Tensor, teacher: Tensor, center: bool, scale: bool, chunk: int) -> Tensor:
    """mean(D^2) over all elements; see `losses.distance`.

    Args:
        student: (N, C, H, W).
        teacher: The same shape; gets no gradient.
        center: Subtract each channel's mean.
        scale: Divide by each channel's standard deviation.
        chunk: Images whose statistics are taken together.
    """
    if not (center or scale):
        dtype = accumulator(student.dtype, teacher.dtype)
        return F.mse_loss(student.to(dtype), teacher.to(dtype))
    return _over_chunks(student, teacher, chunk, _scaled if scale else _centered, center)


def divergence(student: Tensor, teacher: Tensor, temperature: float, chunk: int) -> Tensor:
    """T^2 KL, mean over channels; see `losses.divergence`.

    Args:
        student: (N, C, H, W).
        teacher: The same shape; gets no gradient.
        temperature: T.
        chunk: Images whose statistics are taken together.
    """
    return _over_chunks(student, teacher, chunk, _diverging, temperature)


def _over_chunks(student: Tensor, teacher: Tensor, chunk: int, work: Any, option: Any) -> Tensor:
    """The loss of all whole chunks, and of the rest of the images, weighted by their number."""
    images = student.shape[0]
    whole = images - images % chunk
    if whole == images:
        return _at_once(student, teacher, chunk, work, option)
    parts = [(student[:whole], teacher[:whole], chunk), (student[whole:], teacher[whole:], images - whole)]
    return sum(_at_once(s, t, size, work, option) * (s.shape[0] / images) for s, t, size in parts)


def _at_once(student: Tensor, teacher: Tensor, chunk: int, work: Any, option: Any) -> Tensor:
    if chunk * student.shape[2] * student.shape[3] == 1:  # no deviation: zero, but NaN and infinity stay visible
        dtype = accumulator(student.dtype, teacher.dtype)
        return (student.sum(dtype=dtype) + teacher.sum(dtype=dtype)) * 0
    return _AtOnce.apply(student, teacher, chunk, work, option)


class _AtOnce(torch.autograd.Function):
    """A loss whose gradient is worked out with it."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, chunk: int, work: Any, option: Any) -> Tensor:
        dtype = accumulator(student.dtype, teacher.dtype)
        rows = torch.empty((2, *_rows(student, chunk).shape), dtype=dtype, device=student.device)
        torch.stack([_rows(student, chunk), _rows(teacher, chunk)], out=rows)
        done = work(rows.flatten(3).flatten(1, 2), option, ctx.needs_input_grad[0])
        ctx.chunk = chunk
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(student, done.gradient, done.factor)
        return done.value

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        student, rows, factor = ctx.saved_tensors
        gradient = torch.empty_like(student)
        out = _rows(gradient, ctx.chunk)
        with torch.no_grad():
            factor = (factor * upstream).view(*out.shape[:2], 1, 1, 1)
            torch.mul(rows.view(out.shape), factor, out=out)
        if torch.is_grad_enabled():
            gradient = _Last.apply(gradient, student)
        return gradient, None, None, None, None


class _Last(torch.autograd.Function):
    """A gradient that can't be differentiated again, where the answer would be wrong."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, student: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        raise NotImplementedError(NO_SECOND)


def _rows(x: Tensor, chunk: int) -> Tensor:
    """(N, C, H, W) -> a view (chunks, C, images of a chunk, H, W)."""
    return x.unflatten(0, (-1, chunk)).transpose(1, 2)


def _normalized(rows: Tensor, scale: float) -> Normalized:
    m = rows.shape[-1]
    unit, mean, rstd = torch.native_layer_norm(rows, [m], None, None, _TINY)
    root = scale * math.sqrt(m / (m - 1))
    divisor = (rstd * (FLOOR * scale)).clamp_(min=root).add_(rstd, alpha=EPS * scale)
    # As a number on the CPU, which a kernel takes as its argument: a Python number would be turned round first.
    share = torch.tensor(root, dtype=rows.dtype) / divisor[0]
    return Normalized(unit, mean, rstd, divisor, F.threshold(share, 1 / (1 + EPS / FLOOR), 0.0))


def _scaled(rows: Tensor, center: bool, graded: bool) -> Worked:
    """Of maps that are divided by their deviations, and centred or not."""
    of = _normalized(rows, 1.0)
    z = torch.div(of.unit, of.divisor, out=rows)
    difference = z[0].sub_(z[1])
    difference.sub_(difference.mean(-1, keepdim=True))  # what the rounding of means far from zero has left
    if not center:
        offset = of.mean * of.rstd
        constant = (offset / of.divisor).diff(dim=0)[0]
        difference.sub_(constant)
    value = _mean_square(difference)
    if not graded:
        return Worked(value, None, None)
    pull = (difference * of.unit[0]).mean(-1, keepdim=True)
    if not center:
        pull.sub_(offset[0] * constant)
    factor = (of.rstd[0] / of.divisor[0]).mul_(2 / difference.numel())
    return Worked(value, difference.addcmul_(of.unit[0], pull.mul_(of.share), value=-1), factor)


def _centered(rows: Tensor, center: bool, graded: bool) -> Worked:
    """Of maps that are centred only."""
    rows.sub_(rows.mean(-1, keepdim=True))
    difference = rows[0].sub_(rows[1])
    difference.sub_(difference.mean(-1, keepdim=True))
    factor = difference.new_full((len(difference), 1), 2 / difference.numel())
    return Worked(_mean_square(difference), difference, factor)


def _mean_square(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x).square() / x.numel()


def _diverging(rows: Tensor, temperature: float, graded: bool) -> Worked:
    """Of rows normalised and softened.

    With a = z_t / T, b = z_s / T, d = b - a, p = softmax(a) and R = sum(p (exp(d) - 1)), the softmax of b is
    q = p exp(d) / (1 + R). So q - p = p (exp(d) - 1 - R) / (1 + R) and KL = log(1 + R) - sum(p d), with nothing in it
    that is larger than d.
    """
    of = _normalized(rows, temperature)
    b, a = torch.div(of.unit, of.divisor, out=rows)
    zero, one, mean = _constants(len(a), temperature**2 / len(a), a.dtype, a.device)
    lines = torch.empty_like(rows)
    if math.sqrt(a.shape[-1]) <= _SAFE * temperature:
        p = torch.softmax(a, -1)
        torch.expm1(torch.sub(b, a, out=lines[1]), out=lines[0])
        gradient = torch._softmax_backward_data(lines[0], p, -1, p.dtype) if graded else None
        sums = lines.mul_(p).sum(-1, keepdim=True)
        divisor = torch.addcmul(of.divisor[0], sums[0], of.divisor[0])
        sums[0].log1p_()
    else:  # exp(d) may overflow; but where T is so low, q and p are far enough apart to be subtracted as they are
        logs = torch.log_softmax(rows, -1)
        q, p = logs.exp()
        gradient = torch.sub(q, p, out=lines[0])
        torch.mul(p, logs[0] - logs[1], out=lines[1])
        sums, divisor = lines.sum(-1, keepdim=True), of.divisor[0]
    value = torch.dot(sums.flatten(), mean)
    if not graded:
        return Worked(value, None, None)
    pulled, *_ = torch.ops.aten.native_layer_norm_backward(
        gradient, of.unit[0], [a.shape[-1]], zero, one, None, None, [True, False, False]
    )
    factor = torch.addcdiv(zero, of.rstd[0], divisor, value=temperature**2 / len(a))
    return Worked(value, gradient.lerp_(pulled, of.share), factor)


@lru_cache(maxsize=64)
def _constants(rows: int, share: float, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """0 and 1, each (R, 1), and (2 R) of share and -share: made once, since each would be a launch."""
    zero, one = (torch.full((rows, 1), value, dtype=dtype, device=device) for value in (0.0, 1.0))
    mean = torch.full((2, rows), share, dtype=dtype, device=device)
    mean[1].neg_()
    return zero, one, mean.flatten()
