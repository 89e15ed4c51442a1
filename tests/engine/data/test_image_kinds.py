"""What a person sees of a file is what both nets see of it: in training, evaluation and prediction, and outside."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pkdcli import compat

compat.activate()

from mmdet.registry import TRANSFORMS  # noqa: E402

from pkdcli.config.data import train_pipeline, val_pipeline  # noqa: E402
from pkdcli.data.images.pixels import read as read_image  # noqa: E402
from pkdcli.data.images.reading import Reading  # noqa: E402
from pkdcli.engine import register  # noqa: E402, F401
from pkdcli.engine.export import standalone  # noqa: E402
from pkdcli.engine.predict.sources import load  # noqa: E402
from pkdcli.recipe.resolve import Request, resolve  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402

WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    """What a person sees, with no side or corner like another."""
    coarse = np.random.default_rng(3).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def by_pillow(mode: str, kind: str, **options) -> Callable[[Image.Image], bytes]:
    def save(scene: Image.Image) -> bytes:
        file = io.BytesIO()
        scene.convert(mode).save(file, kind, **options)
        return file.getvalue()

    return save


def half_hidden(kind: str, **options) -> Callable[[Image.Image], bytes]:
    """Half of it transparent."""

    def save(scene: Image.Image) -> bytes:
        alpha = Image.new("L", scene.size, 255)
        alpha.paste(0, (0, 0, WIDTH // 2, HEIGHT))
        file, picture = io.BytesIO(), scene.copy()
        picture.putalpha(alpha)
        picture.save(file, kind, **options)
        return file.getvalue()

    return save


def photo(kind: str, orientation: int, turn: Image.Transpose, **options) -> Callable[[Image.Image], bytes]:
    """Stored as a camera held that way stores it, with the orientation that puts it upright."""

    def save(scene: Image.Image) -> bytes:
        exif, file = Image.Exif(), io.BytesIO()
        exif[0x0112] = orientation
        told = exif if kind == "TIFF" else exif.tobytes()
        scene.transpose(turn).save(file, kind, exif=told, **options)
        return file.getvalue()

    return save


def deep(ending: str, grey: bool = False, top: int = 65535) -> Callable[[Image.Image], bytes]:
    """Sixteen bits a channel, of which `top` is white."""

    def save(scene: Image.Image) -> bytes:
        values = np.asarray(scene.convert("L") if grey else scene, np.float64)
        values = values if grey else values[..., ::-1]
        return cv2.imencode(ending, np.rint(values * (top / 255)).astype(np.uint16))[1].tobytes()

    return save


def grey(scene: Image.Image) -> Image.Image:
    return scene.convert("L").convert("RGB")


def palette(scene: Image.Image) -> Image.Image:
    return scene.convert("P").convert("RGB")


# How it is saved, what a person sees of that where it is not the scene itself, how far a pixel may be off (0 to 255,
# largest and mean) where the format itself loses something, and the range of its pixels.
KINDS = {
    "grey png": (by_pillow("L", "PNG"), grey, (0, 0), None),
    "grey jpeg": (by_pillow("L", "JPEG", quality=95), grey, (12, 2), None),
    "grey tiff": (by_pillow("L", "TIFF"), grey, (0, 0), None),
    "grey and alpha png": (by_pillow("LA", "PNG"), grey, (0, 0), None),
    "grey and alpha tiff": (by_pillow("LA", "TIFF"), grey, (0, 0), None),
    "16 bits png": (deep(".png"), None, (0, 0), None),
    "16 bits grey png": (deep(".png", grey=True), grey, (0, 0), None),
    "16 bits grey tiff": (deep(".tif", grey=True), grey, (0, 0), None),
    "12 in 16 bits png": (deep(".png", top=4095), None, (0, 0), (0.0, 4095.0)),
    "12 in 16 bits grey tiff": (deep(".tif", grey=True, top=4095), grey, (0, 0), (0.0, 4095.0)),
    "rgba png": (half_hidden("PNG"), None, (0, 0), None),
    "rgba webp": (half_hidden("WEBP", lossless=True, exact=True), None, (0, 0), None),
    "rgba tiff": (half_hidden("TIFF"), None, (0, 0), None),
    "cmyk jpeg": (by_pillow("CMYK", "JPEG", quality=100, subsampling=0), None, (6, 2), None),
    "cmyk tiff": (by_pillow("CMYK", "TIFF"), None, (0, 0), None),
    "palette png": (by_pillow("P", "PNG"), palette, (0, 0), None),
    "palette gif": (by_pillow("P", "GIF"), palette, (0, 0), None),
    "palette tiff": (by_pillow("P", "TIFF"), palette, (0, 0), None),
    "tiff": (by_pillow("RGB", "TIFF"), None, (0, 0), None),
    "tiff lzw": (by_pillow("RGB", "TIFF", compression="tiff_lzw"), None, (0, 0), None),
    "lab tiff": (by_pillow("LAB", "TIFF"), None, (40, 2), None),
    "webp": (by_pillow("RGB", "WEBP", lossless=True), None, (0, 0), None),
    "webp lossy": (by_pillow("RGB", "WEBP", quality=95), None, (40, 6), None),
    "turned jpeg": (photo("JPEG", 6, Image.Transpose.ROTATE_90, quality=100, subsampling=0), None, (6, 2), None),
    "turned png": (photo("PNG", 6, Image.Transpose.ROTATE_90), None, (0, 0), None),
    "turned tiff": (photo("TIFF", 6, Image.Transpose.ROTATE_90), None, (0, 0), None),
    "turned webp": (photo("WEBP", 6, Image.Transpose.ROTATE_90, lossless=True), None, (0, 0), None),
    "upside down tiff": (photo("TIFF", 3, Image.Transpose.ROTATE_180), None, (0, 0), None),
    "mirrored png": (photo("PNG", 2, Image.Transpose.FLIP_LEFT_RIGHT), None, (0, 0), None),
}


def _recipe(pixel_range: tuple[float, float] | None) -> Recipe:
    recipe = resolve(Request(scale="tiny"))
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"pixel_range": pixel_range})})


@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_sees_what_a_person_sees(scene, tmp_path, kind):
    save, seen, (most, mean), pixel_range = KINDS[kind]
    file = tmp_path / "picture"
    file.write_bytes(save(scene))
    expected = np.asarray(seen(scene) if seen else scene)[..., ::-1].astype(int)
    found = {}
    recipe = _recipe(pixel_range)
    for name, pipeline in (("training", train_pipeline(recipe)), ("evaluation", val_pipeline(recipe))):
        # Teacher and student are given the one image that the pipeline loads.
        results = {"img_path": str(file), "width": WIDTH, "height": HEIGHT, "img_folder": str(tmp_path)}
        found[name] = TRANSFORMS.build(pipeline[0])(results)["img"]
    pixels: list[np.ndarray] = []
    keep = [lambda results: pixels.append(results["img"]) or results]
    read = partial(read_image, reading=Reading.of(None, pixel_range))
    (one,) = load([{"path": str(file), "video": False}], read, keep, 1)
    assert one.why is None
    found["predict"] = pixels[0]
    if kind not in BEYOND_OPENCV:
        found["predict.py"] = standalone.read(str(file), exif="shown", pixel_range=pixel_range)[..., ::-1]
    for name, image in found.items():
        assert (image.shape, image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8), name
        off = np.abs(image.astype(int) - expected)
        assert off.max() <= most, name
        assert off.mean() <= mean, name


# predict.py has opencv alone, which darkens a TIFF by its transparency and has another Lab; docs/deploy.md says so.
BEYOND_OPENCV = {"rgba tiff", "lab tiff"}


def test_predict_py_reads_pixels_as_stored_where_the_boxes_were_drawn_on_them(scene, tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(photo("PNG", 6, Image.Transpose.ROTATE_90)(scene))
    stored = np.asarray(scene.transpose(Image.Transpose.ROTATE_90))
    np.testing.assert_array_equal(standalone.read(str(file), exif="stored", pixel_range=None), stored)
    np.testing.assert_array_equal(
        read_image(file, None, Reading("stored"))[..., ::-1], stored, "as the run itself reads it"
    )


def test_predict_py_has_no_picture_of_what_is_none(tmp_path: Path):
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    for name in ("a.png", "empty.png", "absent.png", "."):
        assert standalone.read(str(tmp_path / name), exif="shown", pixel_range=None) is None, name
