"""The file of measured features: written whole, read without running anything."""

from __future__ import annotations

import numpy as np
import pytest

from pkdcli.errors import PkdError
from pkdcli.runs.features import Features

LEVELS = [{"name": name, "stride": stride, "channels": 2} for name, stride in (("P2", 4), ("P3", 8), ("P4", 16))]


def features():
    detectors = [{"key": "teacher", "levels": LEVELS}, {"key": "student", "levels": LEVELS[1:]}]
    rows = [{"detector": "teacher", "level": "P3", "mean": 1.0}, {"detector": "student", "level": "P3", "mean": 2.0}]
    noise = [{"detector": "student", "level": "P3", "image": 1, "share": 0.5, "area": 0.75}]
    images = [{"path": "a.png", "size": [8, 8], "boxes": None}, {"path": "ü.png", "size": [8, 8], "boxes": []}]
    meta = {"pair": "p", "detectors": detectors, "images": images, "statistics": rows, "noise": noise}
    return Features(meta, {"pattern/student/P3/1/max": np.arange(6.0).reshape(2, 3), "image/0": np.zeros((8, 8, 3))})


def test_what_is_written_is_read(tmp_path):
    features().write(tmp_path / "sub" / "f.npz")
    found = Features.read(tmp_path / "sub" / "f.npz")
    assert {key: found.meta[key] for key in features().meta} == features().meta
    assert sorted(found.arrays) == ["image/0", "pattern/student/P3/1/max"]
    np.testing.assert_array_equal(found.pattern("student", "P3", 1, "max"), [[0, 1, 2], [3, 4, 5]])
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["f.npz"]


def test_levels_of_all_are_those_in_common_finest_first():
    assert features().levels_of_all() == ["P3", "P4"]
    assert (features().stride("P3"), features().stride("P4")) == (8, 16)


def test_rows_are_found_by_detector_level_and_image():
    assert features().statistics("student", "P3")["mean"] == 2.0
    assert features().noise("student", "P3", 1)["share"] == 0.5
    assert features().noise("student", "P3", 0) is None


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f.npz"
    features().write(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(PkdError, match="no space left"):
        features().write(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["f.npz"]


def damaged(path):
    path.write_bytes(path.read_bytes()[:200])


def other_version(path):
    np.savez(path, meta=np.array('{"schema": 99}'))


def pickled(path):
    np.savez(path, meta=np.array([{"schema": 1}], dtype=object))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "is no file of measured features"),
        (damaged, "is no file of measured features"),
        (lambda path: path.write_text("text"), "is no file of measured features"),
        (lambda path: np.savez(path, other=np.zeros(3)), "is no file of measured features"),
        (pickled, "is no file of measured features"),
        (other_version, "is of another version"),
    ],
)
def test_any_other_file_is_refused(tmp_path, spoil, message):
    path = tmp_path / "f.npz"
    features().write(path)
    spoil(path)
    with pytest.raises(PkdError, match=message):
        Features.read(path)
