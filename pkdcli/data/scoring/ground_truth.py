"""The annotations of a split as the evaluation sees them: the same reading as the check's and the training's.

hotcoco is given columns with ids of their own, 1 to N in the order of the file's ids, since a detection's id must fit
into a float there. So nothing that the check accepts can be refused or mistaken here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np

from pkdcli.data.annotations.read import Annotations, read
from pkdcli.errors import ExitCode, PkdError, nearest


class GroundTruth:
    """Annotations whose images and classes are also known by numbers from 1, in ascending order of their ids.

    Attributes:
        annotations: The file's content in columns.
        images: int64 (N,), the place in the file of each number's image, number 1 first.
        classes: int64 (K,), the same for classes.
    """

    def __init__(self, annotations: Annotations) -> None:
        self.annotations = annotations
        self.images = np.argsort(annotations.image_id, kind="stable")
        self.classes = np.argsort(annotations.category_id, kind="stable")
        self._image_numbers = _numbers(annotations.image_id[self.images])
        self._class_numbers = _numbers(annotations.category_id[self.classes])

    @cached_property
    def coco(self) -> hotcoco.COCO:
        """What hotcoco evaluates against; an annotation to `ignore` is to it a crowd, which it does not count."""
        truth = self.annotations
        image, category = np.empty_like(self.images), np.empty_like(self.classes)
        image[self.images] = np.arange(1, len(image) + 1)
        category[self.classes] = np.arange(1, len(category) + 1)
        return hotcoco.COCO.from_arrays(
            [{"id": number} for number in range(1, len(image) + 1)],
            [{"id": number, "name": truth.classes[place]} for number, place in enumerate(self.classes.tolist(), 1)],
            image[truth.image],
            category[truth.category],
            truth.bbox,
            area=truth.area,
            iscrowd=truth.iscrowd | truth.ignore,
        )

    def image_number(self, image_id: Any) -> int:
        """The number of an image by its id, 0 where the file has none of it."""
        return self._image_numbers.get(image_id, 0)

    def class_number(self, category_id: Any) -> int:
        """The number of a class by its id, 0 where the file has none of it."""
        return self._class_numbers.get(category_id, 0)

    def image_place(self, image_id: int) -> int:
        """The place of an image in the file by its id, which the file has."""
        return int(self.images[self._image_numbers[image_id] - 1])

    def class_place(self, category_id: int) -> int:
        """The place of a class in the file by its id, which the file has."""
        return int(self.classes[self._class_numbers[category_id] - 1])

    def image_ids(self, numbers: np.ndarray) -> np.ndarray:
        """int64 ids of images by their numbers."""
        return self.annotations.image_id[self.images[numbers - 1]]

    def category_ids(self, numbers: np.ndarray) -> np.ndarray:
        """int64 ids of classes by their numbers."""
        return self.annotations.category_id[self.classes[numbers - 1]]

    def class_numbers(self, names: Sequence[str]) -> list[int]:
        """The number of each class by its name.

        Raises:
            PkdError: The file has no category of that name.
        """
        known = {self.annotations.classes[place]: number for number, place in enumerate(self.classes.tolist(), 1)}
        missing = [name for name in names if name not in known]
        if missing:
            listed = self.annotations.classes
            guess = nearest(missing[0], listed)
            raise PkdError(
                f"the annotation file has no category {', '.join(repr(name) for name in missing)}; it has "
                f"{', '.join(repr(name) for name in listed) or 'none at all'}.",
                (f"Did you mean {guess!r}? " if guess else "")
                + 'Every class of the model must be listed under "categories" of the evaluated split, with or without '
                "objects.",
            )
        return [known[name] for name in names]


def _numbers(ids: np.ndarray) -> dict[int, int]:
    return {id_: number for number, id_ in enumerate(ids.tolist(), 1)}


def load_annotations(ann_file: str | Path) -> GroundTruth:
    """The annotations of a COCO-format file.

    Raises:
        PkdError: The file is absent (exit code 3) or is not COCO-format JSON, with the key path of what is wrong.
    """
    file, remedy = Path(ann_file), "Check the path in the data recipe."
    try:
        return GroundTruth(read(file, absent=ExitCode.MISSING, remedy=remedy, segmentations=False))
    except PkdError as error:
        if error.code == ExitCode.USAGE:
            error.message = f"{file} is not a COCO-format annotation file: {error.message}"
        raise
