"""Feature maps in blocks of channels small enough for a CPU's cache, and the moments of their channels.

Everything a loss needs from a map it takes from such a block while the block is in the cache, so a map is read from
memory once or twice, however many operations the formula has, and no normalised copy of a map is ever kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pkdcli.engine.losses.cache import room

EPS = 1e-6
FLOOR = 1e-4
"""A channel of a smaller standard deviation counts as constant, and is divided by FLOOR + EPS instead of its own."""

RAW = True
"""Take moments from the maps as they are wherever that is exact enough; False for nowhere."""

EXACT = torch.float64  # numbers per channel are few, so it costs nothing


class Block(NamedTuple):
    """Some images and channels of a map: `x[images, channels]` is (n, c, H, W), m = n*H*W positions per channel."""

    images: slice
    channels: slice
    chunk: int
    shape: tuple[int, int, int, int]

    @property
    def positions(self) -> int:
        return self.shape[0] * self.shape[2] * self.shape[3]

    def of(self, x: Tensor) -> Tensor:
        return x[self.images, self.channels]

    def numbers(self, kept: Tensor) -> Tensor:
        """The block's part of (chunks, rows, C) as (rows, 1, c, 1, 1)."""
        return kept[self.chunk, :, self.channels].unflatten(1, (1, -1, 1, 1))


