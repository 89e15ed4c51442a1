"""Transforms one after the other, those among them that mix an image with others of the data set.

mmdet hands `Mosaic`, `MixUp` and `CopyPaste` other images through a wrapper of the data set, and has `CachedMosaic` and
`CachedMixUp` keep the images that went through them before: those depend on which process has loaded what, and are
lost when a run stops. Here all are handed images of the data set that they draw themselves, with the random numbers of
the image that they mix them into. What they do with them is mmdet's own code.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mmdet.registry import TRANSFORMS

from pkdcli.engine.data.loaded_images import LoadedImages
from pkdcli.errors import PkdError

Info = dict[str, Any]
"""What is known of an image, from its file to the tensors of its boxes, as transforms hand it on."""

TRIES = 15
"""Partners that are drawn where a transform drops one after the other; as many as mmdet's."""


class Partners(Sequence):
    """The images of a data set as mixing transforms see them: each is made ready when it is asked for.

    It takes the place of mmdet's data set and of the list of images that `CachedMosaic` and `CachedMixUp` keep: nothing
    can be added to it or taken from it.

    Args:
        count: Images.
        make: Makes the image of an index ready; None where a transform drops it.
        itself: The last of the list is the image that is mixed, which is never drawn.
    """

    def __init__(self, count: int, make: Callable[[int], Info | None], *, itself: bool = False) -> None:
        self._count = count
        self._make = make
        self._itself = itself
        self._made: dict[int, Info] = {}

    def __len__(self) -> int:
        return self._count + self._itself

    def __getitem__(self, index: int) -> Info:
        if index not in self._made:
            found, place = self._make(index), index
            for _ in range(TRIES):
                if found is not None:
                    break
                place = random.randrange(self._count)
                found = self._make(place)
            if found is None:
                raise PkdError(f"the pipeline dropped {TRIES} images in a row that others were to be mixed with.")
            self._made[index] = found
        return self._made[index]

    def append(self, image: Info) -> None:
        """What a transform would keep; the data set has it."""

    def pop(self, index: int = -1) -> None:
        """What a transform would keep no longer."""


class MixingPipeline:
    """Transforms, of which some mix.

    Args:
        steps: Sections of transforms, or these themselves.
        partner_steps: Through so many of the first an image goes that is mixed into another by `Mosaic`, `MixUp` or
            `CopyPaste`; None for those that load it. For `CachedMosaic` and `CachedMixUp` it is all before them.
        count: Images of the data set.
        info: Gives what is known of an image by its index.
    """

    def __init__(
        self, steps: Sequence[Any], partner_steps: int | None, count: Callable[[], int], info: Callable[[int], Info]
    ) -> None:
        self.transforms = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in steps]
        self.partner_steps = _loading(self.transforms) if partner_steps is None else partner_steps
        self._count, self._info = count, info

    def __call__(self, info: Info) -> Info | None:
        """An image through all of them; None where one drops it.

        Args:
            info: What is known of the image.
        """
        return self._run(info, len(self.transforms))

    def _run(self, info: Info | None, steps: int) -> Info | None:
        for place in range(min(steps, len(self.transforms))):
            info = self.step(info, place)
            if info is None:
                return None
        return info

    def step(self, info: Info, place: int) -> Info | None:
        """An image through one of the transforms; None where it is dropped.

        Args:
            info: The image behind those before.
            place: Of the transform.
        """
        transform = self.transforms[place]
        return mixed(transform, info, self.partners_of(place)) if mixes(transform) else transform(info)

    def partners_of(self, place: int) -> Partners:
        """The images that a mixing transform draws from.

        Args:
            place: Of the transform.
        """
        kept = keeps(self.transforms[place])
        steps = place if kept else min(place, self.partner_steps)
        return Partners(self._count(), partial(self._partner, steps=steps), itself=kept)

    def _partner(self, index: int, steps: int) -> Info | None:
        return self._run(self._info(index), steps)


def mixes(transform: Any) -> bool:
    """Whether a transform mixes an image with others."""
    return hasattr(transform, "get_indexes")


def keeps(transform: Any) -> bool:
    """Whether it takes those from the images that went through it before."""
    return hasattr(transform, "results_cache")


def mixed(transform: Any, info: Info, partners: Partners) -> Info | None:
    """An image mixed with others, by mmdet's own transform.

    Args:
        transform: One that mixes.
        info: The image.
        partners: It draws some of these.
    """
    if keeps(transform):
        transform.results_cache = partners
        try:
            return transform(info)
        finally:
            transform.results_cache = []
    drawn = transform.get_indexes(partners)
    indices = drawn if isinstance(drawn, Sequence) else [drawn]
    info["mix_results"] = [copy.deepcopy(partners[index]) for index in indices]
    found = transform(info)
    if found is not None:
        found.pop("mix_results", None)
    return found


def keep_loaded(transforms: Sequence[Any], images: LoadedImages) -> None:
    """Have the transforms that load images keep some of them.

    Args:
        transforms: Of a pipeline.
        images: Where they are kept.
    """
    for transform in transforms:
        if hasattr(transform, "loaded"):
            transform.loaded = images


def _loading(transforms: Sequence[Any]) -> int:
    """How many of the first transforms load images and annotations."""
    names = [type(transform).__name__ for transform in transforms]
    return next((n for n, name in enumerate(names) if not name.startswith(("Load", "PkdLoad"))), len(names))
