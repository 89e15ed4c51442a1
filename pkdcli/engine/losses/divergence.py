"""KL divergence of two normalised feature maps, softmax over the positions of a channel: norm-kl.

With a = z_t / T, b = z_s / T, p = softmax(a), q = softmax(b) and d = log(q / p):

    value     T^2 * sum(p (exp(d) - 1 - d)) averaged over channels
    gradient  T / (C q_s) * (G - u k),  G = q - p = p (exp(d) - 1),  k = sum(G u) / (q_s std_s (m - 1)),  u = s - mean_s

The textbook sum p (log p - log q) is a difference of numbers T times larger than itself, so in float32 it is off by a
factor at T = 5000. Here every term of the value is positive, and exp(d) - 1 - d comes from its series where d is small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor

from pkdcli.engine.losses.blocks import (
    EXACT,
    FLOOR,
    Block,
    Ledger,
    Scratch,
    accumulator,
    add_scaled,
    blocks,
    centered,
    positions_of,
    refuse_twice,
    sums,
)

# Numbers kept per chunk and channel: the means; 1 / (q T) of either side; the logarithms of the sums of exp(b) and
# exp(a), the first in far channels only;
# the way the channel was worked out; R; k.
_ROWS = ("shift_s", "shift_t", "per_s", "per_t", "log_s", "log_t", "far", "rest", "k")
_FAR, _SERIES, _EXP = 1.0, 0.0, 2.0  # how a channel is worked out, in the row `far`
_SMALL = 0.25  # below it the series of exp(d) - 1 - d needs few terms: 5 for float32's digits, 11 for float64's
_LARGE_ENOUGH = 0.1
_TERMS = {torch.float32: 5, torch.float64: 11}


@torch.library.custom_op("pkdcli::divergence", mutates_args=())
def divergence(student: Tensor, teacher: Tensor, temperature: float, chunk: int) -> tuple[Tensor, Tensor]:
    """The value, and the numbers per channel that the gradient needs.

    Args:
        student: (N, C, H, W).
        teacher: The same shape; gets no gradient.
        temperature: T.
        chunk: Images whose statistics are taken together.

    Returns:
        A scalar, and (chunks, 9, C). A chunk with one position per channel counts as zero.
    """
    images, channels = student.shape[:2]
    dtype = accumulator(student.dtype, teacher.dtype)
    scratch, ledger = Scratch(dtype), Ledger(-(-images // chunk))
    for block in blocks(student, chunk):
        if block.positions == 1:  # no deviation: zero, but NaN and infinity stay visible
            zero = block.of(student).to(dtype) * 0 + block.of(teacher).to(dtype) * 0
            ledger.note(**dict.fromkeys((*_ROWS[:-1], "kl", "norm", "product"), zero))
        else:
            _note(student, teacher, temperature, block, scratch, ledger)
    positions = positions_of(student, chunk)
    std = ledger["norm"] / (positions - 1).sqrt()
    k = torch.where(std > FLOOR, ledger["product"] * temperature / (std * (positions - 1)), 0.0)
    share = positions / positions.sum() / channels
    value = (ledger["kl"] * share).sum() * temperature**2
    return value.to(dtype), torch.stack([*(ledger[name] for name in _ROWS[:-1]), k], 1)


def _note(student: Tensor, teacher: Tensor, temperature: float, block: Block, scratch: Scratch, ledger: Ledger) -> None:
    """What one block has to say.

    Near means every |d| is small. There d lacks log(sum exp a / sum exp b), which need not be known: for d off by any
    constant per channel, and R = sum(p (exp(d) - 1)), which is 0 only for the right constant,
    q - p = p (exp(d) - 1 - R) / (1 + R) and KL = sum(p (exp(d) - 1 - d)) - R + log(1 + R).
    """
    s, t = centered(student, "s", block, scratch), centered(teacher, "t", block, scratch)
    per_s, per_t = 1 / (s.divisor * temperature), 1 / (t.divisor * temperature)
    b, a = s.buffer.mul_(per_s), t.buffer.mul_(per_t)
    p, spare = scratch.buffer("p", block), scratch.buffer("q", block)
    log_t = _softmax(a, temperature, p)
    d, growth = torch.sub(b, a, out=a), scratch.buffer("growth", block)

    def grow(way: float, d: Tensor) -> tuple[Tensor, Tensor]:
        if way != _FAR:
            return _grow_near(d, p, spare, growth, way == _EXP), torch.zeros_like(log_t)
        log_s = _softmax(b, temperature, spare)
        return _grow_far(d.sub_(log_s - log_t), p, spare, growth), log_s

    ways = _ways(d)
    bent, log_s = _each_its_way(ways, d, grow, growth)
    rest = sums(growth)
    ledger.note(shift_s=s.shift, shift_t=t.shift, per_s=per_s, per_t=per_t, log_s=log_s, log_t=log_t, norm=s.norm)
    add_scaled(growth, p, -rest, out=growth, spare=spare)
    exact_rest = rest.to(EXACT)
    product = sums(torch.mul(growth, b, out=spare)) / (1 + exact_rest)
    kl = bent - exact_rest + torch.log1p(exact_rest)
    ledger.note(far=ways, rest=rest, product=product, kl=kl)


def _softmax(x: Tensor, temperature: float, out: Tensor) -> Tensor:
    """Writes the softmax of a block over a channel's positions; returns the logarithm of the sum of exp(x)."""
    # |z| is at most sqrt(m), so unless the temperature is low, exp(z / T) is far from overflow as it is.
    if math.sqrt(x.numel() / x.shape[1]) <= 40 * temperature:
        total = sums(torch.exp(x, out=out))
        out.mul_(1 / total)
        return torch.log(total)
    top = x.amax((0, 2, 3), keepdim=True)
    total = sums(torch.sub(x, top, out=out).exp_())
    out.mul_(1 / total)
    return torch.log(total) + top