def blocks(x: Tensor, chunk: int) -> Iterator[Block]:
    """The blocks that cover a map (N, C, H, W): all images of one chunk, and as many channels as fit in the cache.

    Args:
        x: (N, C, H, W).
        chunk: Images that share their statistics.
    """
    images, channels, height, width = x.shape
    bytes_, itemsize = room(torch.get_num_threads()), accumulator(x.dtype).itemsize
    for index, start in enumerate(range(0, images, chunk)):
        n = min(chunk, images - start)
        # Two channels or more, as long as there are two: PyTorch adds up a single row in another order.
        step = min(channels, max(2, bytes_ // (n * height * width * itemsize)))
        for first in range(0, channels, step):
            if channels - first == 1 and channels > 1:
                break
            c = channels - first if channels - first <= step + 1 else step
            yield Block(slice(start, start + n), slice(first, first + c), index, (n, c, height, width))


def accumulator(*dtypes: torch.dtype) -> torch.dtype:
    """The type of buffers and sums: float64 where any map has it, float32 otherwise."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def _in_rows(part: Tensor) -> bool:
    """Whether the positions of each image and channel lie one after the other."""
    return part.stride()[2:] == (part.shape[3], 1)


class Scratch:
    """Buffers that every block of a map uses again: a few blocks of memory in all."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._flat: dict[str, Tensor] = {}

    def buffer(self, name: str, block: Block) -> Tensor:
        """An uninitialised contiguous (n, c, H, W) for this block.

        Args:
            name: Buffers of different names do not overlap.
            block: Its shape is that of the buffer.
        """
        size = math.prod(block.shape)
        flat = self._flat.get(name)
        if flat is None or flat.numel() < size:
            flat = self._flat[name] = torch.empty(size, dtype=self.dtype)
        return flat[:size].view(block.shape)


class Ledger:
    """Numbers per channel, noted block by block, in the order of `blocks`."""

    def __init__(self, chunks: int) -> None:
        self._chunks = chunks
        self._rows: dict[str, list[Tensor]] = {}

    def note(self, **numbers: Tensor) -> None:
        for name, number in numbers.items():
            self._rows.setdefault(name, []).append(number.flatten())

    def note_images(self, **numbers: Tensor) -> None:
        """Note numbers per image too, (n, c)."""
        for name, number in numbers.items():
            self._rows.setdefault(name, []).append(number)

    def over_images(self, name: str, square: bool = False) -> Tensor:
        """Numbers per image, or their squares, summed over those of a chunk: (chunks, C), in the exact type.

        Args:
            name: Of the numbers, as they were noted.
            square: Sum their squares.
        """
        exactly = [number.to(EXACT) for number in self._rows[name]]
        rows = [(x.square() if square else x).t().contiguous() for x in exactly]
        return torch.cat([row.sum(1) for row in rows]).view(self._chunks, -1)

    def __getitem__(self, name: str) -> Tensor:
        """(chunks, C), in the exact type."""
        return torch.cat(self._rows[name]).to(EXACT).view(self._chunks, -1)


class Centered(NamedTuple):
    """One block of a map less its channels' means; all but the buffer are (1, c, 1, 1).

    Attributes:
        buffer: (n, c, H, W), x - shift.
        shift: The mean, as well as one number of the accumulator's type can tell.
        norm: The root of the sum of squares of the buffer.
        divisor: The standard deviation, or FLOOR where that is smaller, plus EPS.
    """

    buffer: Tensor
    shift: Tensor
    norm: Tensor
    divisor: Tensor


def centered(x: Tensor, name: str, block: Block, scratch: Scratch) -> Centered:
    """The block of x, of two positions or more per channel, less its means.

    Args:
        x: A map (N, C, H, W).
        name: Of the scratch buffer that the result lies in.
        block: The part of x.
        scratch: Where the buffer is from.
    """
    part, buffer = block.of(x), scratch.buffer(name, block)
    # Of rows that lie in memory one after the other: others are added up in an order that depends on the block.
    source = part if part.dtype == scratch.dtype and _in_rows(part) else buffer.copy_(part)
    shift = sums(source).div_(block.positions)
    torch.sub(source, shift, out=buffer)
    norm = norms(buffer)
    return Centered(buffer, shift, norm, (norm / math.sqrt(block.positions - 1)).clamp_min_(FLOOR).add_(EPS))


class Moments(NamedTuple):
    """Moments of two maps, taken from the maps as they are; all (chunks, C), float64.

    Attributes:
        mean_s: Of the student.
        mean_t: Of the teacher.
        squares_s: The sum of (s - mean_s)^2.
        squares_t: The sum of (t - mean_t)^2.
        product: The sum of (s - mean_s) (t - mean_t).
    """

    mean_s: Tensor
    mean_t: Tensor
    squares_s: Tensor
    squares_t: Tensor
    product: Tensor


_FAR = 4.0  # deviations; a mean so far from zero costs the raw sum of squares one of its seven digits
_ALIKE = 0.05  # 1 - r; two maps so much alike cost the difference of their raw moments one more


def moments(student: Tensor, teacher: Tensor, chunk: int) -> Moments | None:
    """The moments from plain sums of s, t, s^2, t^2 and s t, or None where these are no way, or not exact enough.

    Sums are what a processor does fastest, and nothing is written but s t. But sum(s^2) - m mean^2 cancels where the
    mean is far from zero, and so does what is made of it where the two maps are close to each other.

    Args:
        student: (N, C, H, W).
        teacher: (N, C, H, W).
        chunk: Images that share their statistics.
    """
    maps, dtype = (student, teacher), accumulator(student.dtype, teacher.dtype)
    plain = all(x.dtype == dtype and x.is_contiguous() for x in maps)
    positions = positions_of(student, chunk)
    if not RAW or not plain or (positions < 2).any():
        return None
    found, scratch = Ledger(len(positions)), Scratch(dtype)
    for block in blocks(student, chunk):
        s, t = block.of(student).flatten(2), block.of(teacher).flatten(2)
        both = torch.mul(s, t, out=scratch.buffer("both", block).flatten(2))
        sums = {"s": s.sum(2), "t": t.sum(2), "st": both.sum(2)}
        norms_of = {"ss": torch.linalg.vector_norm(s, dim=2), "tt": torch.linalg.vector_norm(t, dim=2)}
        found.note_images(**sums, **norms_of)
    s, t, st = (found.over_images(name) for name in ("s", "t", "st"))
    ss, tt = (found.over_images(name, square=True) for name in ("ss", "tt"))
    mean_s, mean_t = s / positions, t / positions
    squares_s, squares_t = ss - s * mean_s, tt - t * mean_t
    product = st - s * mean_t
    for mean, squares in ((mean_s, squares_s), (mean_t, squares_t)):
        std = (squares / (positions - 1)).clamp_min(0).sqrt()
        if not ((mean.abs() <= _FAR * std) & (std > FLOOR)).all():
            return None
    if not (product <= (1 - _ALIKE) * (squares_s * squares_t).sqrt()).all():
        return None
    return Moments(mean_s, mean_t, squares_s, squares_t, product)


def leftover(of: Centered) -> Tensor:
    """The sum of the buffer, which rounding the mean left: (1, c, 1, 1), and 0 where the mean is not far from zero.

    A mean of 1e3 with a standard deviation of 1 is off by 3e-5 in float32; one of 30 by less than is worth a pass.
    """
    if not (of.shift.abs() > 30 * of.divisor).any():
        return torch.zeros_like(of.shift)
    return sums(of.buffer)


def add_scaled(x: Tensor, y: Tensor, factor: Tensor, out: Tensor, spare: Tensor) -> Tensor:
    """Writes x + y * factor to `out`, (n, c, H, W) with a factor per channel, and over `spare`, which may be y itself.

    A CPU multiplies and then adds faster than both at once where one is broadcast.

    Args:
        x: (n, c, H, W).
        y: (n, c, H, W).
        factor: (1, c, 1, 1).
        out: (n, c, H, W), written.
        spare: (n, c, H, W), overwritten.
    """
    return torch.add(x, torch.mul(y, factor, out=spare), out=out)


def norms(buffer: Tensor) -> Tensor:
    """The root of the sum of squares over a channel's positions, (n, c, H, W) -> (1, c, 1, 1)."""
    # In two steps, because PyTorch's reduction over the last axis alone is five times faster, and does the same to a
    # row however many others there are.
    rows = torch.linalg.vector_norm(buffer.flatten(2), dim=2)
    return torch.linalg.vector_norm(rows.t().contiguous(), dim=1).view(1, -1, 1, 1)


def sums(buffer: Tensor) -> Tensor:
    """The sum over a channel's positions, (n, c, H, W) -> (1, c, 1, 1), in two steps as `norms`."""
    return buffer.flatten(2).sum(2).t().contiguous().sum(1).view(1, -1, 1, 1)


def positions_of(student: Tensor, chunk: int) -> Tensor:
    """The positions per channel in each chunk, (chunks, 1), in the exact type.

    Args:
        student: (N, C, H, W).
        chunk: Images that share their statistics.
    """
    images, _, height, width = student.shape
    counts = [min(chunk, images - start) * height * width for start in range(0, images, chunk)]
    return torch.tensor(counts, dtype=EXACT).unsqueeze(1)


NO_SECOND = "pkd's fused losses have no second derivative: call backward without create_graph."


def refuse_twice(operator: torch.library.CustomOpDef) -> None:
    """Makes the second derivative through a backward operator an error that says what to do, never a wrong number."""

    def second(_ctx, *_gradients: Tensor) -> None:
        raise NotImplementedError(NO_SECOND)

    operator.register_autograd(second)
