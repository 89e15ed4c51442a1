"""Images that a process has loaded lately: those that mix images load each of them several times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

MEGABYTES = 256
"""Of pixels that a loader process keeps: all of a data set of small images, and a few hundred photos."""


class LoadedImages:
    """The pixels of images by their files, those that were asked for longest ago dropped first.

    Args:
        megabytes: So much is kept at most.
    """

    def __init__(self, megabytes: float = MEGABYTES) -> None:
        self.limit = int(megabytes * 2**20)
        self.bytes = 0
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()

    def get(self, path: str, load: Callable[[], np.ndarray]) -> np.ndarray:
        """An image, the caller's own copy: transforms write into what they are given.

        Args:
            path: Its file.
            load: Reads it, where it is not kept.
        """
        image = self._kept.get(path)
        if image is None:
            image = load()
            self._kept[path] = image
            self.bytes += image.nbytes
        else:
            self._kept.move_to_end(path)
        while self.bytes > self.limit:
            self.bytes -= self._kept.popitem(last=False)[1].nbytes
        return image.copy()

    def __len__(self) -> int:
        return len(self._kept)
