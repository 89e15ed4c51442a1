"""Kept detections: bit for bit what was found, and a damaged file is an error that says what to do."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from pkdcli.data.scoring.predictions import Detections, read, write
from pkdcli.errors import ExitCode, PkdError


def some(seed: int = 0) -> Detections:
    random = np.random.default_rng(seed)
    counts = np.array([3, 0, 5])
    return Detections(
        images=np.array([2**40, 7, 1]),
        counts=counts,
        boxes=random.random((8, 4), dtype=np.float32) * 1000,
        scores=random.random(8, dtype=np.float32),
        labels=random.integers(0, 2, 8),
        classes=("car", "Łódź"),
        data="mine",
        split="val",
        fingerprint="ab12",
    )


def test_everything_comes_back_bit_by_bit(tmp_path):
    write(tmp_path / "p.npz", some())
    back = read(tmp_path / "p.npz")
    for field in dataclasses.fields(Detections):
        ours, theirs = getattr(some(), field.name), getattr(back, field.name)
        same = np.array_equal(ours, theirs) and ours.dtype == theirs.dtype if isinstance(ours, np.ndarray) else None
        assert same if same is not None else ours == theirs, field.name


def test_none_at_all_and_many_classes(tmp_path):
    empty = dataclasses.replace(
        some(), counts=np.zeros(3, int), boxes=np.empty((0, 4), np.float32), scores=np.empty(0, np.float32),
        labels=np.empty(0, int), classes=tuple(f"c{n}" for n in range(300)), fingerprint=None,
    )  # fmt: skip
    write(tmp_path / "p.npz", empty)
    assert read(tmp_path / "p.npz").boxes.shape == (0, 4)
    last = dataclasses.replace(some(), labels=np.full(8, 299), classes=empty.classes)
    write(tmp_path / "p.npz", last)
    assert read(tmp_path / "p.npz").labels.tolist() == [299] * 8


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"PK" + b, lambda b: b[::-1]])
def test_a_damaged_file_is_named_with_a_remedy(tmp_path, damage):
    path = tmp_path / "p.npz"
    write(path, some())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PkdError, match=r"p\.npz is damaged") as error:
        read(path)
    assert error.value.hint == "Remove it; `pkd eval RUN` writes it again."


def test_no_code_is_run_for_a_pickle_in_it(tmp_path):
    np.savez(tmp_path / "p.npz", facts=np.array([{"schema": 1}], dtype=object))
    with pytest.raises(PkdError, match="damaged"):
        read(tmp_path / "p.npz")


def parts_of(path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def facts_are(facts) -> dict[str, np.ndarray]:
    return {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"scores": np.full(8, np.nan, np.float32)}, "it has a box or score that is not finite"),
        ({"boxes": np.full((8, 4), np.inf, np.float32)}, "it has a box or score that is not finite"),
        ({"labels": np.full(8, -1)}, "it has labels without a class"),
        ({"labels": np.full(8, 2)}, "it has labels without a class"),
        ({"counts": np.array([9, -1, 0])}, "it has images with less than no detections"),
        ({"images": np.array([3, 3, 4])}, "it has an image twice"),
        (facts_are([1, 2]), "its facts have no names"),
        (facts_are({"schema": 1, "classes": None}), "its classes are no list"),
        (facts_are({"schema": 1}), "it has no classes"),
        (facts_are({"schema": 1, "classes": ["a", "b"]}), "it has no data"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, changed, reason):
    path = tmp_path / "p.npz"
    write(path, dataclasses.replace(some(), counts=np.array([4, 4, 0])))
    np.savez(path, **{**parts_of(path), **changed})
    with pytest.raises(PkdError) as error:
        read(path)
    assert error.value.message == f"{path} is damaged: {reason}."


def test_another_kind_of_file_and_another_release(tmp_path):
    path = tmp_path / "p.npz"
    path.write_text("hello")
    with pytest.raises(PkdError) as error:
        read(path)
    assert error.value.message == f"{path} is damaged: it is no .npz file."
    write(path, some())
    np.savez(path, **{**parts_of(path), **facts_are({"schema": 9})})
    with pytest.raises(PkdError) as error:
        read(path)
    assert error.value.message == f"{path} is of another release of pkd (schema 9)."
    assert error.value.hint == "Remove it; `pkd eval RUN` writes it again."


def test_parts_that_do_not_fit_together(tmp_path):
    write(tmp_path / "p.npz", dataclasses.replace(some(), counts=np.array([3, 0, 4])))
    with pytest.raises(PkdError, match="different lengths"):
        read(tmp_path / "p.npz")


def test_an_absent_file_has_exit_code_3(tmp_path):
    with pytest.raises(PkdError) as error:
        read(tmp_path / "p.npz")
    assert error.value.code == ExitCode.MISSING
