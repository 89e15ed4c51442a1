"""`pkdcli.evaluate()` and `pkd eval` give the same; and the function prints nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pkdcli.api.evaluate import evaluate
from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.prepare import facts
from pkdcli.errors import PkdError
from pkdcli.experiment.prepare import recipe_yaml
from pkdcli.folders import cache_root, runs_root
from pkdcli.launch.outcome import Watcher
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.run import Run
from pkdcli.runs.store import write_json, write_text

METRICS = {"mAP": 31.25, "AP50": 50.0, "AP75": 33.0, "AP_S": float("nan"), "AP_M": 30.0, "AP_L": 40.0}

# What the process that evaluates answers, to whatever it is asked.
WORKER = f"""
import json, sys
assert sys.argv[1:3] == [".", "--eval"]
asked = json.load(open(sys.argv[3]))
nan = float("nan")
about = {{"split": asked["split"], "weights": asked["weights"], "own_pipeline": asked["own_pipeline"]}}
notes = ["labels are matched by the names in it."]
answer = {{**asked["columns"], **about, "metrics": {METRICS!r}, "notes": notes}}
json.dump(answer, open(asked["answer"], "w"))
"""


@pytest.fixture
def run(places, micro, engine) -> RunPaths:
    """A finished run with its teacher, as far as an evaluation looks at it."""
    engine("pkdcli.engine.worker", WORKER)
    recipe = resolve(Request(scale="tiny", data=str(micro)))
    recipe = recipe.model_copy(update={"data": facts(recipe.data, cache_root())})
    paths, teacher = RunPaths(runs_root(None) / run_id(recipe)), RunPaths(places / run_id(teacher_recipe(recipe)))
    write_text(paths.recipe, recipe_yaml(recipe))
    write_json(paths.job, {"teacher": str(teacher.root)})
    for weights in (paths.student, teacher.teacher):
        write_text(weights, "")
    write_text(paths.stock_config("distill"), "")
    return paths


def as_text(record):
    """NaN equals itself as text."""
    return json.dumps(record, sort_keys=True)


@pytest.mark.parametrize(
    ("words", "keywords", "name"),
    [
        ((), {}, "micro-val"),
        (("--split", "test"), {"split": "test"}, "micro-test"),
        (("--model", "teacher"), {"model": "teacher"}, "teacher-micro-val"),
    ],
    ids=["student", "test", "teacher"],
)
def test_the_function_gives_what_the_command_prints_and_writes(run, typed, called, words, keywords, name):
    answer = typed("eval", run.run, *words, "--json")
    kept = run.root / "eval" / f"{name}.json"
    on_the_line = kept.read_text()
    kept.unlink()
    found = called(evaluate, target=run.run, **keywords)
    assert as_text(json.loads(answer.out)) == as_text(found.record)
    assert (found.path, kept.read_text()) == (kept, on_the_line)
    assert (found.data, found.split) == ("micro", keywords.get("split", "val"))
    assert found.record["run"] == run.run
    assert as_text(found.metrics) == as_text(METRICS)
    assert answer.err == "note: labels are matched by the names in it.\n"


def test_a_run_may_be_given_as_an_object_a_path_or_a_word(run, called):
    given = [Run(run, "done"), run.root, str(run.root), run.run[:20]]
    assert [called(evaluate, target=one).path for one in given] == [run.evaluation("micro", "val")] * 4


def test_notes_and_what_is_being_done_are_told(run, called):
    told, doing = [], []

    class Listening(Watcher):
        def doing(self, text):
            doing.append(text)
            return super().doing(text)

    run.stock_config("distill").unlink()  # of a release that wrote none
    called(evaluate, target=run.run, say=told.append, watcher=Listening())
    assert told == ["note: labels are matched by the names in it.", f"wrote {run.stock_config('distill')}"]
    assert doing == ["evaluating FCOS-Res50 on micro, val ..."]


def test_a_bare_file_of_weights_is_kept_nowhere(run, typed, called, micro):
    words = {"detector": "fcos50", "scale": "tiny", "data": str(micro)}
    found = called(evaluate, target=run.student, **words)
    answer = typed("eval", run.student, *(f"--{key}={value}" for key, value in words.items()), "--json")
    assert as_text(json.loads(answer.out)) == as_text(found.record)
    assert (found.path, found.record["run"], found.record["own_pipeline"]) == (None, None, False)
    assert not (run.root / "eval").exists()


def test_frame_and_notebook(run, called):
    found = called(evaluate, target=run.run)
    assert found.frame().index.tolist() == [("FCOS-Res50", "micro", "val")]
    assert found.frame()["mAP"].tolist() == [31.25]
    assert list(found.frame().columns) == list(METRICS)
    html = found._repr_html_()
    assert "<td>val</td><td>31.2</td><td>50.0</td><td>33.0</td><td></td><td>30.0</td><td>40.0</td>" in html
    assert "<p>labels are matched by the names in it.</p>" in html


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        ({"target": "x", "modle": "teacher"}, "unknown keyword 'modle'.", "Did you mean 'model'?"),
        ({}, "target is missing.", "target: A run's id or folder, or a checkpoint file."),
        ({"target": 5}, "target: 5 is not a text.", "Example: target='RUN|CHECKPOINT'"),
        ({"target": "nothing"}, "there is no run and no checkpoint file 'nothing'.", "`pkd status` lists"),
        ({"target": "x", "split": "tset"}, "unknown split 'tset'.", "Did you mean 'test'?"),
        ({"target": "x", "model": "both"}, "unknown model 'both'.", "Allowed: student, teacher."),
    ],
)
def test_wrong_keywords(called, keywords, message, hint):
    with pytest.raises(PkdError) as caught:
        called(evaluate, **keywords)
    assert (caught.value.message, caught.value.code) == (message, 2)
    assert caught.value.hint.startswith(hint)


def test_data_that_is_not_there_suggests_no_training(run, typed, called, places, monkeypatch):
    """Other detectors at scale tiny are no remedy for weights that are there."""
    monkeypatch.setenv("PKD_COCO", str(places / "nowhere"))
    errors = []
    for give in (lambda: called(evaluate, target=run.run, data="coco"), lambda: typed("eval", run.run, "--data=coco")):
        with pytest.raises(PkdError) as caught:
            give()
        errors.append((caught.value.message, caught.value.hint, caught.value.code))
    assert errors[0] == errors[1]
    assert errors[0][2] == 3
    assert errors[0][1].endswith("Or set PKD_COCO to the folder where they are.")


def test_warnings_about_the_data_are_told_and_not_printed(run, typed, called, micro, places):
    """An image of the val split that is one of those trained on too."""
    split = f"{{images: {micro.parent}/images/val, annotations: {micro.parent}/annotations/val.json}}"
    lines = ["name: twice", *(f"{name}: {split}" for name in ("train", "val"))]
    (places / "twice.yaml").write_text("\n".join(lines) + "\n")
    told = []
    called(evaluate, target=run.run, data=places / "twice.yaml", say=told.append)
    warnings = [line for line in told if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "are trained on too" in warnings[0]
    assert typed("eval", run.run, "--data", places / "twice.yaml", "--quiet").err.splitlines()[0] == warnings[0]
    assert called(evaluate, target=run.run, data=places / "twice.yaml").data == "twice"


# With the real process


@pytest.fixture
def runs(lab, tmp_path, monkeypatch) -> Path:
    """A copy of the runs that others look at too: an evaluation is kept in the run's folder."""
    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    return shutil.copytree(lab.runs, tmp_path / "lab-runs")