def _ways(d: Tensor) -> Tensor:
    """How to work out exp(d) - 1 and exp(d) - 1 - d for each channel of a block, (1, c, 1, 1).

    It is a channel's own affair, so that its numbers are the same in any block.
    """
    rows = d.flatten(2)
    largest = torch.maximum(rows.amax(2).amax(0), -rows.amin(2).amin(0))
    near = torch.full_like(largest, _SERIES)
    if d.dtype == torch.float32:
        # exp(d) - 1 - d is off by 6e-8 here or there, which d^2 / 2 must be far above for most of the channel.
        near[largest > _LARGE_ENOUGH] = _EXP
    return torch.where(largest <= _SMALL, near, _FAR).view(1, -1, 1, 1)  # NaN is far


def _each_its_way(
    ways: Tensor, d: Tensor, grow: Callable[[float, Tensor], tuple[Tensor, ...]], out: Tensor
) -> tuple[Tensor, ...]:
    """Has every channel of a block worked out in its own way.

    Args:
        ways: (1, c, 1, 1).
        d: (n, c, H, W), written over.
        grow: Of a way and d: writes to `out`, and returns numbers per channel.
        out: (n, c, H, W).
    """
    present = sorted(set(ways.flatten().tolist()))
    if len(present) == 1:  # nearly always
        return grow(present[0], d)
    start, mixed, numbers = d.clone(), torch.empty_like(out), None
    for way in present:
        found, mine = grow(way, d.copy_(start)), ways == way
        torch.where(mine, out, mixed, out=mixed)
        numbers = found if numbers is None else [torch.where(mine, *pair) for pair in zip(found, numbers, strict=True)]
    out.copy_(mixed)
    return tuple(numbers)


def _grow_near(d: Tensor, p: Tensor, spare: Tensor, out: Tensor, by_exp: bool) -> Tensor:
    """Writes p (exp(d) - 1) to `out`; returns sum(p (exp(d) - 1 - d)) per channel."""
    if by_exp:
        torch.exp(d, out=out).sub_(1)
        bent = sums(torch.sub(out, d, out=spare).mul_(p))
        out.mul_(p)
        return bent
    _bend(d, out)
    bent = sums(torch.mul(p, out, out=spare))
    out.add_(d).mul_(p)
    return bent


def _grow_far(d: Tensor, p: Tensor, q: Tensor, out: Tensor) -> Tensor:
    """As `_grow_near` for any d; overwrites d and q. Where |d| is large, q - p is taken itself: exp(d) may overflow."""
    far = d.abs() > _SMALL
    _bend(d, out).mul_(p)
    q.sub_(p)
    d.mul_(p)
    bent = sums(torch.where(far, q - d, out))
    torch.where(far, q, out.add_(d), out=out)
    return bent


def _bend(d: Tensor, out: Tensor) -> Tensor:
    """Writes exp(d) - 1 - d = d^2 (1/2! + d/3! + d^2/4! + ...) for small d to `out`."""
    last, *others = _coefficients(d.dtype)
    torch.mul(d, last, out=out).add_(others[0])
    for coefficient in others[1:]:
        out.mul_(d).add_(coefficient)
    return out.mul_(d).mul_(d)


