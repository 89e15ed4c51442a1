"""Measured features of made-up detectors, without torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pkdcli.engine.analysis import activations
from pkdcli.runs.features import Features

STRIDES = {"P2": 4, "P3": 8, "P4": 16, "P5": 32, "P6": 64, "P7": 128}
TITLES = ("GFL-Res101", "FCOS-Res50", "FCOS-Res50, pkd")
KEYS = ("teacher", "student", "distilled")

MakeFeatures = Callable[..., Features]


@pytest.fixture(scope="session")
def make_features() -> MakeFeatures:
    """Features of so many detectors and images, with random maps of known sizes."""

    def make(
        detectors: int = 2,
        sizes: tuple[tuple[int, int], ...] = ((128, 160), (96, 160)),
        levels: tuple[tuple[str, ...], ...] = (("P3", "P4", "P5", "P6", "P7"),) * 3,
        channels: int = 8,
        boxes: bool = True,
        titles: tuple[str, ...] = TITLES,
        factors: tuple[float, ...] = (3.0, 1.0, 0.2),
    ) -> Features:
        generator = np.random.default_rng(0)
        about = [
            {"key": key, "title": titles[n], "weights": f"/weights/{key}.pth", "source": f"run {key}",
             "levels": [{"name": name, "stride": STRIDES[name], "channels": channels} for name in levels[n]]}
            for n, key in enumerate(KEYS[:detectors])
        ]  # fmt: skip
        pictures = [
            {"path": f"/images/{n}.png", "size": list(size), "boxes": [[10.0, 20.0, 60.0, 70.0]] if boxes else None}
            for n, size in enumerate(sizes)
        ]
        meta = {"pair": "gfl101-fcos50", "data": "micro", "scale": "tiny", "seed": 0, "detectors": about,
                "images": pictures, "statistics": [], "noise": []}  # fmt: skip
        pixels = {f"image/{n}": generator.integers(0, 256, (*size, 3), dtype=np.uint8) for n, size in enumerate(sizes)}
        found = Features(meta, pixels)
        for level in found.levels_of_all():
            stride = STRIDES[level]
            maps = {
                key: [
                    (factors[n] * generator.normal(size=(channels, -(-h // stride), -(-w // stride)))).astype(
                        np.float32
                    )
                    for h, w in sizes
                ]
                for n, key in enumerate(KEYS[:detectors])
            }
            _add(found, level, maps)
        return found

    return make


def _add(found: Features, level: str, maps: dict[str, list[np.ndarray]]) -> None:
    edges, counts = activations.histograms(maps)
    found.arrays[f"edges/{level}"] = edges
    for key, of in maps.items():
        found.arrays[f"histogram/{key}/{level}"] = counts[key]
        row = {"detector": key, "level": level, "stride": STRIDES[level], "channels": len(of[0])}
        found.meta["statistics"].append({**row, **activations.summary(of)})
        for n, (one, after) in enumerate(zip(of, activations.standardised(of), strict=True)):
            for name, reduce in activations.REDUCTIONS.items():
                found.arrays[f"pattern/{key}/{level}/{n}/{name}"] = reduce(one)
            found.arrays[f"channels/{key}/{level}/{n}/before"] = activations.dominant_channels(one)
            found.arrays[f"channels/{key}/{level}/{n}/after"] = activations.dominant_channels(after)
            image = found.images[n]
            if image["boxes"]:
                covered = activations.coverage(image["boxes"], image["size"], STRIDES[level], one.shape[1:])
                row = {"detector": key, "level": level, "image": n, **activations.noise(one, covered)}
                found.meta["noise"].append(row)
