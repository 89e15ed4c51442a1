"""One way of reading an image: opencv's very pixels where the file is whole, and what is wrong where it is not."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pkdcli.data.images.formats import REPLACE
from pkdcli.data.images.loading_error import ImageError, OtherImageError
from pkdcli.data.images.pixels import decode, read
from pkdcli.data.images.reading import Reading
from pkdcli.errors import ExitCode

WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope="module")
def drawing() -> np.ndarray:
    """(48, 64, 3), BGR."""
    coarse = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def picture(drawing) -> Image.Image:
    return Image.fromarray(drawing[..., ::-1])


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def turned(picture: Image.Image, kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(picture, kind, exif=exif if kind == "TIFF" else exif.tobytes())


def opencv(content: bytes, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags)


def refused(content: bytes, size=None, reading=Reading()) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(content, "/d/a.jpg", size, reading)
    assert caught.value.code == ExitCode.MISSING
    assert caught.value.hint
    return caught.value


# Whole files


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        *(("JPEG", "RGB", {"quality": 90, "subsampling": subsampling}) for subsampling in (0, 1, 2)),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "RGB", {"restart_marker_blocks": 2}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        *(("PNG", mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")),
        *(("TIFF", mode, {"compression": "tiff_lzw"}) for mode in ("RGB", "L", "P")),
        *((kind, "RGB", {}) for kind in ("BMP", "WEBP", "PPM", "JPEG2000")),
    ],
)
def test_a_whole_file_has_the_pixels_that_opencv_gives(picture, kind, mode, options):
    """So numbers are those of stock mmdet. A grey value is repeated; of transparency only the colours are kept."""
    content = saved(picture.convert(mode), kind, **options)
    pixels = decode(content, "a", (WIDTH, HEIGHT))
    assert (pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    np.testing.assert_array_equal(pixels, opencv(content))


def test_a_file_is_what_it_holds_and_not_what_it_is_called(picture, drawing, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(picture, "PNG"))
    np.testing.assert_array_equal(read(path), drawing)


def test_bytes_that_a_camera_fills_its_files_up_with_change_nothing(picture):
    content = saved(picture, "JPEG")
    filled = content[:-2] + bytes(40) + b"\xff\xd9"
    np.testing.assert_array_equal(decode(filled, "a"), opencv(content))


# Orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_an_orientation_is_followed_where_the_annotated_size_says_so(picture, kind, orientation):
    content = turned(picture, kind, orientation)
    stored, shown = opencv(turned(picture, kind, 1)), opencv(content)
    assert not np.array_equal(stored, shown)
    np.testing.assert_array_equal(decode(content, "a"), shown)
    np.testing.assert_array_equal(decode(content, "a", reading=Reading("stored")), stored)
    if orientation > 4:
        for reading in (Reading("shown"), Reading("stored")):
            np.testing.assert_array_equal(decode(content, "a", (HEIGHT, WIDTH), reading), shown)
            np.testing.assert_array_equal(decode(content, "a", (WIDTH, HEIGHT), reading), stored)
    else:  # the size leaves it open
        np.testing.assert_array_equal(decode(content, "a", (WIDTH, HEIGHT)), shown)
        np.testing.assert_array_equal(decode(content, "a", (WIDTH, HEIGHT), Reading("stored")), stored)


@pytest.mark.parametrize("size", [(100, 80), (HEIGHT, WIDTH), (WIDTH, HEIGHT + 1)])
def test_another_size_is_refused_with_both(picture, size):
    error = refused(saved(picture, "JPEG"), size)
    w, h = size
    assert error.message == f"image /d/a.jpg is 64 x 48 pixels, but {w} x {h} in the annotations."
    assert isinstance(error, OtherImageError)


# Damage


def hole(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"\xff\xd9"


def middle_lost(content: bytes) -> bytes:
    return content[: len(content) // 2] + content[3 * len(content) // 4 :]


def zeros(content: bytes) -> bytes:
    third = len(content) // 3
    return content[:third] + bytes(third) + content[2 * third :]


@pytest.fixture(scope="module")
def noisy() -> Image.Image:
    """A larger picture, so that damage falls among its pixels."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}, {"quality": 30}])
@pytest.mark.parametrize("damage", [hole, middle_lost, zeros])
def test_a_jpeg_of_which_a_part_is_lost_is_refused_though_it_has_its_end(noisy, options, damage):
    content = saved(noisy, "JPEG", **options)
    assert decode(content, "a").shape == (120, 160, 3)
    damaged = damage(content)
    assert damaged.endswith(b"\xff\xd9")
    assert opencv(damaged) is not None  # which gives grey, or another picture, for what is lost
    error = refused(damaged)
    assert error.message.startswith("image /d/a.jpg is damaged: part of its data is lost (libjpeg: ")
    assert error.hint == f"{REPLACE} Should it look whole, save it anew with an image editor."