def test_the_metrics_of_a_run_are_those_of_its_end(lab, called, runs):
    run = lab.run("gfl101-fcos50__pkd")
    found = called(evaluate, target=run.name, runs=runs)
    assert as_text(found.metrics) == as_text(json.loads((run / "result.json").read_text())["metrics"])


def test_an_image_that_was_written_over_is_a_wrong_file(lab, called, runs):
    """The check of the data is over: only its folder's date is looked at again."""
    image = next(iter(sorted((Path(lab.data).parent / "images" / "val").iterdir())))
    whole = image.read_bytes()
    try:
        image.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(PkdError) as caught:
            called(evaluate, target=lab.run("gfl101-fcos50__pkd").name, runs=runs)
    finally:
        image.write_bytes(whole)
    assert (caught.value.message, caught.value.code) == (f"image {image} is cut short.", 2)


def test_a_run_that_is_only_to_be_read_is_measured_all_the_same(run, typed, called, monkeypatch):
    monkeypatch.setattr("pkdcli.api.evaluate.can_be_written", lambda folder: folder != run.root / "eval")
    answer = typed("eval", run.run, "--json")
    assert json.loads(answer.out)["metrics"]["mAP"] == 31.25
    assert answer.err == (
        f"note: {run.root} can't be written to: this evaluation is kept nowhere, and pkd compare won't have it.\n"
        "note: labels are matched by the names in it.\n"
    )
    assert called(evaluate, target=run.run).path is None
    assert not (run.root / "eval").exists()
