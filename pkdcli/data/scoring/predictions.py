"""Detections of an evaluation, kept in a run's folder: all that COCO's metrics need, and nothing rounded.

The file is NumPy's `.npz`, read without running code.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import write_bytes

SCHEMA = 1
_ZIP = b"PK"  # what an .npz begins with


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
    remedy = "Remove it; `pkd eval RUN` writes it again."
    try:
        with open(path, "rb") as raw:
            if raw.read(2) != _ZIP:
                raise ValueError("it is no .npz file")
            raw.seek(0)
            with np.load(raw, allow_pickle=False) as file:
                parts = {name: file[name] for name in file.files}
        facts = json.loads(parts["facts"].tobytes())
        if not isinstance(facts, dict):
            raise ValueError("its facts have no names")
        if facts.get("schema") != SCHEMA:
            raise PkdError(f"{path} is of another release of pkd (schema {facts.get('schema')}).", remedy)
        return _checked(parts, facts)
    except FileNotFoundError as error:
        raise PkdError(f"there is no file {path}.", None, ExitCode.MISSING) from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        reason = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise PkdError(f"{path} is damaged: {reason}.", remedy) from error


def _checked(parts: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> Detections:
    """The detections of a file's parts.

    Args:
        parts: Its arrays.
        facts: What it says of them.

    Raises:
        KeyError: A part is missing.
        ValueError: They don't fit together, or can't be.
        TypeError: A fact is of another kind.
    """
    images, counts = parts["images"].astype(np.int64), parts["counts"].astype(np.int64)
    boxes = parts["boxes"].astype(np.float32).reshape(-1, 4)
    scores, labels = parts["scores"].astype(np.float32), parts["labels"].astype(np.int64)
    if not len(images) == len(counts) or not int(counts.sum()) == len(boxes) == len(scores) == len(labels):
        raise ValueError("its parts are of different lengths")
    if len(np.unique(images)) < len(images):
        raise ValueError("it has an image twice")
    if (counts < 0).any():
        raise ValueError("it has images with less than no detections")
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError("it has a box or score that is not finite")
    if not isinstance(facts["classes"], list):
        raise ValueError("its classes are no list")
    names = tuple(str(name) for name in facts["classes"])
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError("it has labels without a class")
    return Detections(
        images, counts, boxes, scores, labels, names, facts["data"], facts["split"], facts.get("fingerprint")
    )

