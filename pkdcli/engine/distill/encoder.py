"""The encoder of a DETR: run without what follows it, and its rows put back into maps.

An encoder takes the positions of all levels as rows of one matrix (N, P, C) and gives them back in that order, so the
sizes of the maps that it was made from say where each level lies. DETR itself, Conditional DETR and DAB-DETR take the
last level alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample
from torch import Tensor, nn


def run_encoder(
    detector: nn.Module,
    features: Sequence[Tensor],
    inputs: Tensor,
    shapes: Sequence[tuple[int, int]] | None = None,
) -> None:
    """Run the encoder of a detector, for the hooks of those that look at it.

    Args:
        detector: One of mmdet's DETRs; its decoder and head do not run, and may be gone.
        features: What its neck puts out for the batch.
        inputs: The batch (N, 3, H, W).
        shapes: Height and width in pixels of each image: beyond them lies padding, which is not attended to. None
            where nothing is padded.
    """
    shape = tuple(inputs.shape[-2:])
    shapes = [shape] * len(inputs) if shapes is None else shapes
    # Samples of its own: batch augments resize images, and leave the loader's `batch_input_shape` behind.
    seen = [DetDataSample(metainfo={"img_shape": tuple(one[:2]), "batch_input_shape": shape}) for one in shapes]
    kind = next(detector.encoder.parameters()).dtype  # a teacher's stays in float32, whatever its precision is
    given, _ = detector.pre_transformer([one.to(kind) for one in features], seen)
    detector.forward_encoder(**{name: _as(value, kind) for name, value in given.items()})


def _as(value: Any, kind: torch.dtype) -> Any:
    return value.to(kind) if isinstance(value, Tensor) and value.is_floating_point() else value


def folded(rows: Tensor, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
    """The maps (N, C, h, w) of each level, as views of an encoder's rows.

    Args:
        rows: (N, P, C), a row for each position of all levels, one level behind the other, or of the last alone.
        sizes: Height and width of each level.

    Raises:
        ValueError: There are another number of rows.
    """
    counts = [height * width for height, width in sizes]
    if rows.shape[1] == counts[-1]:
        sizes, counts = sizes[-1:], counts[-1:]
    if rows.shape[1] != sum(counts):
        raise ValueError(f"{rows.shape[1]} rows are not the positions of levels of {', '.join(map(str, sizes))}")
    parts = rows.transpose(1, 2).split(list(counts), 2)
    return tuple(part.unflatten(2, size) for part, size in zip(parts, sizes, strict=True))


def rows_of(maps: Sequence[Tensor]) -> Tensor:
    """The rows (N, P, C) of maps, as `folded` takes them."""
    return torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)


def sizes_of(maps: Tensor | Sequence[Tensor]) -> list[tuple[int, int]]:
    """Height and width of one map (N, C, h, w), or of several."""
    return [tuple(one.shape[-2:]) for one in ([maps] if isinstance(maps, Tensor) else maps)]
