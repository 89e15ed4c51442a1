"""A file that is not the detector is not left behind, whichever check says so; the one that was there before stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pkdcli.engine.export import check, export, onnx_file
from pkdcli.errors import PkdError
from pkdcli.experiment.derived_recipes import of_run
from pkdcli.runs.paths import RunPaths


@pytest.fixture
def exporting(lab, tmp_path, monkeypatch):
    """`exporting(shift)`: export to ONNX, where the file is the graph itself with its boxes moved by so many pixels."""
    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    recipe, weights = of_run(RunPaths(lab.run("gfl101-fcos50__pkd")), "student")
    recipe = recipe.model_copy(update={"student": recipe.student.model_copy(
        update={"set": {**recipe.student.set, "test_cfg.score_thr": 0.0}})})  # fmt: skip
    graphs: list = []

    def write(graph, model, path: Path, *_):
        path.write_bytes(b"a graph")
        graphs.append(graph)
        return {"opset": 18, "batch": "any", "size": "any"}

    def run(tmp: tuple, shift: float):
        with torch.inference_mode():
            boxes, scores, labels = graphs[-1](*(torch.from_numpy(one) for one in tmp))
        return [boxes.numpy() + np.float32(shift), scores.numpy(), labels.numpy()]

    def start(shift: float, **changes) -> Path:
        monkeypatch.setattr(onnx_file, "write", write)
        monkeypatch.setattr(onnx_file, "session", lambda _: lambda *given: run(given, shift))
        folder = tmp_path / "student"
        folder.mkdir(exist_ok=True)
        request = {"name": "student", "recipe": recipe.model_dump(mode="json"), "weights": str(weights),
                   "folder": str(folder), "formats": ["onnx"], "raw": False, "int8": False, "images": [],
                   "map": False, "run": "a-run", **changes}  # fmt: skip
        export.export(request, lambda **_: None)
        return folder

    return start, tmp_path / "student"


def test_a_file_that_finds_the_same_is_kept_with_its_numbers(exporting):
    start, folder = exporting
    start(0.0)
    assert sorted(path.name for path in folder.iterdir()) == ["predict.py", "student.onnx", "student.onnx.json"]


def test_boxes_that_are_moved_are_told_and_the_file_goes(exporting):
    start, folder = exporting
    with pytest.raises(PkdError) as caught:
        start(0.006)  # of the graph's 96 pixels; the pictures have 160
    assert caught.value.message == (
        "the exported file is not the detector: on 8 images scores differ by up to 0, sides of boxes by 0.01 pixels, "
        "and 0 of 800 detections have no counterpart."
    )
    assert caught.value.hint == (
        "Allowed are 0.001 and 0.001. The file was not kept; --raw exports the head's own outputs."
    )
    assert caught.value.code == 1
    assert list(folder.iterdir()) == []


def test_an_older_file_stays_where_the_new_one_fails(exporting):
    start, folder = exporting
    folder.mkdir()
    (folder / "student.onnx").write_bytes(b"older")
    with pytest.raises(PkdError):
        start(0.5)
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("student.onnx", b"older")]


def test_another_map_is_told_and_the_file_goes(exporting, monkeypatch):
    start, folder = exporting
    monkeypatch.setattr(check, "mean_ap", lambda *_: {"pytorch": 30.0, "onnx": 29.8})
    with pytest.raises(PkdError) as caught:
        start(0.0, map=True)
    assert caught.value.message == "the exported file is not the detector: its mAP is 29.80, PyTorch's 30.00."
    assert list(folder.iterdir()) == []


class MaskRCNN(torch.nn.Module):
    """As mmdet's says whether it finds masks."""

    with_mask = True


@pytest.mark.parametrize(
    ("model", "raw", "notes"),
    [
        (MaskRCNN(), False, ["a graph finds boxes, scores and classes: the masks of MaskRCNN are left out"]),
        (MaskRCNN(), True, []),
        (torch.nn.Identity(), False, []),
    ],
)
def test_masks_that_a_graph_has_not_are_told(model, raw, notes, monkeypatch):
    said: list[str] = []
    exporting = export.Export.__new__(export.Export)
    exporting.model, exporting.raw, exporting.request = model, raw, {"formats": ["onnx"]}
    exporting.say = lambda note: said.append(note)
    monkeypatch.setattr(export, "graph_of", lambda *_: model)
    monkeypatch.setattr(export.prepare, "described", lambda _: {})
    monkeypatch.setattr(exporting, "_images", list)
    monkeypatch.setattr(exporting, "_onnx", lambda *_: None)
    exporting.write()
    assert said == notes
