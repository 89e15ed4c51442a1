"""What is raised in a loader process or a transform reaches the screen with its file, its transform and its cause."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pkdcli import compat

compat.activate()

from mmcv.transforms import BaseTransform  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

from pkdcli.data.images.loading_error import LoadingError  # noqa: E402
from pkdcli.engine.data.dataset import PkdCocoDataset  # noqa: E402
from pkdcli.engine.data.load_image import PkdLoadImage  # noqa: E402
from pkdcli.engine.worker.lifecycle import as_user_error  # noqa: E402
from pkdcli.errors import ExitCode, PkdError  # noqa: E402

HERE = "test_loader_errors.py, line "


class FailingTransform(BaseTransform):
    """Raises what it is told to."""

    def __init__(self, how: str) -> None:
        self.how = how

    def transform(self, results):
        if self.how == "assert":
            raise AssertionError  # as `assert` does without pytest
        if self.how == "opencv":
            cv2.resize(results["img"], (0, 4))
        if self.how == "key":
            results["absent"]
        if self.how == "pkd":
            raise PkdError("of two\n  lines.", "Do this\nand that.")
        raise ValueError("the first line\nand a second")


@pytest.fixture
def images_that_fail(tmp_path):
    """A loader of one image of 64 x 48, in so many processes, whose pipeline fails in a way."""

    def make(how: str, processes: int) -> DataLoader:
        Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
        images = [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}]
        content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
        (tmp_path / "a.json").write_text(json.dumps(content))
        section = {
            "ann_file": str(tmp_path / "a.json"),
            "data_prefix": {"img": str(tmp_path)},
            "metainfo": {"classes": ("cat",)},
            "pipeline": [PkdLoadImage(), FailingTransform(how)],
            "test_mode": True,
        }
        return DataLoader(PkdCocoDataset(**section), num_workers=processes, collate_fn=list)

    return make


@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize(
    ("how", "cause", "place"),
    [
        ("value", "ValueError: the first line", 'raise ValueError("the first line\\nand a second")'),
        ("assert", "AssertionError: no message", "raise AssertionError  # as `assert` does without pytest"),
        ("key", "KeyError: 'absent'", 'results["absent"]'),
        ("opencv", "cv2.error: ", 'cv2.resize(results["img"], (0, 4))'),
    ],
)
def test_image_transform_and_cause_are_named(images_that_fail, tmp_path, processes, how, cause, place):
    loader = images_that_fail(how, processes)
    with pytest.raises(LoadingError) as caught:
        next(iter(loader))
    error = caught.value
    assert "\n" not in error.message
    assert error.message.startswith(
        f"image {tmp_path}/a.png (64 x 48) can't be made ready for the detector: FailingTransform: {cause}"
    )
    assert HERE in error.message
    assert error.message.endswith(f": {place}).")
    assert error.hint.startswith("Look at this image, at its annotations, and at what the recipe's `config` changes")
    assert error.code == ExitCode.RUN_FAILED


@pytest.mark.parametrize("processes", [0, 1])
def test_an_error_in_words_keeps_them(images_that_fail, processes):
    with pytest.raises(LoadingError) as caught:
        next(iter(images_that_fail("pkd", processes)))
    assert (caught.value.message, caught.value.hint) == ("of two lines.", "Do this and that.")


class Elsewhere(Dataset):
    """A data set of somebody else, whose errors come as the text of a traceback."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> np.ndarray:
        if self.error is None:
            raise AssertionError  # as `assert` does without pytest
        try:
            raise self.error
        except OSError as error:
            raise RuntimeError("outer words") from error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("inner words\nmore"), "ValueError: inner words"),
        (OSError("inner"), "RuntimeError: outer words"),
        (KeyError("a"), "KeyError: 'a'"),
        (cv2.error("OpenCV(5.0.0) /io/opencv/resize.cpp:4208: error: (-215:Assertion failed) x > 0"),
         "cv2.error: (-215:Assertion failed) x > 0"),
    ],
)  # fmt: skip
def test_what_another_data_set_raises_is_told_without_the_loader(error, text):
    with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever torch makes of it)
        next(iter(DataLoader(Elsewhere(error), num_workers=1)))
    assert "DataLoader worker" in str(caught.value)
    assert as_user_error(caught.value).message == text


def test_where_nothing_is_said_the_line_is_named():
    with pytest.raises(AssertionError) as caught:
        next(iter(DataLoader(Elsewhere(None), num_workers=1)))
    told = as_user_error(caught.value, log=False)
    assert told.message.startswith("AssertionError: no message; it was raised in ")
    assert told.message.endswith(": raise AssertionError  # as `assert` does without pytest")
    assert HERE in told.message
    with pytest.raises(AssertionError) as caught:
        Elsewhere(None)[0]
    assert as_user_error(caught.value).message == told.message


def test_what_an_error_comes_from_is_told_too():
    with pytest.raises(RuntimeError) as caught:
        Elsewhere(OSError("inner"))[0]
    assert as_user_error(caught.value).message == "RuntimeError: outer words (because of OSError: inner)"


def test_the_log_is_named_only_where_there_is_one():
    with pytest.raises(ValueError, match="x") as caught:
        Elsewhere(ValueError("x"))[0]
    assert as_user_error(caught.value).hint == "The whole story is in the run's log.txt."
    hint = as_user_error(caught.value, log=False).hint
    assert hint.startswith("It was raised in ")
    assert f"{Path(__file__).name}, line " in hint
