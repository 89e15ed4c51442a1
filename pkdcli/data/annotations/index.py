"""What a training reads of an annotation file, as arrays in which an image's annotations stand together.

A list of a hundred thousand dicts takes gigabytes in every process; these arrays can be a file that all processes of a
machine share (`pkdcli.data.annotations.cache`), and an image's dict is made when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pkdcli.data.annotations.masks import FLAT_POLYGON, NO_MASK
from pkdcli.data.annotations.read import Annotations

PIECE = 1 << 15  # annotations whose masks are put together at a time


@dataclass(frozen=True, eq=False)
class AnnotationIndex:
    """N images in the file's order, M annotations by their images, then in the file's order; K classes.

    Attributes:
        classes: K names, in the file's order.
        image_id: int64 (N,).
        size: float64 (N, 2), width and height in pixels as the file says.
        names: uint8, the images' paths in UTF-8, one behind the other.
        name_end: int64 (N,), where each ends.
        first: int64 (N + 1,), where an image's annotations begin.
        category: int32 (M,), the place of the class.
        bbox: float64 (M, 4), x, y, width, height in pixels.
        kept: bool (M,), what mmdet's CocoDataset keeps.
        crowd: bool (M,).
        mask: uint8 (M,), the form of the segmentation (`pkdcli.data.annotations.masks`).
        masks: uint8, the segmentations as JSON text, one behind the other.
        mask_end: int64 (M,), where each ends.
        again: Makes the same index in another process, where the arrays are a file; None to send them along.
    """

    classes: list[str]
    image_id: np.ndarray
    size: np.ndarray
    names: np.ndarray = field(repr=False)
    name_end: np.ndarray = field(repr=False)
    first: np.ndarray = field(repr=False)
    category: np.ndarray = field(repr=False)
    bbox: np.ndarray = field(repr=False)
    kept: np.ndarray = field(repr=False)
    crowd: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    masks: np.ndarray = field(repr=False)
    mask_end: np.ndarray = field(repr=False)
    again: tuple[Callable, tuple] | None = field(default=None, repr=False)

    def __reduce__(self) -> tuple:
        """A process that takes over a file's arrays opens the file: a copy would be as large as the file."""
        return self.again or (AnnotationIndex, (self.classes, *(getattr(self, name) for name in ARRAYS)))

    def with_any_of(self, labels: np.ndarray) -> np.ndarray:
        """bool (N,): images with an annotation of a class that has a label (K,) of 0 or more, kept or not."""
        counts = np.concatenate([[0], np.cumsum(labels[self.category] >= 0)])
        return counts[self.first[1:]] > counts[self.first[:-1]]

    def file_name(self, place: int) -> str:
        """An image's path, relative to the folder of the images."""
        return _piece(self.names, self.name_end, place).decode("utf-8", "surrogatepass")

    def instances(self, place: int, labels: Sequence[int]) -> list[dict[str, Any]]:
        """An image's objects as mmdet's CocoDataset gives them.

        Args:
            place: The image's.
            labels: Of each class (K,), -1 for one that is left out.
        """
        begin, end = self.first[place : place + 2].tolist()
        found = []
        rows = zip(
            range(begin, end),
            self.category[begin:end].tolist(),
            self.kept[begin:end].tolist(),
            self.bbox[begin:end].tolist(),
            self.crowd[begin:end].tolist(),
            self.mask[begin:end].tolist(),
            strict=True,
        )
        for number, category, kept, (x, y, width, height), crowd, mask in rows:
            if not kept or labels[category] < 0:
                continue
            instance: dict[str, Any] = {"ignore_flag": int(crowd), "bbox": [x, y, x + width, y + height]}
            instance["bbox_label"] = labels[category]
            if mask != NO_MASK:
                value = json.loads(_piece(self.masks, self.mask_end, number))
                instance["mask"] = [value] if mask == FLAT_POLYGON else value
            found.append(instance)
        return found


ARRAYS = tuple(name for name in AnnotationIndex.__dataclass_fields__ if name not in ("classes", "again"))


def _piece(text: np.ndarray, ends: np.ndarray, place: int) -> bytes:
    begin = ends[place - 1] if place else 0
    return text[begin : ends[place]].tobytes()


class IndexMaker:
    """Turns annotations into an index; the masks, which are most of it, come piece by piece."""

    def __init__(self, annotations: Annotations) -> None:
        self._annotations = annotations
        self._order = np.argsort(annotations.image, kind="stable")
        names = [name.encode("utf-8", "surrogatepass") for name in annotations.file_name]
        order = self._order
        counts = np.bincount(annotations.image, minlength=len(names))
        length = np.where(annotations.mask == NO_MASK, 0, annotations.segmentation_length)[order]
        self._begin, self._length = annotations.segmentation_begin[order], length
        self.classes = annotations.classes
        self.masks_size = int(length.sum())
        self.arrays = {
            "image_id": annotations.image_id,
            "size": annotations.size,
            "names": np.frombuffer(b"".join(names), dtype=np.uint8),
            "name_end": np.cumsum([len(name) for name in names], dtype=np.int64),
            "first": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            "category": annotations.category[order].astype(np.int32),
            "bbox": annotations.bbox[order],
            "kept": annotations.loaded[order],
            "crowd": annotations.iscrowd[order],
            "mask": annotations.mask[order],
            "mask_end": np.cumsum(length, dtype=np.int64),
        }
        """All but `masks`."""

    def masks(self) -> Iterator[bytes]:
        """The masks' text, in pieces."""
        text = self._annotations.text
        for at in range(0, len(self._order), PIECE):
            begins, lengths = self._begin[at : at + PIECE].tolist(), self._length[at : at + PIECE].tolist()
            yield b"".join(text[begin : begin + size] for begin, size in zip(begins, lengths, strict=True))

    def in_memory(self) -> AnnotationIndex:
        """The index as arrays of this process."""
        masks = np.frombuffer(b"".join(self.masks()), dtype=np.uint8)
        return AnnotationIndex(self.classes, **self.arrays, masks=masks)
