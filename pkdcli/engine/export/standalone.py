"""Finds objects in images with the ONNX file beside: python predict.py IMAGE... [--score 0.3] [--model FILE]

It needs onnxruntime, numpy and opencv (pip install onnxruntime numpy opencv-python-headless), and nothing else.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def read(name, *, exif, pixel_range, **_):
    """The pixels (H, W, 3) of a file, RGB, 8 bits, as the detector has learned them; None where it is no image."""
    content = np.fromfile(name, np.uint8) if Path(name).is_file() else np.empty(0, np.uint8)
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_IGNORE_ORIENTATION if exif == "stored" else 0)
    image = cv2.imdecode(content, flags | (cv2.IMREAD_ANYDEPTH if pixel_range else 0)) if content.size else None
    if image is not None and image.dtype != np.uint8:
        low, high = pixel_range
        image = np.rint(np.clip((image.astype(np.float64) - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)
    return None if image is None else np.ascontiguousarray(image[:, :, ::-1])


def prepare(image, *, resize, pad, divisor, **_):
    """An image (H, W, 3) as the graph takes it, its size (1, 2) there, and the scale of width and height."""
    height, width = image.shape[:2]
    size = tuple(resize["size"]) if resize else (width, height)
    if resize and resize["keep_ratio"]:
        by = min(max(size) / max(height, width), min(size) / min(height, width))
        size = int(width * by + 0.5), int(height * by + 0.5)
    image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    if pad:
        wide, high = pad["size"] or (-(-side // (pad["divisor"] or 1)) * (pad["divisor"] or 1) for side in size)
        value = np.broadcast_to(pad["value"], 3)[::-1].tolist()
        image = cv2.copyMakeBorder(image, 0, high - size[1], 0, wide - size[0], cv2.BORDER_CONSTANT, value=value)
    images = np.zeros((1, 3, *(-(-side // divisor) * divisor for side in image.shape[:2])), np.float32)
    images[0, :, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
    return images, np.array([image.shape[:2]], np.int64), np.float32(np.divide(size, (width, height)))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("images", nargs="+")
    options.add_argument("--score", type=float, default=0.3, help="the lowest that is printed")
    options.add_argument("--model", help="the ONNX file; by default the one beside")
    options = options.parse_args()
    about = json.loads(next(Path(__file__).parent.glob("*.onnx.json")).read_text(encoding="utf-8"))
    model = options.model or str(Path(__file__).with_name(about["file"]))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for name in options.images:
        if (image := read(name, **about["preprocess"])) is None:
            raise SystemExit(f"{name} can't be read as an image")
        images, sizes, scale = prepare(image, **about["preprocess"])
        boxes, scores, labels = session.run(None, {"images": images, "sizes": sizes})
        for box, score, label in zip(boxes[0] / np.tile(scale, 2), scores[0].tolist(), labels[0], strict=True):
            if label >= 0 and score >= options.score:
                found = {"class": about["classes"][label], "score": round(score, 6), "box": box.round(3).tolist()}
                print(json.dumps({"image": name, **found}))
