"""Finds objects in images with the ONNX file beside: python predict.py IMAGE... [--score 0.3]

It needs onnxruntime, numpy and opencv (pip install onnxruntime numpy opencv-python-headless), and nothing else.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def read(name, about):
    """The pixels (H, W, 3) of a file, RGB, 8 bits, as the detector has learned them; None where it is no image.

    Args:
        name: The file.
        about: `preprocess` of the JSON beside the ONNX file.
    """
    content = np.fromfile(name, np.uint8) if Path(name).is_file() else np.empty(0, np.uint8)
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_IGNORE_ORIENTATION if about["exif"] == "stored" else 0)
    flags |= cv2.IMREAD_ANYDEPTH if about["pixel_range"] else 0
    image = cv2.imdecode(content, flags) if content.size else None
    if image is not None and image.dtype != np.uint8:
        low, high = about["pixel_range"]
        image = np.rint(np.clip((image.astype(np.float64) - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)
    return None if image is None else np.ascontiguousarray(image[:, :, ::-1])


def prepare(image, about):
    """An image as the graph takes it: images, sizes, and the scale of width and height.

    Args:
        image: Pixels (H, W, 3), RGB, as `read` gives them.
        about: As for `read`.
    """
    height, width = image.shape[:2]
    resize, pad = about["resize"], about["pad"]
    if resize and resize["keep_ratio"]:
        longest, shorter = max(resize["size"]), min(resize["size"])
        by = min(longest / max(height, width), shorter / min(height, width))
        size = int(width * by + 0.5), int(height * by + 0.5)
    else:
        size = tuple(resize["size"]) if resize else (width, height)
    image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    if pad:
        divisor = pad["divisor"] or 1
        wide, high = pad["size"] or (-(-size[0] // divisor) * divisor, -(-size[1] // divisor) * divisor)
        value = np.broadcast_to(np.array(pad["value"], np.uint8), 3)[::-1]
        image = np.concatenate([image, np.full((high - image.shape[0], image.shape[1], 3), value)], 0)
        image = np.concatenate([image, np.full((high, wide - image.shape[1], 3), value)], 1)
    height, width = image.shape[:2]
    divisor = about["divisor"]
    images = np.zeros((1, 3, -(-height // divisor) * divisor, -(-width // divisor) * divisor), np.float32)
    images[0, :, :height, :width] = image.transpose(2, 0, 1)
    return images, np.array([[height, width]], np.int64), scale


def main():
    """Print a line of JSON for each object."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("images", nargs="+")
    options.add_argument("--score", type=float, default=0.3, help="the lowest that is printed")
    options.add_argument("--model", type=Path, help="the ONNX file; by default the one beside")
    options = options.parse_args()
    here = Path(__file__).parent
    about = json.loads(next(here.glob("*.onnx.json")).read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(
        str(options.model or here / about["file"]), providers=["CPUExecutionProvider"]
    )
    for name in options.images:
        image = read(name, about["preprocess"])
        if image is None:
            raise SystemExit(f"{name} can't be read as an image")
        images, sizes, scale = prepare(image, about["preprocess"])
        boxes, scores, labels = session.run(None, {"images": images, "sizes": sizes})
        for box, score, label in zip(boxes[0] / np.tile(scale, 2), scores[0], labels[0], strict=True):
            if label >= 0 and score >= options.score:
                found = {"class": about["classes"][label], "score": round(float(score), 6)}
                print(json.dumps({"image": name, **found, "box": [round(float(side), 3) for side in box]}))


if __name__ == "__main__":
    main()
