"""Features of regions: an operator that every format has under a name of its own."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor, nn


@torch.library.custom_op("pkd::pool_regions", mutates_args=())
def pool_regions(level: Tensor, regions: Tensor, mine: Tensor, side: int, scale: float, samples: int) -> Tensor:
    """The features of some of the regions in one map, by bilinear samples, and zeros for the others.

    A position's centre lies half a position from its corner (mmdet's `aligned`).

    Args:
        level: The map, (N, C, H, W).
        regions: (R, 5), image and corners in pixels.
        mine: (R,), bool: those to look at.
        side: Of what comes of a region, in positions.
        scale: Positions of the map to a pixel.
        samples: Of a position, to a side; 0 for as many as the region's size asks for.

    Returns:
        (R, C, side, side).
    """
    return pooled(level, regions, mine, side, scale, samples)


@pool_regions.register_fake
def _pool_regions_shape(
    level: Tensor, regions: Tensor, mine: Tensor, side: int, scale: float, samples: int
) -> Tensor:
    return level.new_empty(regions.shape[0], level.shape[1], side, side)


def pooled(level: Tensor, regions: Tensor, mine: Tensor, side: int, scale: float, samples: int) -> Tensor:
    """The same in plain operators.

    Args:
        level: As for `pool_regions`, and so the rest.
        regions: Of all images.
        mine: Those to look at.
        side: Of what comes of a region.
        scale: Positions of the map to a pixel.
        samples: To a side of a position.
    """
    places = mine.nonzero().flatten()
    found = torchvision.ops.roi_align(level, regions[places], (side, side), scale, samples, True)
    empty = level.new_zeros(regions.shape[0], level.shape[1], side, side)
    return empty.index_copy(0, places, found)


class RegionFeatures(nn.Module):
    """The pooling of one level.

    Args:
        layer: mmcv's `RoIAlign`.
        plain: With operators that TorchScript knows.
    """

    def __init__(self, layer: nn.Module, plain: bool) -> None:
        super().__init__()
        self.side, self.scale = int(layer.output_size[0]), float(layer.spatial_scale)
        self.samples, self.plain = max(0, int(layer.sampling_ratio)), plain

    def forward(self, level: Tensor, regions: Tensor, mine: Tensor) -> Tensor:
        """As `pool_regions`.

        Args:
            level: As there.
            regions: As there.
            mine: As there.
        """
        pool = pooled if self.plain else pool_regions
        return pool(level, regions, mine, self.side, self.scale, self.samples)
