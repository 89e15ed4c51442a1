"""The embedded data set `shapes`: drawn on first use, the same bits on every machine, in COCO's format.

`shapes-v1/` holds `images/{train,val,test}/*.png`, `annotations/{train,val,test}.json` and `shapes.json`, a marker
with the sizes and hashes by which a later use sees at once that the set is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pkdcli.data.shapes.raster import SUB, Stream
from pkdcli.data.shapes.scene import COLOURS, SIDE, Placed, compose
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import cannot_write, read_json, write_json

VERSION = 1
CHECKSUM = "f24ef0419025771c937c37757caa56673856cf575275bee6a820d9ff857a4005"
COUNTS = {"train": 800, "val": 200, "test": 200}
CLASSES = tuple(COLOURS)
TRAIN_IMAGES = COUNTS["train"]  # there is something to detect in every one of them

_MARKER = "shapes.json"
_STALE = 3600  # seconds after which an abandoned temporary folder is taken for dead

Progress = Callable[[int, int], None]


def ensure_shapes(cache: Path, progress: Progress | None = None) -> Path:
    """The folder of the data set, drawn first where it is absent or damaged.

    Drawing takes some ten seconds on one core; finding the set whole takes milliseconds. It is drawn into a folder
    beside and renamed into place, so an interruption leaves nothing half-made, and of two processes that draw at the
    same time one keeps the other's.

    Args:
        cache: The cache folder, as `pkdcli.folders.cache_root` gives it.
        progress: Called with the number of pictures drawn and of all pictures.

    Raises:
        PkdError: The cache can't be written or is full (exit code 3), or the pictures are not those of version 1.
    """
    folder = Path(cache) / "data" / f"shapes-v{VERSION}"
    if _is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        try:
            beside.chmod(0o777 & ~_umask())
            checksum = generate(beside, COUNTS, progress)
            if checksum != CHECKSUM:
                raise PkdError(
                    f"the data set shapes version {VERSION} came out different on this machine: its checksum is "
                    f"{checksum}, not {CHECKSUM}.",
                    "Numbers measured on it could not be compared with anybody else's, so it was not kept. Either the "
                    "drawing code in pkdcli/data was changed (a change needs a new VERSION and CHECKSUM), or numpy or "
                    "opencv is broken here: reinstall them and type the command again.",
                    ExitCode.MISSING,
                )
            _install(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def generate(folder: Path, counts: Mapping[str, int], progress: Progress | None = None) -> str:
    """Draw `counts[split]` pictures of each split into `folder` and return the checksum of what was drawn.

    Picture i of a split is the same whatever the counts are.

    Args:
        folder: Where `images/` and the annotations are written; empty.
        counts: How many pictures each split gets.
        progress: Called now and then with the pictures drawn and their total.
    """
    total, done = sum(counts.values()), 0
    marker: dict[str, Any] = {"version": VERSION, "annotations": {}, "images": {}}
    content = hashlib.sha256()
    # Compression and writing release the interpreter: a second core does them while the next picture is drawn.
    with ThreadPoolExecutor(1) as pool:
        for split, count in counts.items():
            images = folder / "images" / split
            images.mkdir(parents=True)
            records, sizes = [], []
            for index in range(count):
                picture, objects = compose(Stream(VERSION, tuple(COUNTS).index(split), index))
                sizes.append(pool.submit(_write_png, images / _file_name(index), picture))
                content.update(picture)
                records.append(objects)
                done += 1
                if progress is not None:
                    progress(done, total)
            annotations = _canonical(_coco(records))
            content.update(annotations)
            (folder / "annotations").mkdir(exist_ok=True)
            (folder / "annotations" / f"{split}.json").write_bytes(annotations)
            marker["annotations"][split] = hashlib.sha256(annotations).hexdigest()
            marker["images"][split] = [size.result() for size in sizes]
    marker["checksum"] = content.hexdigest()
    write_json(folder / _MARKER, marker)
    return marker["checksum"]


def checksum_of(folder: Path) -> str:
    """The checksum of a data set on disk: SHA-256 over decoded pixels and the content of the annotations.

    The bytes of the PNG files are left out of it, since they differ from one build of zlib to the next.
    """
    import cv2

    content = hashlib.sha256()
    for split in COUNTS:
        coco = json.loads((folder / "annotations" / f"{split}.json").read_bytes())
        for image in coco["images"]:
            data = np.fromfile(folder / "images" / split / image["file_name"], dtype=np.uint8)
            content.update(np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]))
        content.update(_canonical(coco))
    return content.hexdigest()


def _file_name(index: int) -> str:
    return f"{index:06d}.png"


def _write_png(path: Path, picture: np.ndarray) -> int:
    """Write a picture (H, W, 3), RGB, and return the size of the file in bytes."""
    import cv2

    done, data = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise PkdError(f"opencv can't encode {path.name} as PNG.", "Reinstall opencv-python.", ExitCode.MISSING)
    path.write_bytes(data.tobytes())
    return data.size


def _canonical(coco: dict[str, Any]) -> bytes:
    return json.dumps(coco, sort_keys=True, separators=(",", ":")).encode("ascii")


def _coco(pictures: list[list[Placed]]) -> dict[str, Any]:
    """The annotations of a split. Image, category and annotation ids start at 1, as mmdet and COCO have them."""
    annotations = []
    for image, objects in enumerate(pictures, start=1):
        for item in objects:
            # Sixteenths of a pixel and their products are exact in binary: these floats have one spelling.
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": CLASSES.index(item.name) + 1,
                    "bbox": [float(v) for v in item.box],
                    "area": item.twice_area / (2 * SUB * SUB),
                    "segmentation": [[int(v) / SUB for v in item.points.ravel()]],
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"description": "pkdcli shapes", "version": str(VERSION)},
        "images": [
            {"id": index + 1, "file_name": _file_name(index), "width": SIDE, "height": SIDE}
            for index in range(len(pictures))
        ],
        "annotations": annotations,
        "categories": [{"id": index, "name": name} for index, name in enumerate(CLASSES, start=1)],
    }


def _is_whole(folder: Path) -> bool:
    """Whether the folder holds version 1 with every file at its size; pictures are not decoded."""
    marker = read_json(folder / _MARKER)
    if not isinstance(marker, dict) or marker.get("checksum") != CHECKSUM:
        return False
    try:
        for split in COUNTS:
            data = (folder / "annotations" / f"{split}.json").read_bytes()
            if hashlib.sha256(data).hexdigest() != marker["annotations"][split]:
                return False
            with os.scandir(folder / "images" / split) as entries:
                sizes = {entry.name: entry.stat().st_size for entry in entries}
            if any(sizes.get(_file_name(i)) != size for i, size in enumerate(marker["images"][split])):
                return False
    except (OSError, KeyError, TypeError):
        return False
    return True


def _install(beside: Path, folder: Path) -> None:
    """Rename a finished set into place, over a damaged one; a whole one that another process put there stays."""
    for attempt in range(10):
        if _is_whole(folder):
            return
        with suppress(FileNotFoundError):
            damaged = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
            try:
                os.replace(folder, damaged / folder.name)
            finally:
                shutil.rmtree(damaged, ignore_errors=True)
        try:
            os.replace(beside, folder)
            return
        except OSError:
            # Another process renamed its own in between; a reader may still hold the damaged one open (Windows).
            if attempt == 9:
                raise
            time.sleep(0.05)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left behind."""
    for path in _leftovers(folder):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                shutil.rmtree(path, ignore_errors=True)


def _leftovers(folder: Path) -> Iterator[Path]:
    return folder.parent.glob(f".{folder.name}.*")


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
