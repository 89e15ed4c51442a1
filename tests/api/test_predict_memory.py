"""`pkd predict` holds a few images at a time, however many there are: counted, and measured over hundreds of them."""

from __future__ import annotations

import gc
import json
import pathlib
import threading
import time
import tracemalloc
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

from pkdcli.api.predict import background, keep
from pkdcli.api.predict.inputs import Input
from pkdcli.data.images.reading import Reading
from pkdcli.engine.predict.detect import batches
from pkdcli.engine.predict.sources import READERS, load
from pkdcli.errors import ExitCode, PkdError

IMAGES, SIDE = 400, 64


class Counted:
    """Counts the arrays that are alive, and the most there were at a time."""

    def __init__(self) -> None:
        self.alive = self.most = 0
        self._lock = threading.Lock()

    def array(self) -> np.ndarray:
        made = np.zeros((SIDE, SIDE, 3), np.uint8)
        self._add(1)
        weakref.finalize(made, self._add, -1)
        return made

    def _add(self, change: int) -> None:
        with self._lock:
            self.alive += change
            self.most = max(self.most, self.alive)


@pytest.mark.parametrize("batch", [1, 8])
def test_the_process_holds_those_ahead_and_a_batch(batch):
    counted = Counted()
    items = [{"path": str(n), "video": False} for n in range(IMAGES)]
    images = load(items, lambda _: counted.array(), [lambda results: results], 2 * batch)
    seen = 0
    for some in batches(images, batch):
        seen += len(some)
        time.sleep(0.001 * batch)  # the detector is slower than the readers, who would run away
    del some
    gc.collect()
    assert (seen, counted.alive) == (IMAGES, 0)
    # Ready or being read; the batch that is looked at, the one that is collected meanwhile, and the next one.
    assert counted.most <= 2 * batch + 1 + 2 * batch + READERS


def keeper(folder: Path, given: list[Input]) -> keep.Keeper:
    made = keep.Keeper(folder, "memory", given, 0.3, True, True, Reading(), lambda classes: list(enumerate(classes, 1)))
    made.begin({"student": ["cat", "dog"]})
    return made


def line(place: int, frame: int | None = None) -> dict:
    rows = [[5.0, 5.0, 40.0 + place % 9, 50.0, 0.9 - place % 50 / 100, place % 2] for _ in range(3)]
    known = {"place": place, "frame": frame, "size": [SIDE, SIDE]}
    return {**known, "found": {"student": rows}, "seconds": {"student": 0.1}}


def held_now() -> int:
    """Bytes that are held, but for Python's own table of names, which pathlib fills and which doubles now and then."""
    names = tracemalloc.Filter(False, pathlib.__file__)
    return sum(one.size for one in tracemalloc.take_snapshot().filter_traces([names]).statistics("filename"))


def test_the_command_holds_what_waits_to_be_drawn(tmp_path, monkeypatch):
    """After the first hundred images, which fill caches, memory does not grow with what is found in the next ones."""
    counted = Counted()

    def slow(*_):
        time.sleep(0.002)  # drawing that can't keep up with the detector
        return counted.array()

    monkeypatch.setattr(keep, "read", slow)
    given = [Input(tmp_path / f"{n:04}.png", f"{n:04}.png", False) for n in range(IMAGES)]
    kept = keeper(tmp_path / "found", given)
    tracemalloc.start()
    try:
        held = []
        for n in range(IMAGES):
            kept.add(line(n))
            if n % 100 == 99:
                gc.collect()
                held.append(held_now())
        kept.close()
    finally:
        tracemalloc.stop()
    assert counted.most <= background.WAITING + 1
    # An image in memory would be 12,288 bytes, 3.7 MB in all; what is kept of each is its time, as a number.
    assert max(held) - held[0] < 100_000, held
    gc.collect()
    assert counted.alive == 0
    assert len(list((tmp_path / "found" / "pictures").iterdir())) == IMAGES
    assert len(json.loads((tmp_path / "found" / "predictions.json").read_text())["annotations"]) == 3 * IMAGES


def test_frames_keep_their_order_and_the_page_its_rows(tmp_path):
    video = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (SIDE, SIDE))
    for n in range(40):
        video.write(np.full((SIDE, SIDE, 3), 6 * n, np.uint8))
    video.release()
    kept = keeper(tmp_path / "found", [Input(tmp_path / "a.avi", "a.avi", True)])
    for n in range(40):
        kept.add(line(0, n) | {"found": {"student": []}})
    kept.close()
    drawn, grey = cv2.VideoCapture(str(tmp_path / "found" / "pictures" / "a.mp4")), []
    while (frame := drawn.read())[0]:
        grey.append(float(frame[1].mean()))
    assert grey == pytest.approx([6 * n for n in range(40)], abs=6)
    pages = sorted((tmp_path / "found" / "page").iterdir())
    assert [float(cv2.imread(str(page)).mean()) for page in pages] == pytest.approx([6 * n for n in range(40)], abs=6)


def test_what_goes_wrong_in_a_thread_is_raised(tmp_path, monkeypatch):
    """A disk that is full: said by the next image or at the end, and the tables are whole."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keep, "side_by_side", full)
    given = [Input(tmp_path / f"{n}.png", f"{n}.png", False) for n in range(2)]
    for one in given:
        cv2.imwrite(str(one.path), np.zeros((SIDE, SIDE, 3), np.uint8))
    kept = keeper(tmp_path / "found", given)
    kept.add(line(0))
    with pytest.raises(PkdError) as caught:
        kept.close()
    assert caught.value.message == f"no space left to write {tmp_path / 'found'}."
    assert caught.value.code == ExitCode.MISSING
    assert len(json.loads((tmp_path / "found" / "predictions.json").read_text())["annotations"]) == 3
