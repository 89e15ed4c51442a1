"""Detections as COCO JSON and as CSV, written image by image, so that memory does not grow with their number."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pkdcli.reporting.predictions.draw import Row

COLUMNS = ("model", "image", "frame", "class", "score", "x1", "y1", "x2", "y2")


class CocoFile:
    """A COCO file of detections: its annotations have a `score`, so they serve as results too (`loadRes`).

    Args:
        path: The file; until `close` it stands beside under another name.
        categories: COCO's id of each label's class, and its name.
        info: What stands under `info`.
    """

    def __init__(self, path: Path, categories: Sequence[tuple[int, str]], info: Mapping[str, Any]) -> None:
        self.path, self._ids = path, [number for number, _ in categories]
        self._parts = [path.with_name(f".{path.name}.{part}.part") for part in ("annotations", "images")]
        self._annotations, self._images = (part.open("w", encoding="utf-8") for part in self._parts)
        self._count = 0
        head = {"info": info, "categories": [{"id": number, "name": name} for number, name in categories]}
        self._annotations.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "annotations": [')
        self._first = [True, True]

    def add(self, image: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """One image and what was found in it.

        Args:
            image: COCO's `id`, `file_name`, `width`, `height`, and whatever else is known.
            rows: The detections.
        """
        self._put(1, image)
        for x1, y1, x2, y2, score, label in rows:
            self._count += 1
            box = [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)]
            self._put(0, {
                "id": self._count, "image_id": image["id"], "category_id": self._ids[int(label)], "bbox": box,
                "area": round(box[2] * box[3], 3), "iscrowd": 0, "score": score,
            })  # fmt: skip

    def _put(self, which: int, record: Mapping[str, Any]) -> None:
        file: IO[str] = (self._annotations, self._images)[which]
        file.write(("\n" if self._first[which] else ",\n") + json.dumps(record, ensure_ascii=False))
        self._first[which] = False

    def close(self) -> None:
        """Put the file together, and into its place."""
        self._images.close()
        self._annotations.write('], "images": [')
        with open(self._parts[1], encoding="utf-8") as images:
            while block := images.read(1 << 20):
                self._annotations.write(block)
        self._annotations.write("]}\n")
        self._annotations.close()
        os.replace(self._parts[0], self.path)
        self._parts[1].unlink()


class CsvFile:
    """A table of detections, one a row.

    Args:
        path: The file.
        classes: By detector, in the order of its labels.
    """

    def __init__(self, path: Path, classes: Mapping[str, Sequence[str]]) -> None:
        self.path, self._classes = path, classes
        self._part = path.with_name(f".{path.name}.part")
        self._file = self._part.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def add(self, image: str, frame: int | None, found: Mapping[str, Sequence[Row]]) -> None:
        """What was found in one image.

        Args:
            image: The path of its file.
            frame: Its number in a video, from 0.
            found: By detector.
        """
        for model, rows in found.items():
            for x1, y1, x2, y2, score, label in rows:
                name = self._classes[model][int(label)]
                self._rows.writerow([model, image, "" if frame is None else frame, name, score, x1, y1, x2, y2])

    def close(self) -> None:
        """Put the file into its place."""
        self._file.close()
        os.replace(self._part, self.path)
