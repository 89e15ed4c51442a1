"""A run as an object: what it tells, at every stage of a run, and that it costs nothing until it is asked."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import pytest

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.run import Run
from pkdcli.runs.store import append_jsonl, write_json, write_text

SIX = {"mAP": 30.25, "AP50": 50.5, "AP75": 31.0, "AP_S": None, "AP_M": 29.0, "AP_L": 36.0}


@pytest.fixture
def finished(tmp_path):
    paths = RunPaths(tmp_path / "fcos50__baseline")
    write_json(paths.status, {"state": "done", "epoch": 6})
    write_json(paths.result, {"role": "baseline", "metrics": SIX})
    write_text(paths.log, "one\ntwo\nthree\n")
    append_jsonl(paths.metrics, {"kind": "train", "iter": 50, "loss": 1.5, "lr": 0.01})
    append_jsonl(paths.metrics, {"kind": "val", "iter": 60, "mAP": 30.25})
    return Run(paths, "done", where="here, process 1")


def test_what_a_finished_run_tells(finished):
    assert (finished.id, finished.name, finished.state, finished.done) == (*["fcos50__baseline"] * 2, "done", True)
    assert finished.path == finished.paths.root
    assert finished.result["role"] == "baseline"
    assert finished.status["epoch"] == 6
    assert finished.metrics == SIX
    assert repr(finished) == "Run('fcos50__baseline', done, mAP 30.2)"


def test_its_metrics_as_a_frame_of_one_row(finished):
    frame = finished.metrics_frame()
    assert list(frame.columns) == list(SIX)
    assert list(frame.index) == ["fcos50__baseline"]
    assert frame.index.name == "run"
    assert frame.at["fcos50__baseline", "AP50"] == 50.5
    assert set(frame.dtypes) == {frame["mAP"].dtype}  # numbers, also where a metric is not known
    assert math.isnan(frame.at["fcos50__baseline", "AP_S"])


def test_its_history_is_a_row_for_each_record(finished):
    frame = finished.history()
    assert list(frame["kind"]) == ["train", "val"]
    assert list(frame["iter"]) == [50, 60]
    assert frame.loc[frame["kind"] == "val", "mAP"].tolist() == [30.25]
    assert math.isnan(frame.at[1, "loss"])


def test_its_log_and_the_end_of_it(finished):
    assert finished.log() == "one\ntwo\nthree\n"
    assert finished.log(lines=2) == "two\nthree\n"
    assert finished.log(lines=0) == ""
    assert finished.log(lines=9) == "one\ntwo\nthree\n"


def test_a_run_that_has_not_begun_tells_that(tmp_path):
    run = Run(RunPaths(tmp_path / "a"), "queued", "waits for Priority")
    assert run.metrics == dict.fromkeys(SIX)
    assert (run.result, run.status, run.done) == ({}, {}, False)
    assert repr(run) == "Run('a', queued)"
    assert list(run.history().columns) == ["kind", "iter"]
    assert run.metrics_frame().isna().all(axis=None)
    with pytest.raises(PkdError) as caught:
        run.log()
    assert caught.value.message == "a has no log yet: it is queued."
    assert caught.value.hint == "waits for Priority"
    assert caught.value.code == ExitCode.MISSING
    with pytest.raises(PkdError, match=r"a/recipe\.yaml"):
        run.recipe  # noqa: B018


def test_damaged_files_are_no_values(tmp_path):
    paths = RunPaths(tmp_path / "a")
    write_text(paths.result, '{"metrics": [1')
    write_text(paths.metrics, '{"kind": "train", "iter": 1}\n{"kind": "tr')
    run = Run(paths, "failed")
    assert run.metrics == dict.fromkeys(SIX)
    assert len(run.history()) == 1
    write_json(paths.result, {"metrics": [1]})
    assert run.metrics == dict.fromkeys(SIX)


def test_in_a_notebook_it_is_a_small_table_and_nothing_in_it_is_html(finished):
    cells = "".join(f"<td>{text}</td>" for text in ("30.2", "50.5", "31.0", "", "29.0", "36.0"))
    assert f"<tr><td>fcos50__baseline</td><td>done</td>{cells}</tr>" in finished._repr_html_()
    odd = Run(RunPaths(finished.path.parent / "<b>"), "failed", "<script>alert(1)</script> & more")
    assert "<td>&lt;b&gt;</td><td>failed</td>" in odd._repr_html_()
    assert odd._repr_html_().endswith("<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; more</p>")


def test_it_is_pickled_and_compared_by_folder_and_state(finished):
    again = pickle.loads(pickle.dumps(finished))
    assert again == finished
    assert again.metrics == SIX
    assert again.where == "here, process 1"
    assert again != Run(finished.paths, "running")
    assert len({again, finished}) == 1


def test_its_recipe_is_read_once_and_travels_with_it(lab):
    run = Run(RunPaths(lab.run("gfl101-fcos50__mse")), "done")
    assert (run.recipe.loss.name, run.recipe.role) == ("mse", "distill")
    assert run.recipe is run.recipe
    assert pickle.loads(pickle.dumps(run)).recipe == run.recipe
    assert 0 <= run.metrics["mAP"] <= 100
    history = run.history()
    assert history.loc[history["kind"] == "val", "mAP"].iloc[-1] == run.metrics["mAP"]


def test_to_make_one_imports_nothing_heavy():
    code = (
        "import sys; from pkdcli.runs.run import Run; from pkdcli.runs.paths import RunPaths; from pathlib import Path;"
        "repr(Run(RunPaths(Path('a')), 'done')); print({'pandas', 'torch', 'pydantic', 'yaml'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
