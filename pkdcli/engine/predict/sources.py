"""Images and the frames of videos, loaded ahead of the detector; what can't be read is named, and the others go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from pkdcli import cores
from pkdcli.errors import PkdError

Pipeline = Callable[[dict[str, Any]], dict[str, Any]]
"""mmengine's `Compose` of the test transforms behind the one that loads."""

READERS = 4  # threads at most, which decode and resize


@dataclass(frozen=True)
class Loaded:
    """One image or frame, ready for the detectors, or why it is not.

    Attributes:
        place: Of its file among those that were asked for.
        frame: Its number in a video, from 0; None for an image.
        inputs: By pipeline, what the transforms have packed; empty where it can't be read.
        why: What is wrong with it, in words.
    """

    place: int
    frame: int | None = None
    inputs: Sequence[dict[str, Any]] = field(default=())
    why: str | None = None


def load(
    items: Sequence[Mapping[str, Any]],
    read: Callable[[str], np.ndarray],
    pipelines: Sequence[Pipeline],
    ahead: int,
) -> Iterator[Loaded]:
    """Each image in turn, and each frame of a video; so many are loaded ahead, whatever their number.

    Args:
        items: Each `path`, and whether it is a `video`.
        read: From an image's path to its pixels (H, W, 3), uint8, BGR.
        pipelines: Each makes an image ready for one of the detectors.
        ahead: Images at most that are ready and not yet asked for.
    """
    waiting: deque[Future[Loaded]] = deque()
    pool = ThreadPoolExecutor(max(1, min(READERS, cores.share())))
    try:
        for work in _jobs(items, read, pipelines):
            waiting.append(pool.submit(work))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _jobs(
    items: Sequence[Mapping[str, Any]], read: Callable[[str], np.ndarray], pipelines: Sequence[Pipeline]
) -> Iterator[Callable[[], Loaded]]:
    """What is to be done for each image, in a thread; the frames of a video come one after the other from here."""
    for place, item in enumerate(items):
        if item["video"]:
            for number, (pixels, why) in enumerate(frames(item["path"])):
                yield _ready(place, number, lambda pixels=pixels: pixels, pipelines, why)
        else:
            yield _ready(place, None, lambda path=item["path"]: read(path), pipelines)


def _ready(
    place: int,
    frame: int | None,
    pixels_of: Callable[[], np.ndarray],
    pipelines: Sequence[Pipeline],
    why: str | None = None,
) -> Callable[[], Loaded]:
    def work() -> Loaded:
        if why is not None:
            return Loaded(place, frame, why=why)
        try:
            pixels = pixels_of()
            return Loaded(place, frame, [one(_results(pixels, place)) for one in pipelines])
        except PkdError as error:
            return Loaded(place, frame, why=error.message)
        except Exception as error:  # a transform of the user's, or one that makes nothing of so thin an image
            return Loaded(place, frame, why=f"can't be made ready for the detector: {error}")

    return work


def _results(pixels: np.ndarray, place: int) -> dict[str, Any]:
    shape = pixels.shape[:2]
    return {"img": pixels, "img_path": None, "img_id": place, "img_shape": shape, "ori_shape": shape}


def frames(path: str) -> Iterator[tuple[np.ndarray | None, str | None]]:
    """The frames of a video (H, W, 3), BGR; last of all, where it is so, None and what is wrong with it.

    Args:
        path: Of the file.
    """
    video = cv2.VideoCapture(path)
    try:
        if not video.isOpened():
            yield None, f"{path} can't be opened as a video"
            return
        told, number = int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0
        while True:
            there, pixels = video.read()
            if not there:
                break
            number += 1
            yield pixels, None
        # Some formats do not count their frames: opencv guesses from the length in seconds.
        if number < told - max(1, told // 100):
            yield None, f"{path} ends early: {number} of {told} frames can be read"
        elif not number:
            yield None, f"{path} has no frame that can be read"
    finally:
        video.release()
