"""How the images of a data set are read: what its recipe says, and what is found where it says nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pkdcli.data.checks.images import Pictures

_FEW_LEVELS = 64  # of 256 grey levels


@dataclass(frozen=True)
class Reading:
    """How the images of a data set are read.

    Attributes:
        exif: Where a photo's orientation leaves open which way up its boxes were drawn: on the picture as it is
            `shown`, upright, or as its pixels are `stored`.
        pixel_range: The values of deep pixels (more than 8 bits) that become 0 and 255; None for the type's own range.
    """

    exif: str = "shown"
    pixel_range: tuple[float, float] | None = None

    @classmethod
    def of(cls, exif: str | None = None, pixel_range: Collection[float] | None = None) -> Reading:
        """The same from the fields of a data recipe, None for the usual.

        Args:
            exif: `shown` or `stored`; None for `shown`.
            pixel_range: The values that become black and white; None for the type's own range.
        """
        return cls(exif or "shown", tuple(pixel_range) if pixel_range is not None else None)

    def options(self) -> dict[str, Any]:
        """The keys of the transform that loads images, as far as they are not the usual."""
        found: dict[str, Any] = {} if self.exif == "shown" else {"exif": self.exif}
        return found if self.pixel_range is None else {**found, "pixel_range": list(self.pixel_range)}


USUAL = Reading()


def settle(
    pictures: Collection[Pictures], exif: str | None, pixel_range: Collection[float] | None
) -> tuple[dict[str, Any], list[str]]:
    """How images are to be read.

    Args:
        pictures: What the images of each split are.
        exif: As the data recipe says; None to go by what was found.
        pixel_range: The same.

    Returns:
        `exif` and `pixel_range`, None where they are as usual, and what is to be said, in sentences.
    """
    found: dict[str, Any] = {"exif": exif, "pixel_range": pixel_range}
    said: list[str] = []
    if exif is None:
        found["exif"] = _exif(pictures, said)
    if pixel_range is None:
        found["pixel_range"] = _range(pictures, said)
    return found, said


def _exif(pictures: Collection[Pictures], said: list[str]) -> str | None:
    stored, shown, unsettled = (
        sum(getattr(one, name) for one in pictures) for name in ("n_stored", "n_shown", "n_open")
    )
    if stored:
        said.append(
            f"{stored} photos have an EXIF orientation and the annotated size of their pixels as stored: they are not "
            "turned."
        )
    if not unsettled:
        return None
    first = next(one.first_open for one in pictures if one.first_open)
    what = f"{unsettled} photos have an EXIF orientation that leaves their size as it is, the first is {first}"
    if stored and not shown:
        said.append(
            f"{what}: they are not turned either; if their boxes were drawn on the upright pictures, set `exif: shown` "
            "in the data recipe."
        )
        return "stored"
    if stored or not shown:
        said.append(
            f"{what}: they are turned upright; if their boxes were drawn on the pixels as stored, set `exif: stored` "
            "in the data recipe."
        )
    return None


def _range(pictures: Collection[Pictures], said: list[str]) -> list[float] | None:
    deep = [one for one in pictures if one.deep is not None]
    if not deep:
        return None
    low, high = min(one.deep[0] for one in deep), max(one.deep[1] for one in deep)
    bits = max(8, high.bit_length())
    top = 2**bits - 1
    what = f"images have 16 bits a pixel, the first is {deep[0].first_deep}; the values found go from {low} to {high}"
    levels = round((high - low) / top * 255) + 1
    if bits < 16:
        said.append(
            f"{what}: 0 to {top} become black to white. `pixel_range: [LOW, HIGH]` in the data recipe sets other "
            "values."
        )
    if levels < _FEW_LEVELS:
        said.append(
            f"{what}, which is {levels} of 256 grey levels: `pixel_range: [{low}, {high}]` in the data recipe spreads "
            "them."
        )
    return [0.0, float(top)] if bits < 16 else None
