"""Feature maps in blocks of channels small enough for the processor's cache, and the moments of their channels.

Everything a loss needs from a map it takes from such a block while the block is in the cache, so a map is read from
memory once or twice, however many operations the formula has, and no normalised copy of a map is ever kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

EPS = 1e-6
FLOOR = 1e-4
"""A channel of a smaller standard deviation counts as constant, and is divided by FLOOR + EPS instead of its own."""

POSITIONS = (0, 2, 3)
_CPU_BYTES = 512 << 10  # of one buffer; two to four are in use, and a core's own cache has 1 to 2 MB
_GPU_BYTES = 8 << 20  # a GPU wants few, large kernels; a few such buffers stay in its cache too


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
    """The blocks that cover a map (N, C, H, W): all images of one chunk, and as many channels as fit in the cache."""
    images, channels, height, width = x.shape
    room = _CPU_BYTES if x.device.type == "cpu" else _GPU_BYTES
    itemsize = accumulator(x.dtype).itemsize
    for index, start in enumerate(range(0, images, chunk)):
        n = min(chunk, images - start)
        step = min(channels, max(1, room // (n * height * width * itemsize)))
        for first in range(0, channels, step):
            c = min(step, channels - first)
            yield Block(slice(start, start + n), slice(first, first + c), index, (n, c, height, width))


def accumulator(*dtypes: torch.dtype) -> torch.dtype:
    """The type of buffers and sums: float64 where any map has it, float32 otherwise."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def exact(device: torch.device) -> torch.dtype:
    """The type of numbers per channel: they are few, so float64 costs nothing (Apple's GPUs have none)."""
    return torch.float32 if device.type == "mps" else torch.float64


class Scratch:
    """Buffers that every block of a map uses again: a few blocks of memory in all."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self.dtype = device, dtype
        self._flat: dict[str, Tensor] = {}

    def buffer(self, name: str, block: Block) -> Tensor:
        """An uninitialised contiguous (n, c, H, W) for this block."""
        size = math.prod(block.shape)
        flat = self._flat.get(name)
        if flat is None or flat.numel() < size:
            flat = self._flat[name] = torch.empty(size, dtype=self.dtype, device=self._device)
        return flat[:size].view(block.shape)


class Ledger:
    """Numbers per channel, noted block by block, in the order of `blocks`."""

    def __init__(self, chunks: int, device: torch.device) -> None:
        self._chunks, self._dtype = chunks, exact(device)
        self._rows: dict[str, list[Tensor]] = {}

    def note(self, **numbers: Tensor) -> None:
        for name, number in numbers.items():
            self._rows.setdefault(name, []).append(number.flatten())

    def __getitem__(self, name: str) -> Tensor:
        """(chunks, C), in the exact type."""
        return torch.cat(self._rows[name]).to(self._dtype).view(self._chunks, -1)


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
    """The block of x, of two positions or more per channel, less its means."""
    part = block.of(x)
    shift = part.mean(POSITIONS, keepdim=True, dtype=scratch.dtype)
    buffer = torch.sub(part, shift, out=scratch.buffer(name, block))
    norm = norms(buffer)
    return Centered(buffer, shift, norm, (norm / math.sqrt(block.positions - 1)).clamp_min_(FLOOR).add_(EPS))


def leftover(of: Centered) -> Tensor:
    """The sum of the buffer, which rounding the mean left: (1, c, 1, 1), and 0 where the mean is not far from zero.

    A mean of 1e3 with a standard deviation of 1 is off by 3e-5 in float32; one of 30 by less than is worth a pass.
    """
    if of.buffer.device.type == "cpu" and not (of.shift.abs() > 30 * of.divisor).any():
        return torch.zeros_like(of.shift)
    return of.buffer.sum(POSITIONS, keepdim=True)


def norms(buffer: Tensor) -> Tensor:
    """The root of the sum of squares over a channel's positions, (n, c, H, W) -> (1, c, 1, 1)."""
    # In two steps, because PyTorch's reduction over the last axis alone is five times faster.
    rows = torch.linalg.vector_norm(buffer.flatten(2), dim=2)
    return torch.linalg.vector_norm(rows, dim=0).view(1, -1, 1, 1)


def positions_of(student: Tensor, chunk: int) -> Tensor:
    """The positions per channel in each chunk, (chunks, 1), in the exact type."""
    images, _, height, width = student.shape
    counts = [min(chunk, images - start) * height * width for start in range(0, images, chunk)]
    return torch.tensor(counts, dtype=exact(student.device), device=student.device).unsqueeze(1)


def refuse_twice(operator: torch.library.CustomOpDef) -> None:
    """Makes the second derivative through a backward operator an error that says what to do, never a wrong number."""

    def second(_ctx, *_gradients: Tensor) -> None:
        raise NotImplementedError("pkd's fused losses have no second derivative: call backward without create_graph.")

    operator.register_autograd(second)