def test_a_jpeg_that_is_cut_behind_its_preview(noisy, picture):
    """The preview of a photo has an end marker of its own."""
    exif = Image.Exif()
    preview = saved(picture, "JPEG")
    content = saved(noisy, "JPEG", exif=exif.tobytes() + preview)
    assert b"\xff\xd9" in content[: len(content) // 2]
    assert refused(content[: len(content) // 2]).message == "image /d/a.jpg is cut short."


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_other_formats_are_refused_where_their_end_is_lost(noisy, kind):
    content = saved(noisy, kind)
    assert refused(content[: len(content) // 2]).message.startswith("image /d/a.jpg is c")


# What is no image


@pytest.mark.parametrize(
    ("content", "why", "remedy"),
    [
        (b"", "is empty", REPLACE),
        (b"\n<!DOCTYPE html><html>404</html>", "is no image but a web page (HTML)", "A download may have left"),
        (b"version https://git-lfs.github.com/spec/v1\noid x\n", "is a pointer of Git LFS, not the picture itself",
         "Type `git lfs pull` in its folder"),
        (b"not an image", "is no image but text", "A download may have left"),
        (b'{"error": 1}', "is no image but JSON", "A download may have left"),
        (bytes(2000), "is no image: it begins with nothing but zero bytes, as after a copy that was interrupted",
         REPLACE),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC photo, which opencv can't decode", "Convert it to JPEG"),
        (b"%PDF-1.4", "is a PDF file, which opencv can't decode", "Convert it to JPEG"),
        (bytes(128) + b"DICM", "is a DICOM file, which opencv can't decode", "Convert it to JPEG"),
        (b"\0\x05\x16\x07\0\x02\0\0", "is no image but what macOS keeps beside one (AppleDouble)", "The picture has"),
        (bytes(range(180, 250)), "is no image of a known format", REPLACE),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_picture_is_called_what_it_is(content, why, remedy):
    error = refused(content)
    assert error.message == f"image /d/a.jpg {why}."
    assert error.hint.startswith(remedy)


# Limits and depth


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_opencvs_limit_is_named_and_can_be_raised(picture, kind, monkeypatch):
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", str(WIDTH * HEIGHT - 1))
    error = refused(saved(picture, kind))
    assert error.message == "image /d/a.jpg has 64 x 48 pixels, 3072 in all: more than the 3071 that opencv decodes."
    assert "put OPENCV_IO_MAX_IMAGE_PIXELS=3072 before the command" in error.hint
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "3072")
    assert decode(saved(picture, kind), "a").shape == (HEIGHT, WIDTH, 3)


def test_twelve_bits_in_sixteen_become_what_eight_would_be(drawing):
    deep = np.rint(drawing * (4095 / 255)).astype(np.uint16)
    for kind in (".png", ".tif"):
        content = cv2.imencode(kind, deep)[1].tobytes()
        np.testing.assert_array_equal(decode(content, "a", reading=Reading(pixel_range=(0, 4095))), drawing)
        assert opencv(content).max() <= 16  # what opencv makes of them


def test_a_window_cuts_off_what_lies_outside(drawing):
    content = cv2.imencode(".png", np.arange(3072, dtype=np.uint16).reshape(48, 64))[1].tobytes()
    pixels = decode(content, "a", reading=Reading(pixel_range=(1000, 1510)))[..., 0].ravel()
    assert (pixels[:1001] == 0).all()
    assert (pixels[1510:] == 255).all()
    assert pixels[1100] == 50


def test_a_pixel_above_the_range_of_so_many_bits_is_a_mistake():
    content = cv2.imencode(".png", np.full((48, 64), 5000, np.uint16))[1].tobytes()
    error = refused(content, None, Reading(pixel_range=(0, 4095)))
    assert error.message == "image /d/a.jpg has a pixel of the value 5000, above `pixel_range` [0, 4095]."
    assert error.hint.startswith("Set `pixel_range: [0, 8191]` in the data recipe")


def test_eight_bits_have_a_range_already(picture, drawing):
    for kind in ("PNG", "JPEG"):
        content = saved(picture, kind)
        pixels = decode(content, "a", reading=Reading(pixel_range=(0, 4095)))
        np.testing.assert_array_equal(pixels, opencv(content))


@pytest.mark.parametrize("grey", [True, False])
def test_floats_need_a_range_and_are_read_with_one(drawing, grey):
    values = (drawing[..., 0] if grey else drawing).astype(np.float32) / 255
    content = cv2.imencode(".tif", values)[1].tobytes()
    error = refused(content)
    low, high = values.min(), values.max()
    assert error.message == (
        f"image /d/a.jpg has pixels of 32-bit floats (here from {low:g} to {high:g}), and which of them are black and "
        "white is not known."
    )
    assert "`pixel_range: [" in error.hint
    pixels = decode(content, "a", reading=Reading(pixel_range=(0, 1)))
    np.testing.assert_array_equal(pixels, np.repeat(drawing[..., :1], 3, axis=2) if grey else drawing)


def test_a_missing_file_and_a_folder(tmp_path: Path):
    for path, why in ((tmp_path / "a.png", "is missing"), (tmp_path, "can't be read: Is a directory")):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert caught.value.message == f"image {path} {why}."
