"""Pictures in every form that is taken have the mAP of their plain twins; the rest is refused while it is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pkdcli import compat

compat.activate()

from pkdcli.config.data import train_pipeline, val_pipeline  # noqa: E402
from pkdcli.data.images.loading_error import ImageError  # noqa: E402
from pkdcli.data.prepare import prepare  # noqa: E402
from pkdcli.engine.data.load_image import PkdLoadImage  # noqa: E402
from pkdcli.engine.worker.evaluate import evaluate  # noqa: E402
from pkdcli.recipe.identity import run_id  # noqa: E402
from pkdcli.recipe.library import parse, read_yaml  # noqa: E402
from pkdcli.recipe.resolve import load_data  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402


@pytest.fixture(scope="module")
def trained(make_run, workers, tmp_path_factory) -> Path:
    """A baseline that finds something in the twelve pictures that it has seen often."""
    return workers.finish(make_run(tmp_path_factory.mktemp("trained"), loss="none", epochs=20, val_interval=20))


@pytest.fixture(scope="module")
def known() -> dict[Any, Any]:
    """The metrics of plain pictures, by how they are drawn."""
    return {}


Draw = Callable[[dict[str, Any], Image.Image, Path], None]


@pytest.fixture
def twin(dozen, tmp_path):
    """A copy of the dozen pictures, drawn anew: `twin(name, draw, box, extra)` gives its recipe."""

    def make(name: str, draw: Draw, box: Callable[[list[float]], list[float]] | None = None, extra: str = "") -> Path:
        folder = tmp_path / name
        for split in ("train", "val"):
            content = json.loads((dozen.parent / "annotations" / f"{split}.json").read_text())
            (folder / split).mkdir(parents=True)
            for image in content["images"]:
                picture = Image.open(dozen.parent / "images" / split / image["file_name"]).convert("RGB")
                draw(image, picture, folder / split)
            for one in content["annotations"]:
                one["bbox"] = box(one["bbox"]) if box else one["bbox"]
            (folder / f"{split}.json").write_text(json.dumps(content))
        lines = [f"{one}: {{images: {one}, annotations: {one}.json}}" for one in ("train", "val")]
        (folder / "twin.yaml").write_text("\n".join(["name: twin", "image: 64", *lines, extra]) + "\n")
        return folder / "twin.yaml"

    return make


@pytest.fixture
def recipe_on(trained, tmp_path):
    def recipe_on(data: Path) -> Recipe:
        recipe = parse(Recipe, read_yaml(trained / "recipe.yaml"), "recipe")
        return recipe.model_copy(update={"data": prepare(load_data(str(data)), tmp_path / "cache")})

    return recipe_on


@pytest.fixture
def measured(trained, recipe_on, tmp_path):
    """The six metrics on a data set."""
    return lambda data: evaluate(recipe_on(data), trained / "student.pth", "train", tmp_path)[0]


# 150 of the 160 rows, so that a side is longer than the other.
def plain(image, picture, folder):
    picture.crop((0, 0, 160, 150)).save(folder / image["file_name"])
    image |= {"width": 160, "height": 150}


def sideways(image, picture, folder, **options):
    picture.crop((0, 0, 160, 150)).transpose(Image.ROTATE_90).save(folder / image["file_name"], **options)
    image |= {"width": 150, "height": 160}


def exif(orientation: int) -> dict[str, Any]:
    found = Image.Exif()
    found[0x0112] = orientation
    return {"exif": found.tobytes()}


def turn_box(box):
    x, y, w, h = box
    return [y, 160 - x - w, h, w]


def upright_photo(image, picture, folder):
    sideways(image, picture, folder, **exif(6))
    image |= {"width": 160, "height": 150}


def stored_photo(image, picture, folder):
    sideways(image, picture, folder, **exif(6))


def as_jpeg(**options):
    def draw(image, picture, folder):
        image["file_name"] = image["file_name"].replace(".png", ".jpg")
        picture.save(folder / image["file_name"], quality=95, **options)

    return draw


def upside_down(image, picture, folder):
    picture.transpose(Image.ROTATE_180).save(folder / image["file_name"], **exif(3))


def twelve_bits(image, picture, folder):
    deep = np.rint(np.asarray(picture)[..., ::-1] * (4095 / 255)).astype(np.uint16)
    cv2.imwrite(str(folder / image["file_name"]), deep)


def floats(image, picture, folder):
    image["file_name"] = image["file_name"].replace(".png", ".tif")
    cv2.imwrite(str(folder / image["file_name"]), np.asarray(picture)[..., ::-1].astype(np.float32))


def spaced(image, picture, folder):
    number = image["file_name"]
    picture.save(folder / f"a b {number}")
    image["file_name"] = f"C:\\photos\\a%20b%20{number}"


def with_alpha(image, picture, folder):
    alpha = Image.new("L", picture.size, 10)
    picture.putalpha(alpha)
    picture.save(folder / image["file_name"])


def usual(image, picture, folder):
    picture.save(folder / image["file_name"])


@pytest.mark.parametrize(
    ("clean", "other", "extra"),
    [
        ((plain, None), (upright_photo, None), ""),
        ((sideways, turn_box), (stored_photo, turn_box), ""),
        ((usual, None), (upside_down, None), ""),
        ((usual, None), (twelve_bits, None), ""),
        ((usual, None), (floats, None), "pixel_range: [0, 255]"),
        ((usual, None), (spaced, None), ""),
        ((usual, None), (with_alpha, None), ""),
        ((as_jpeg(), None), (as_jpeg(restart_marker_blocks=1), None), ""),
    ],
    ids=["upright photo", "photo as stored", "upside down", "12 in 16 bits", "floats", "names", "alpha", "jpeg"],
)
def test_the_metrics_are_those_of_the_plain_twin(twin, measured, known, clean, other, extra):
    expected = known.get(clean[0]) or measured(twin("clean", *clean))
    known[clean[0]] = expected
    assert expected["mAP"] > 1, expected
    assert measured(twin("other", *other, extra)) == expected


def test_deep_pixels_without_their_range_would_be_something_else(twin, measured):
    """What this is for: the values of 12 bits taken for 16."""
    clean = measured(twin("clean", usual))
    assert measured(twin("dark", twelve_bits, extra="pixel_range: [0, 65535]")) != clean


def test_training_evaluation_and_teacher_read_alike(twin, recipe_on):
    recipe = recipe_on(twin("deep", twelve_bits))
    load = {"type": "PkdLoadImage", "backend_args": None, "pixel_range": [0.0, 4095.0]}
    assert train_pipeline(recipe)[0] == val_pipeline(recipe)[0] == load


def test_a_run_is_known_by_how_its_images_are_read(recipe_on, dozen):
    recipe = recipe_on(dozen)
    assert (recipe.data.exif, recipe.data.pixel_range) == (None, None)
    name = run_id(recipe)

    def with_(**fields):
        return run_id(recipe.model_copy(update={"data": recipe.data.model_copy(update=fields)}))

    assert with_(exif="shown") == name
    assert len({name, with_(exif="stored"), with_(pixel_range=(0.0, 4095.0)), with_(pixel_range=(0.0, 1.0))}) == 4
    again = parse(Recipe, recipe.model_dump(mode="json"), "recipe")
    assert run_id(again) == name


# Refused while they are loaded


def test_every_image_is_compared_with_its_annotated_size(dozen):
    path = dozen.parent / "images" / "val" / "000000.png"
    load = PkdLoadImage()
    assert load.transform({"img_path": str(path), "width": 160, "height": 160})["ori_shape"] == (160, 160)
    with pytest.raises(ImageError) as caught:
        load.transform({"img_path": str(path), "width": 320, "height": 160})
    assert caught.value.message == f"image {path} is 160 x 160 pixels, but 320 x 160 in the annotations."


def test_a_picture_that_shrank_after_the_check_stops_a_run_in_a_loader_process(
    trained, make_run, workers, dozen, tmp_path
):
    """The check is over; a picture is written over in its place."""
    run = make_run(tmp_path, loss="none", workers=1)
    path = dozen.parent / "images" / "train" / "000003.png"
    kept = shutil.copy(path, tmp_path / "kept.png")
    try:
        Image.open(kept).resize((32, 32)).save(path)
        assert workers.run(run) == 3
    finally:
        shutil.copy(kept, path)
    said = json.loads((run / "status.json").read_text())["error"]
    assert said["message"] == f"image {path} is 32 x 32 pixels, but 160 x 160 in the annotations."
    assert said["hint"].startswith("Its boxes are those of another picture or of another size of it")