@lru_cache
def _coefficients(dtype: torch.dtype) -> list[Tensor]:
    """Of the series of (exp(d) - 1 - d) / d^2, the highest power first."""
    numbers = [1 / math.factorial(k + 2) for k in reversed(range(_TERMS[dtype]))]
    return list(torch.tensor(numbers, dtype=dtype))


@divergence.register_fake
def _(student: Tensor, teacher: Tensor, temperature: float, chunk: int) -> tuple[Tensor, Tensor]:
    value = student.new_empty((), dtype=accumulator(student.dtype, teacher.dtype))
    chunks = -(-student.shape[0] // chunk)
    return value, student.new_empty(chunks, len(_ROWS), student.shape[1], dtype=EXACT)


@torch.library.custom_op("pkdcli::divergence_backward", mutates_args=())
def divergence_backward(
    upstream: Tensor, student: Tensor, teacher: Tensor, kept: Tensor, temperature: float, chunk: int
) -> Tensor:
    """The gradient with respect to the student, in its type and memory format.

    Args:
        upstream: The gradient of the value, a scalar.
        student: (N, C, H, W).
        teacher: The same shape.
        kept: What `divergence` returned, (chunks, 9, C).
        temperature: As forward.
        chunk: As forward.
    """
    images, channels = student.shape[:2]
    dtype = accumulator(student.dtype, teacher.dtype)
    scratch = Scratch(dtype)
    gradient = torch.empty_like(student)
    factor = upstream.to(kept.dtype) * (temperature**2 / (images * channels))
    rest = kept[:, _ROWS.index("rest")]
    on_growth = factor * kept[:, _ROWS.index("per_s")] / (1 + rest)
    factors = torch.stack([on_growth, -on_growth * rest, -factor * kept[:, _ROWS.index("k")]], 1).to(dtype)
    kept = kept.to(dtype)
    for block in blocks(student, chunk):
        shift_s, shift_t, per_s, per_t, log_s, log_t, far, *_ = block.numbers(kept)
        b = torch.sub(block.of(student), shift_s, out=scratch.buffer("s", block)).mul_(per_s)
        a = torch.sub(block.of(teacher), shift_t, out=scratch.buffer("t", block)).mul_(per_t)
        p, growth = torch.sub(a, log_t, out=scratch.buffer("p", block)).exp_(), scratch.buffer("growth", block)
        d = torch.sub(b, a, out=a)
        spare = scratch.buffer("q", block)
        q = partial(_exp_of_difference, b, log_s, spare)
        _each_its_way(far, d, partial(_regrow, p, q, log_s - log_t, growth), growth)
        on_growth, on_p, on_b = block.numbers(factors) * block.shape[0]
        add_scaled(growth.mul_(on_growth), p, on_p, out=growth, spare=p)
        add_scaled(growth, b, on_b, out=block.of(gradient), spare=b)
    return gradient


def _exp_of_difference(x: Tensor, y: Tensor, out: Tensor) -> Tensor:
    return torch.sub(x, y, out=out).exp_()


def _regrow(p: Tensor, q: Callable[[], Tensor], logs: Tensor, out: Tensor, way: float, d: Tensor) -> tuple[()]:
    """Writes p (exp(d) - 1) to `out` once more; `logs` is what d lacks where it is far."""
    if way == _FAR:
        _grow_far(d.sub_(logs), p, q(), out)
    elif way == _EXP:
        torch.exp(d, out=out).sub_(1).mul_(p)
    else:  # expm1 takes six to ten times as long as exp
        _bend(d, out).add_(d).mul_(p)
    return ()


@divergence_backward.register_fake
def _(upstream: Tensor, student: Tensor, teacher: Tensor, kept: Tensor, temperature: float, chunk: int) -> Tensor:
    return torch.empty_like(student)


def _setup(ctx, inputs, output) -> None:
    student, teacher, temperature, chunk = inputs
    ctx.save_for_backward(student, teacher, output[1])
    ctx.temperature, ctx.chunk = temperature, chunk


def _backward(ctx, upstream: Tensor, _kept: Tensor):
    return divergence_backward(upstream, *ctx.saved_tensors, ctx.temperature, ctx.chunk), None, None, None


divergence.register_autograd(_backward, setup_context=_setup)
refuse_twice(divergence_backward)
