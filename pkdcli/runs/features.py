"""What was measured of some detectors' feature maps, in one .npz file: all that the figures are drawn from."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pkdcli.errors import PkdError
from pkdcli.runs.store import write_with

SCHEMA = 1


@dataclass(frozen=True)
class Features:
    """Measured feature maps; see `pkdcli.engine.analysis.activations` for what each number means.

    Attributes:
        meta: `pair`, `data`, `scale`, `seed`; `detectors` (`key`, `title`, `weights`, `source` and `levels`: `name`,
            `stride`, `channels`); `images` (`path`, `size`: height and width as the detectors see it, `boxes` or None);
            `statistics`, one a detector and level; `noise`, one a detector, level and image with boxes.
        arrays: By the names that the methods put together.
    """

    meta: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def detectors(self) -> list[dict[str, Any]]:
        """The detectors, the teacher first."""
        return self.meta["detectors"]

    @property
    def images(self) -> list[dict[str, Any]]:
        """The images, in order."""
        return self.meta["images"]

    def levels_of_all(self) -> list[str]:
        """The levels that every detector has, finest first."""
        common = [{level["name"] for level in one["levels"]} for one in self.detectors]
        return [one["name"] for one in self.detectors[0]["levels"] if all(one["name"] in names for names in common)]

    def stride(self, level: str) -> int:
        """Pixels a position."""
        return next(one["stride"] for one in self.detectors[0]["levels"] if one["name"] == level)

    def pixels(self, image: int) -> np.ndarray:
        """The image as the detectors see it, (height, width, 3), RGB, uint8."""
        return self.arrays[f"image/{image}"]

    def pattern(self, detector: str, level: str, image: int, reduce: str) -> np.ndarray:
        """An activation pattern (H, W): the channels reduced to one number a position.

        Args:
            detector: The key of a detector, one of `features.detectors`.
            level: The name of a stage, such as `P3`.
            image: The place of an image, from 0.
            reduce: How the channels became one number: `max`, `mean` or `norm`.
        """
        return self.arrays[f"pattern/{detector}/{level}/{image}/{reduce}"]

    def numbers(self, detector: str, level: str, image: int, normalised: bool) -> np.ndarray:
        """(C,): in how many positions each channel dominates.

        Args:
            detector: The key of a detector, one of `features.detectors`.
            level: The name of a stage, such as `P3`.
            image: The place of an image, from 0.
            normalised: Of the feature maps after the normalisation that PKD applies, not before it.
        """
        return self.arrays[f"channels/{detector}/{level}/{image}/{'after' if normalised else 'before'}"]

    def histogram(self, detector: str, level: str) -> tuple[np.ndarray, np.ndarray]:
        """Counts of the values of all channels, positions and images (n,), and the edges of their bins (n + 1,).

        Args:
            detector: The key of a detector, one of `features.detectors`.
            level: The name of a stage, such as `P3`.
        """
        return self.arrays[f"histogram/{detector}/{level}"], self.arrays[f"edges/{level}"]

    def statistics(self, detector: str, level: str) -> dict[str, Any]:
        """The summary of a level's values.

        Args:
            detector: The key of a detector, one of `features.detectors`.
            level: The name of a stage, such as `P3`.
        """
        rows = self.meta["statistics"]
        return next(row for row in rows if (row["detector"], row["level"]) == (detector, level))

    def noise(self, detector: str, level: str, image: int) -> dict[str, Any] | None:
        """`share` of the activation and of the `area` outside the boxes; None where the image has no boxes.

        Args:
            detector: The key of a detector, one of `features.detectors`.
            level: The name of a stage, such as `P3`.
            image: The place of an image, from 0.
        """
        key = (detector, level, image)
        return next((row for row in self.meta["noise"] if (row["detector"], row["level"], row["image"]) == key), None)

    def each(self) -> Iterator[tuple[str, str]]:
        """Every (detector, level)."""
        for detector in self.detectors:
            for level in self.levels_of_all():
                yield detector["key"], level

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        content = {"meta": np.array(json.dumps({"schema": SCHEMA, **self.meta})), **self.arrays}

        def save(beside: Path) -> None:
            with open(beside, "wb") as file:  # given a name, numpy would add an ending to it
                np.savez_compressed(file, **content)

        write_with(path, save)

    @classmethod
    def read(cls, path: Path) -> Features:
        """Read the file.

        Raises:
            PkdError: It is absent, damaged, or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            meta = json.loads(str(arrays.pop("meta")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise PkdError(f"{path} is no file of measured features.", "Make it with `pkd visualize`.") from error
        if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
            raise PkdError(f"{path} is of another version of pkd.", "Make it again with `pkd visualize`.")
        return cls(meta, arrays)
