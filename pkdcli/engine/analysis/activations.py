"""What the figures of the paper's appendix A.5 show of feature maps, in numpy and float64.

A feature map is an array (C, H, W) of one image and one level; its position (v, u) covers the square of `stride` pixels
that begins at (v, u) * stride.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

EPSILON = 1e-6  # beside the standard deviation, as in pkd's normalisation
BINS = 2048  # so fine that a drawing can merge them over whatever range it shows

REDUCTIONS = {
    "max": lambda features: features.max(axis=0),
    "mean": lambda features: features.mean(axis=0),
    "norm": lambda features: np.sqrt(np.square(features).sum(axis=0)),
}
"""From (C, H, W) to (H, W): the largest raw value of a position, the mean of its raw values, their Euclidean norm."""


def standardised(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Normalise each channel over all positions of all images, as pkd does over a batch.

    Args:
        maps: (C, H, W) of each image; H and W may differ.

    Returns:
        (x - mean) / (std + 1e-6), std unbiased; zeros where there is but one position, as in `pkdcli.engine.losses`.
    """
    flat = np.concatenate([one.reshape(len(one), -1) for one in maps], axis=1, dtype=np.float64)
    mean = flat.mean(axis=1)[:, None, None]
    std = flat.std(axis=1, ddof=1)[:, None, None] if flat.shape[1] > 1 else np.inf
    return [(one - mean) / (std + EPSILON) for one in maps]


def dominant_channels(features: np.ndarray) -> np.ndarray:
    """In how many positions each channel has the largest value: number_i (appendix, caption of Figure 6).

    number_i = sum over (u, v) of 1[argmax_c s(u, v, c) = i], on raw, signed values; of equal ones the first counts.

    Returns:
        (C,), whose sum is H * W.
    """
    return np.bincount(features.argmax(axis=0).ravel(), minlength=len(features))


def summary(maps: Sequence[np.ndarray]) -> dict[str, float | int]:
    """Numbers of the distribution of all values of a level: of every channel, position and image.

    Returns:
        `values` (how many), `mean`, `std` (of the population), `min`, `max`, `skew` (third standardised moment, 0 for
        a constant), `mean_square`.
    """
    flat = np.concatenate([one.ravel() for one in maps], dtype=np.float64)
    mean, std = flat.mean(), flat.std()
    skew = np.mean(((flat - mean) / std) ** 3) if std > 0 else 0.0
    found = {"mean": mean, "std": std, "min": flat.min(), "max": flat.max(), "skew": skew}
    return {"values": flat.size, **{k: float(v) for k, v in found.items()}, "mean_square": float(np.mean(flat**2))}


def histograms(by_detector: Mapping[str, Sequence[np.ndarray]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """How the values of one level are distributed in several detectors, over the same bins.

    Returns:
        The edges of `BINS` equal bins from the smallest value of all to the largest, and the counts of each detector.
    """
    every = [one for maps in by_detector.values() for one in maps]
    low, high = float(min(one.min() for one in every)), float(max(one.max() for one in every))
    within = (low, high if high > low else low + 1.0)
    counts = {
        name: sum(np.histogram(one.astype(np.float64), BINS, within)[0] for one in maps)
        for name, maps in by_detector.items()
    }
    return np.linspace(*within, BINS + 1), counts


def coverage(
    boxes: Sequence[Sequence[float]], size: tuple[int, int], stride: int, shape: tuple[int, int]
) -> np.ndarray:
    """Which share of the image's pixels below each position lies in some box.

    Args:
        boxes: (x1, y1, x2, y2) in pixels of the image as the detector sees it; a pixel is inside if its centre is.
        size: (height, width) of that image.
        stride: Pixels a position.
        shape: (H, W) of the feature map.

    Returns:
        (H, W), from 0 to 1.
    """
    height, width = size
    inside = np.zeros((height, width), dtype=bool)
    y, x = np.arange(height) + 0.5, np.arange(width) + 0.5
    for x1, y1, x2, y2 in boxes:
        inside |= ((y1 <= y) & (y < y2))[:, None] & ((x1 <= x) & (x < x2))[None, :]
    there = _by_position(np.ones((height, width)), stride, shape)
    return _by_position(inside, stride, shape) / np.maximum(there, 1)


def _by_position(pixels: np.ndarray, stride: int, shape: tuple[int, int]) -> np.ndarray:
    """Sums over the squares of the positions; pixels beyond the image count nothing."""
    whole = np.zeros((shape[0] * stride, shape[1] * stride))
    part = pixels[: whole.shape[0], : whole.shape[1]]
    whole[: part.shape[0], : part.shape[1]] = part
    return whole.reshape(shape[0], stride, shape[1], stride).sum(axis=(1, 3))


def noise(features: np.ndarray, covered: np.ndarray) -> dict[str, float | None]:
    """How much of the activation lies off the objects; a position that a box covers in part counts by that part.

    Args:
        features: (C, H, W); a position's activation is the Euclidean norm of its values.
        covered: (H, W) from `coverage`.

    Returns:
        `share` of the activation outside the boxes, None where there is no activation, and the share of the `area`
        there: equal shares mean that the objects make no difference.
    """
    activation = REDUCTIONS["norm"](features.astype(np.float64))
    total = float(activation.sum())
    outside = float((activation * (1 - covered)).sum())
    return {"share": outside / total if total else None, "area": float((1 - covered).mean())}
