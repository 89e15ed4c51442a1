"""The detector of a finished run in this process: its weights, its detections, and what is said where there is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from pkdcli.errors import PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.run import Run


def seen(run: Path):
    """The first image of a run's evaluation, and the detections that were kept of it."""
    image = next(one for one in json.loads((run / "samples.json").read_text())["images"] if one["detections"])
    return image["path"], image["detections"]


@pytest.mark.parametrize("beginning", ["gfl101-fcos50__pkd", "fcos50__baseline"])
def test_it_finds_what_the_evaluation_has_found(lab, beginning):
    run = Run(RunPaths(lab.run(beginning)), "done")
    model = run.load_model()
    from mmdet.apis import inference_detector  # importable now that the stack is mended

    assert (type(model).__name__, model.training) == ("FCOS", False)
    assert model.dataset_meta["classes"] == ("circle", "square", "triangle", "star", "cross", "crescent")
    saved = torch.load(run.paths.student, weights_only=True)["state_dict"]
    own = model.state_dict()
    assert list(own) == list(saved)
    assert all(torch.equal(own[key], saved[key]) for key in saved)
    picture, kept = seen(run.path)
    found = inference_detector(model, picture).pred_instances
    assert found.scores[: len(kept)].tolist() == pytest.approx([one["score"] for one in kept], abs=1e-3)
    assert found.labels[: len(kept)].tolist() == [one["label"] for one in kept]


def test_it_takes_arrays_too(lab):
    run = Run(RunPaths(lab.run("fcos50__baseline")), "done")
    picture, _ = seen(run.path)
    model = run.load_model("cpu")
    import mmcv
    from mmdet.apis import inference_detector

    by_name, by_array = (inference_detector(model, one).pred_instances for one in (picture, mmcv.imread(picture)))
    assert torch.equal(by_name.scores, by_array.scores)


def test_the_teachers_run_has_a_detector_of_its_own(lab):
    (folder,) = (lab.cache / "teachers").iterdir()
    model = Run(RunPaths(folder), "done").load_model()
    assert type(model).__name__ == "GFL"


def test_a_run_without_weights_says_so(lab, tmp_path):
    folder = tmp_path / "unfinished"
    folder.mkdir()
    shutil.copy(lab.run("fcos50__baseline") / "recipe.yaml", folder)
    with pytest.raises(PkdError) as caught:
        Run(RunPaths(folder), "interrupted").load_model()
    assert caught.value.message == f"unfinished is not finished: there is no {folder}/student.pth."
    assert caught.value.hint == "Go on with it: pkd resume unfinished"
