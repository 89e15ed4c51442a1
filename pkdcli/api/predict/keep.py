"""Keeps what is found, image by image: pictures, videos, COCO JSON, CSV, a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pkdcli.api.predict.background import Background
from pkdcli.api.predict.inputs import Input, file_names
from pkdcli.config.stock import palette
from pkdcli.data.images.pixels import read
from pkdcli.data.images.reading import Reading
from pkdcli.reporting.predictions.draw import Row, side_by_side
from pkdcli.reporting.predictions.page import Page
from pkdcli.reporting.predictions.write import CocoFile, CsvFile
from pkdcli.runs.store import cannot_write

PAGE_LOWEST = 0.05  # the least score that a page can show, unless less was asked for
QUALITY = 92  # of pictures
Categories = Callable[[Sequence[str]], list[tuple[int, str]]]


@dataclass
class Keeper:
    """Everything that is written of a prediction.

    Attributes:
        folder: Where.
        title: What was asked, for the page.
        given: The files.
        score: The lowest that is drawn and written.
        pictures: Draw.
        html: Write a page.
        reading: How images are read.
        categories: From a detector's classes to COCO's ids and their names.
    """

    folder: Path
    title: str
    given: Sequence[Input]
    score: float
    pictures: bool
    html: bool
    reading: Reading
    categories: Categories
    images: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def begin(self, classes: Mapping[str, Sequence[str]]) -> None:
        """Open the files.

        Args:
            classes: By detector, in the order of its labels.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.classes = classes
        known = list(dict.fromkeys(name for names in classes.values() for name in names))
        self.colours = dict(zip(known, palette(known), strict=True))
        self.counts = dict.fromkeys(classes, 0)
        self.seconds = {name: [] for name in classes}
        self.names = file_names(self.given)
        self.coco = {
            name: CocoFile(
                self.folder / ("predictions.json" if len(classes) == 1 else f"predictions-{name}.json"),
                self.categories(names),
                {"description": self.title, "model": name, "lowest_score": self.score},
            )
            for name, names in classes.items()
        }
        self.csv = CsvFile(self.folder / "predictions.csv", classes)
        page = self.folder / "page.html"
        self.page = Page(page, self.title, classes, self.colours, self.score, self.lowest) if self.html else None
        self._background = Background()
        self._video: _Video | None = None

    @property
    def lowest(self) -> float:
        """The least score that anything is needed of."""
        return min(self.score, PAGE_LOWEST) if self.html else self.score

    def add(self, line: Mapping[str, Any]) -> dict[str, list[Row]]:
        """One image or frame: what was found in it, at the score that was asked for.

        Args:
            line: As the process answers: `place`, `frame`, `size`, `found`, `seconds`.
        """
        one, frame = self.given[line["place"]], line["frame"]
        kept = {name: [row for row in rows if row[4] >= self.score] for name, rows in line["found"].items()}
        self.images += 1
        name = one.name if frame is None else f"{one.name}#{frame}"
        width, height = line["size"]
        for model, rows in kept.items():
            self.counts[model] += len(rows)
            _remember(self.seconds[model], line["seconds"][model])
            about: dict[str, Any] = {"id": self.images, "file_name": name, "width": width, "height": height}
            about |= {"path": str(one.path.absolute()), "seconds": round(line["seconds"][model], 6)}
            self.coco[model].add(about if frame is None else {**about, "frame": frame}, rows)
        self.csv.add(str(one.path), frame, kept)
        small = None if self.page is None else self.page.add(name, line["size"], line["found"])
        if self.pictures or small is not None:
            place = line["place"]
            if frame is None:
                self._background.at_any_time(lambda: self._picture(place, None, kept, small))
            else:  # frames are read and written one after the other
                self._background.in_turn(lambda: self._picture(place, frame, kept, small))
        return kept

    def _picture(self, place: int, frame: int | None, kept: Mapping[str, Sequence[Row]], small: Path | None) -> None:
        """Draw and write one picture, and its small copy for the page.

        Raises:
            PkdError: The disk is full, or can't be written.
        """
        pixels = self._pixels(place, frame)
        try:
            if small is not None:
                Page.save(small, pixels)
            if self.pictures:
                self._write(place, frame, side_by_side(pixels, kept, self.classes, self.colours))
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def _pixels(self, place: int, frame: int | None) -> np.ndarray:
        if frame is None:
            return read(self.given[place].path, None, self.reading)
        if self._video is None or self._video.place != place:
            self._end_video()
            self._video = _Video(place, self.given[place].path)
        return self._video.frame()

    def _write(self, place: int, frame: int | None, drawn: np.ndarray) -> None:
        import cv2

        path = self.folder / "pictures" / self.names[place]
        path.parent.mkdir(parents=True, exist_ok=True)
        if frame is None:
            path.write_bytes(cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
        elif self._video is not None:
            self._video.write(path, drawn)

    def _end_video(self) -> None:
        if self._video is not None:
            self._video.close()
            self._video = None

    def files(self) -> list[Path]:
        """The files that were written, the folder of pictures among them."""
        found = [self.folder / "pictures"] if self.pictures and self.images else []
        found += [*(one.path for one in self.coco.values()), self.csv.path]
        return found if self.page is None else [*found, self.page.path]

    def median_seconds(self) -> dict[str, float | None]:
        """By detector, the median of the seconds that it took for an image."""
        return {name: round(median(of), 6) if of else None for name, of in self.seconds.items()}

    def close(self) -> None:
        """Make whole what there is, also where it was stopped.

        Raises:
            PkdError: A picture could not be written.
        """
        try:
            self._background.close()
        finally:
            self._end_video()
            for one in (*self.coco.values(), self.csv, *([self.page] if self.page is not None else [])):
                one.close()


class _Video:
    """A video that is read once more, frame by frame, and written with boxes."""

    def __init__(self, place: int, path: Path) -> None:
        import cv2

        self.place = place
        self._read = cv2.VideoCapture(str(path))
        self._rate = self._read.get(cv2.CAP_PROP_FPS) or 25.0
        self._written: Any = None

    def frame(self) -> np.ndarray:
        """The next one; the process has read it too."""
        return self._read.read()[1]

    def write(self, path: Path, drawn: np.ndarray) -> None:
        import cv2

        height, width = drawn.shape[:2]
        if self._written is None:
            # The encoder halves colours' sides: an odd row or column is left out.
            self._size = (width - width % 2, height - height % 2)
            self._written = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), self._rate, self._size)
        self._written.write(np.ascontiguousarray(drawn[: self._size[1], : self._size[0]]))

    def close(self) -> None:
        self._read.release()
        if self._written is not None:
            self._written.release()


_KEPT = 1000


def _remember(times: list[float], seconds: float) -> None:
    """Keep the last so many, whatever the number of images."""
    times.append(seconds)
    if len(times) > _KEPT:
        del times[0]
