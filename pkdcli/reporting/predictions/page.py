"""The page of detections: pictures on which the browser draws the boxes above a score that is chosen there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pkdcli.pages import embedded, environment, inlined
from pkdcli.reporting.predictions.draw import Colour, Row

SIDE = 800  # pixels of the longer side of a picture on the page
QUALITY = 85
_HERE = Path(__file__).parent


class Page:
    """A page, and the folder of its pictures.

    Args:
        path: The HTML file; its pictures go into a folder of its name beside it.
        title: Its heading.
        classes: By detector, in the order of its labels.
        colours: By class.
        score: Where the slider stands at first.
        lowest: The least that it can be moved to.
    """

    def __init__(
        self,
        path: Path,
        title: str,
        classes: Mapping[str, Sequence[str]],
        colours: Mapping[str, Colour],
        score: float,
        lowest: float,
    ) -> None:
        self.path, self.pictures = path, path.with_suffix("")
        self._about: dict[str, Any] = {
            "title": title,
            "score": score,
            "lowest": lowest,
            "models": {name: list(names) for name, names in classes.items()},
            "colours": {name: "#" + bytes(colour).hex() for name, colour in colours.items()},
        }
        self.pictures.mkdir(parents=True, exist_ok=True)
        self._part = path.with_name(f".{path.name}.part")
        self._rows = self._part.open("w", encoding="utf-8")
        self._count = 0

    def add(self, name: str, size: Sequence[int], found: Mapping[str, Sequence[Row]]) -> Path:
        """One picture; returns the file that `save` is to write it to.

        Args:
            name: What is said of it.
            size: Its width and height in pixels.
            found: By detector, whatever the score.
        """
        self._count += 1
        file = self.pictures / f"{self._count:06}.jpg"
        rows = {model: [[*(round(side, 1) for side in row[:4]), *row[4:]] for row in of] for model, of in found.items()}
        record = {"name": name, "file": f"{self.pictures.name}/{file.name}", "size": list(size), "found": rows}
        self._rows.write(embedded(record) + "\n")
        return file

    @staticmethod
    def save(file: Path, pixels: np.ndarray) -> None:
        """Write a picture, smaller where it is large; any number at a time.

        Args:
            file: As `add` has named it.
            pixels: (H, W, 3), uint8, BGR.
        """
        import cv2

        height, width = pixels.shape[:2]
        by = min(1.0, SIDE / max(height, width))
        if by < 1:
            small = max(1, round(width * by)), max(1, round(height * by))
            pixels = cv2.resize(pixels, small, None, 0, 0, cv2.INTER_AREA)
        encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
        file.write_bytes(encoded.tobytes())

    def close(self) -> None:
        """Put the page together, and into its place; its data is read line by line."""
        from markupsafe import Markup

        self._rows.close()
        whole = self.path.with_name(f".{self.path.name}.whole")
        with open(self._part, encoding="utf-8") as rows, open(whole, "w", encoding="utf-8") as file:
            stream = (
                environment(_HERE)
                .get_template("predictions.html")
                .stream(
                    title=self._about["title"],
                    made_by="pkd predict",
                    count=self._count,
                    about=embedded(self._about),
                    rows=(Markup(("," if number else "") + row) for number, row in enumerate(rows)),
                    css=inlined(_HERE / "page.css"),
                    js=inlined(_HERE / "page.js"),
                )
            )
            for piece in stream:
                file.write(piece)
        os.replace(whole, self.path)
        self._part.unlink()
