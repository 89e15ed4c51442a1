"""Detections of an evaluation, kept in a run's folder: all that COCO's metrics need, and nothing rounded.

The file is NumPy's `.npz`, read without running code.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import write_bytes

SCHEMA = 1


@dataclass(frozen=True)
class Detections:
    """What a detector found in the images of a split.

    Attributes:
        images: int64 (m,), the ids of all images that were evaluated, also of those where nothing was found.
        counts: int64 (m,), how many detections each has.
        boxes: float32 (n, 4): x1, y1, x2, y2 in pixels of the original; those of the first image first.
        scores: float32 (n,), 0 to 1.
        labels: int64 (n,), places in `classes`.
        classes: The names of the labels.
        data: The data set's name.
        split: `train`, `val` or `test`.
        fingerprint: Of the annotation files that it was evaluated with, as in the recipe; None where it is not known.
    """

    images: np.ndarray
    counts: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    data: str
    split: str
    fingerprint: str | None = None


def write(path: Path, found: Detections) -> None:
    """Write detections, whole or not at all.

    Args:
        path: The file.
        found: What to write.

    Raises:
        PkdError: There is no space left, or the folder can't be written.
    """
    facts = {"schema": SCHEMA, "classes": list(found.classes), "data": found.data, "split": found.split,
             "fingerprint": found.fingerprint}  # fmt: skip
    small = np.uint8 if len(found.classes) <= 256 else np.uint16
    content = io.BytesIO()
    np.savez_compressed(
        content,
        facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8),
        images=found.images.astype("<i8"),
        counts=found.counts.astype("<u4"),
        boxes=found.boxes.astype("<f4"),
        scores=found.scores.astype("<f4"),
        labels=found.labels.astype(small),
    )
    write_bytes(path, content.getvalue())


def read(path: Path) -> Detections:
    """The detections in a file.

    Raises:
        PkdError: It is not there (exit code 3), damaged, or of a later release.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            if facts.get("schema") != SCHEMA:
                raise PkdError(f"{path} is of another release of pkd (schema {facts.get('schema')}).")
            images, counts = file["images"].astype(np.int64), file["counts"].astype(np.int64)
            boxes = file["boxes"].astype(np.float32).reshape(-1, 4)
            scores, labels = file["scores"].astype(np.float32), file["labels"].astype(np.int64)
        if not len(images) == len(counts) or not int(counts.sum()) == len(boxes) == len(scores) == len(labels):
            raise ValueError("its parts are of different lengths")
        names = tuple(str(name) for name in facts["classes"])
        if len(labels) and labels.max() >= len(names):
            raise ValueError("it has labels without a class")
        return Detections(
            images, counts, boxes, scores, labels, names, facts["data"], facts["split"], facts.get("fingerprint")
        )
    except FileNotFoundError as error:
        raise PkdError(f"there is no file {path}.", None, ExitCode.MISSING) from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise PkdError(f"{path} is damaged: {error}.", "Remove it; `pkd eval RUN` writes it again.") from error

