"""How large images are: what scale and data set say, and what that makes of the sizes in a config's own pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pkdcli.recipe.schema import Recipe

COCO = (1333, 800)
"""(longest, shorter) side of scale `paper`, which limits no pipeline of a config's own."""
STEP = 32
"""Sizes that are multiples of this in a config, as a detector's strides want them, stay so."""

# Arguments of transforms and of batch augments that are sizes in pixels. Numbers that are no integers are shares.
_SIZES = {"scale", "scales", "img_scale", "crop_size", "size", "max_size", "border", "max_shift_px", "cutout_shape",
          "random_size_range"}  # fmt: skip
_CUTS = {"crop_size", "random_size_range"}  # pairs of two bounds or of sides that are cut, whatever the longer one


def image_size(recipe: Recipe) -> tuple[int, int]:
    """(longest, shorter) side in pixels that images are resized into, keeping their ratio."""
    longest, shorter = recipe.scale.image
    if recipe.data.image and not recipe.scale.upscale:
        return min(longest, recipe.data.image), min(shorter, recipe.data.image)
    return longest, shorter


def sides(size: tuple[int, int]) -> str:
    """A size of images in words: `1333x800`."""
    return f"{size[0]}x{size[1]}"


class Shrinking(NamedTuple):
    """What the sizes of a config's own pipeline are multiplied by.

    Attributes:
        long: The longer sides of images; where it is the smaller factor, wide images are limited as everywhere here.
        short: All else.
    """

    long: float = 1.0
    short: float = 1.0

    def steps(self, steps: Sequence[Any]) -> list[Any]:
        """Transforms, or batch augments, with all their sizes in proportion; a copy.

        Args:
            steps: As a config has them; those inside of others too.
        """
        return [self._step(step) for step in steps]

    def side(self, length: int) -> int:
        """A side in pixels; at least one, and of a multiple of 32 another."""
        return self._rounded(length * self.short, length % STEP == 0)

    def size(self, pair: Sequence[int], *, cut: bool = False) -> tuple[int, ...]:
        """Two sides in pixels, in the order in which they are given.

        Args:
            pair: Width and height, or height and width.
            cut: The longer one is no image's longest side.
        """
        whole = all(side % STEP == 0 for side in pair)
        if cut or len(set(pair)) == 1:
            return tuple(self._rounded(side * self.short, whole) for side in pair)
        long = self._rounded(max(pair) * self.long, whole)
        short = min(long, self._rounded(min(pair) * self.short, whole))
        return (long, short) if pair[0] > pair[1] else (short, long)

    @staticmethod
    def _rounded(length: float, whole: bool) -> int:
        return max(1, round(length / STEP)) * STEP if whole else max(1, round(length))

    def _step(self, step: Any) -> Any:
        if isinstance(step, (list, tuple)):
            return type(step)(self._step(item) for item in step)
        if not isinstance(step, dict):
            return step
        return {key: self._sized(key, value) if key in _SIZES else self._step(value) for key, value in step.items()}

    def _sized(self, key: str, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            if len(value) == 2 and all(map(_counts, value)):
                if min(value) < 0:  # what is taken off at both sides of a picture
                    return type(value)(-side // 2 for side in self.size([-2 * side for side in value]))
                return type(value)(self.size(value, cut=key in _CUTS))
            return type(value)(self._sized(key, item) for item in value)
        return self.side(value) if _counts(value) else value


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def shrinking(limit: tuple[int, int], own: tuple[int, int] | None, *, upscale: bool) -> Shrinking:
    """How the sizes of a config's own pipeline become those of a scale: its test images become as large as all others.

    Args:
        limit: (longest, shorter) side, as `image_size` gives it.
        own: Of the config's test images; None where it does not say.
        upscale: The scale gives a size, not a limit; that of COCO leaves every config as it is.
    """
    if upscale and limit == COCO:
        return Shrinking()
    longest, shorter = own or COCO
    return Shrinking(min(1.0, limit[0] / longest), min(1.0, limit[1] / shorter))
