"""The squared distance of two feature maps, centred and scaled per channel or not: pkd, mse and what lies between.

With w = (x - mean) / (std + 1e-6), either part being optional, and D = w_s - w_t:

    value     mean(D^2) over all elements
    gradient  2 / (M q) * (D - u k),  u = s - mean_s,  q = std_s + 1e-6,  k = sum(D x) / (q std_s (m - 1)),  x = w_s q

over the m positions of a channel and all M elements; without scaling q is 1 and k is 0.
D itself is summed, not the closed form in Pearson's r: nothing cancels where the student is close to the teacher. Where
means are near zero and the maps far enough apart the closed form is as exact, and faster (`blocks.moments`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pkdcli.engine.losses.blocks import (
    EPS,
    EXACT,
    FLOOR,
    Block,
    Ledger,
    Moments,
    Scratch,
    accumulator,
    add_scaled,
    blocks,
    centered,
    leftover,
    moments,
    norms,
    positions_of,
    refuse_twice,
)

# Numbers kept per chunk and channel: shifts of s and t; a, b, c: gradient a (s - shift) + b (t - shift) + c; and
# whether the shifts are so near to zero that a s + b t + (c - a shift - b shift) is as exact, and faster.
_KEPT = 6


@torch.library.custom_op("pkdcli::distance", mutates_args=())
def distance(student: Tensor, teacher: Tensor, center: bool, scale: bool, chunk: int) -> tuple[Tensor, Tensor]:
    """The value, and the numbers per channel that the gradient needs.

    Args:
        student: (N, C, H, W).
        teacher: The same shape; gets no gradient.
        center: Subtract each channel's mean.
        scale: Divide by each channel's standard deviation.
        chunk: Images whose statistics are taken together.

    Returns:
        A scalar, and (chunks, 6, C). A chunk with one position per channel counts as zero.
    """
    dtype = accumulator(student.dtype, teacher.dtype)
    found = moments(student, teacher, chunk) if center and scale else None
    if found is not None:
        squares, kept = _settle_raw(found, positions_of(student, chunk))
        return (squares.sum() / student.numel()).to(dtype), kept
    scratch, ledger = Scratch(dtype), Ledger(-(-student.shape[0] // chunk))
    for block in blocks(student, chunk):
        if center or scale:
            _note_normalized(student, teacher, scale, block, scratch, ledger)
        else:
            ledger.note(norm=norms(torch.sub(block.of(student), block.of(teacher), out=scratch.buffer("s", block))))
    if center or scale:
        squares, kept = _settle(ledger, positions_of(student, chunk), center, scale)
    else:
        squares = ledger["norm"].square()
        kept = squares.new_zeros(squares.shape[0], _KEPT, squares.shape[1])
    return (squares.sum() / student.numel()).to(dtype), kept


def _note_normalized(
    student: Tensor, teacher: Tensor, scale: bool, block: Block, scratch: Scratch, ledger: Ledger
) -> None:
    """What one block has to say of student (s), teacher (t) and the difference of their buffers."""
    if block.positions == 1:  # no deviation: zero, but NaN and infinity stay visible
        zero = block.of(student).to(scratch.dtype) * 0 + block.of(teacher).to(scratch.dtype) * 0
        names = ("shift_s", "shift_t", "rest_s", "rest_t", "norm_s", "norm_t", "norm")
        ledger.note(**dict.fromkeys(names, zero), q_s=zero + 1, q_t=zero + 1)
        return
    s, t = centered(student, "s", block, scratch), centered(teacher, "t", block, scratch)
    rest_s, rest_t = leftover(s), leftover(t)
    if scale:
        q_s, q_t = s.divisor, t.divisor
        # Its sign does not matter: only its square is taken.
        theirs = t.buffer.mul_(q_t.reciprocal())
        difference = add_scaled(theirs, s.buffer, -q_s.reciprocal(), out=theirs, spare=s.buffer)
    else:
        q_s = q_t = torch.ones_like(s.divisor)
        difference = s.buffer.sub_(t.buffer)
    ledger.note(shift_s=s.shift, shift_t=t.shift, rest_s=rest_s, rest_t=rest_t, q_s=q_s, q_t=q_t)
    ledger.note(norm_s=s.norm, norm_t=t.norm, norm=norms(difference))


def _settle(ledger: Ledger, positions: Tensor, center: bool, scale: bool) -> tuple[Tensor, Tensor]:
    """The sum of D^2 per chunk and channel, and the five numbers kept."""
    shift_s, shift_t, q_s, q_t = (ledger[name] for name in ("shift_s", "shift_t", "q_s", "q_t"))
    # A buffer holds x - shift, and its sum is what the rounding of the shift left: 3e-5 of a mean of 1e3.
    rest_s, rest_t = ledger["rest_s"] / positions, ledger["rest_t"] / positions
    # Normalised is x - mean or x itself: the buffer plus a constant, whence a constant in D too.
    add_s, add_t = (-rest_s, -rest_t) if center else (shift_s, shift_t)
    constant = add_s / q_s - add_t / q_t
    total = positions * (rest_s / q_s - rest_t / q_t)
    squares_s, squares_t, squares = (ledger[name].square() for name in ("norm_s", "norm_t", "norm"))
    k = torch.zeros_like(squares)
    if scale:
        # sum(difference * s) from the three sums of squares, by the law of cosines, in place of one more pass.
        product = (squares_s / q_s**2 - squares_t / q_t**2 + squares) * q_s / 2
        product += constant * positions * rest_s + add_s * (total + positions * constant)
        std = (squares_s / (positions - 1)).sqrt()
        k = torch.where(std > FLOOR, product / (q_s * std * (positions - 1)), 0.0)
    pull = (positions > 1) / q_s  # a lone position has no say
    kept = (shift_s, shift_t, (1 / q_s - k) * pull, -1 / q_t * pull, (constant + rest_s * k) * pull)
    return squares + constant * (2 * total + positions * constant), torch.stack([*kept, torch.zeros_like(k)], 1)


def _settle_raw(of: Moments, positions: Tensor) -> tuple[Tensor, Tensor]:
    """The same from raw moments, of centred and scaled maps."""
    std_s, std_t = ((squares / (positions - 1)).sqrt() for squares in (of.squares_s, of.squares_t))
    q_s, q_t = std_s + EPS, std_t + EPS
    product = of.product / (q_s * q_t)
    squares = of.squares_s / q_s**2 + of.squares_t / q_t**2 - 2 * product
    k = (of.squares_s / q_s - product * q_s) / (q_s * std_s * (positions - 1))
    a, b = (1 / q_s - k) / q_s, -1 / (q_t * q_s)
    return squares, torch.stack([of.mean_s, of.mean_t, a, b, torch.zeros_like(a), torch.ones_like(a)], 1)


@distance.register_fake
def _(student: Tensor, teacher: Tensor, center: bool, scale: bool, chunk: int) -> tuple[Tensor, Tensor]:
    value = student.new_empty((), dtype=accumulator(student.dtype, teacher.dtype))
    chunks = -(-student.shape[0] // chunk)
    return value, student.new_empty(chunks, _KEPT, student.shape[1], dtype=EXACT)


@torch.library.custom_op("pkdcli::distance_backward", mutates_args=())
def distance_backward(
    upstream: Tensor, student: Tensor, teacher: Tensor, kept: Tensor, chunk: int, plain: bool
) -> Tensor:
    """The gradient with respect to the student, in its type and memory format.

    Args:
        upstream: The gradient of the value, a scalar.
        student: (N, C, H, W).
        teacher: The same shape.
        kept: What `distance` returned, (chunks, 6, C).
        chunk: As forward.
        plain: Neither centred nor scaled.
    """
    dtype = accumulator(student.dtype, teacher.dtype)
    scratch = Scratch(dtype)
    gradient = torch.empty_like(student)
    if plain:
        factor = (upstream * (2 / student.numel())).to(dtype)
        for block in blocks(student, chunk):
            s = torch.sub(block.of(student), block.of(teacher), out=scratch.buffer("s", block))
            torch.mul(s, factor, out=block.of(gradient))
        return gradient
    exactly = kept[:, 2:5] * (upstream.to(kept.dtype) * (2 / student.numel()))
    if bool(kept[0, 5, 0]):
        offset = exactly[:, 2] - exactly[:, 0] * kept[:, 0] - exactly[:, 1] * kept[:, 1]
        a, b, c = (x.to(dtype)[:, None, :, None, None] for x in (exactly[:, 0], exactly[:, 1], offset))
        for block in blocks(student, chunk):
            at = (block.chunk, slice(None), block.channels)
            part = torch.mul(block.of(student), a[at], out=block.of(gradient))
            add_scaled(part, block.of(teacher), b[at], out=part, spare=scratch.buffer("t", block)).add_(c[at])
        return gradient
    shifts, factors = kept[:, :2].to(dtype), exactly.to(dtype)
    constant = bool(factors[:, 2].any())  # without means far from zero it is 0
    for block in blocks(student, chunk):
        (shift_s, shift_t), (a, b, c) = block.numbers(shifts), block.numbers(factors)
        s = torch.sub(block.of(student), shift_s, out=scratch.buffer("s", block)).mul_(a)
        t = torch.sub(block.of(teacher), shift_t, out=scratch.buffer("t", block))
        if constant:
            s.add_(c)
        add_scaled(s, t, b, out=block.of(gradient), spare=t)
    return gradient


@distance_backward.register_fake
def _(upstream: Tensor, student: Tensor, teacher: Tensor, kept: Tensor, chunk: int, plain: bool) -> Tensor:
    return torch.empty_like(student)


def _setup(ctx, inputs, output) -> None:
    student, teacher, center, scale, chunk = inputs
    ctx.save_for_backward(student, teacher, output[1])
    ctx.chunk, ctx.plain = chunk, not (center or scale)


def _backward(ctx, upstream: Tensor, _kept: Tensor):
    return distance_backward(upstream, *ctx.saved_tensors, ctx.chunk, ctx.plain), None, None, None, None


distance.register_autograd(_backward, setup_context=_setup)
refuse_twice(distance_backward)
