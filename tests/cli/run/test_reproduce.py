"""`pkd reproduce` as the user sees it: what it plans, runs, resumes and prints. Jobs are scripts, not trainings."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import sys
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from pkdcli.cli.run import reproduce
from pkdcli.errors import PkdError
from pkdcli.experiment import execute
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import write_json, write_text

MAP = {"teacher": 70.0, "baseline": 15.0, "distill": 30.0}
JOB = """
import json, sys
from pathlib import Path
root, weights = Path(sys.argv[1]), sys.argv[2]
if sys.argv[4] == "fail":
    status = json.loads((root / "status.json").read_text())
    status |= {"state": "failed", "error": {"message": "loss is NaN at step 3.", "hint": None, "code": 1}}
    (root / "status.json").write_text(json.dumps(status))
    sys.exit(1)
status = json.loads((root / "status.json").read_text())
(root / "status.json").write_text(json.dumps({**status, "state": "done"}))
(root / "result.json").write_text(sys.argv[3])
(root / weights).write_bytes(b"")
with open(root.parent / "order.txt", "a") as file:
    file.write(root.name + "\\n")
"""


def result_of(planned, **changes):
    """What a finished run of this recipe would have written."""
    recipe = planned.recipe
    mAP = MAP[recipe.role] + (recipe.loss.weight or 0) / 10 + recipe.seed
    metrics = {"mAP": mAP, "AP50": mAP + 20, "AP75": mAP + 1, "AP_S": None, "AP_M": mAP - 1, "AP_L": mAP + 5}
    return {
        **{"run": planned.run, "role": recipe.role, "pair": recipe.pair, "student": recipe.student.name},
        **{"teacher": recipe.teacher.name if recipe.teacher else None, "scale": recipe.scale.name},
        **{"data": recipe.data.name, "loss": recipe.loss.name, "metrics": metrics, "max_iters": recipe.max_iters},
        **changes,
    }


class Desk:
    """The command in-process, with folders of its own and jobs that end at once."""

    def __init__(self, folder, monkeypatch):
        self.runs, self.cache = folder / "runs", folder / "cache"
        self.failing = ()
        monkeypatch.setenv("PKD_RUNS", str(self.runs))
        monkeypatch.setenv("PKD_CACHE", str(self.cache))
        monkeypatch.setenv("COLUMNS", "160")
        true_spec = execute.spec

        def spec(planned, *rest):
            fate = "fail" if any(word in planned.run for word in self.failing) else "go on"
            weights = planned.paths.weights(planned.recipe.role).name
            argv = (sys.executable, "-c", JOB, str(planned.paths.root), weights, json.dumps(result_of(planned)), fate)
            return replace(true_spec(planned, *rest), argv=argv)

        monkeypatch.setattr(execute, "spec", spec)

    def __call__(self, *words, code=0):
        app = typer.Typer()
        app.command()(reproduce.command)
        answer = CliRunner().invoke(app, ["--no-share-teacher", *map(str, words)])
        if isinstance(answer.exception, PkdError):
            raise answer.exception
        assert answer.exit_code == code, answer.output
        return answer

    def started(self):
        """The runs that jobs have finished since the last time, in order; teachers too."""
        names = []
        for root in (self.runs, teachers_root(self.cache)):
            file = root / "order.txt"
            names += file.read_text().split() if file.is_file() else []
            file.unlink(missing_ok=True)
        return names

    def finish(self, planned, **changes):
        write_json(planned.paths.result, result_of(planned, **changes))
        write_text(planned.paths.weights(planned.recipe.role), "")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    return Desk(tmp_path, monkeypatch)


def short(text):
    """Without the hashes at the ends of run ids, which any change of a recipe changes."""
    return re.sub(r"(__s\d+)-[0-9a-f]{8}", r"\1", text)


HEAD = (
    "| teacher | student | schedule | baseline | paper | diff | weight | mAP | paper | diff | gain | paper | sign "
    "| rank | paper |\n| --- | --- | --- |" + " ---: |" * 12 + "\n"
)
TABLE8 = (
    "**Table 8: MSE on various detector pairs; data micro, scale tiny, seed 0: compare the signs of the gains and the "
    "ranks of the weights, not the numbers**\n\n"
    + HEAD
    + """\
| GFL-Res101 | FCOS-Res50 | 1x | 15.0 | 36.6 |  | 50 | 35.0 | 38.7 |  | +20.0 | +2.1 | same | 2 | 2 |
|  |  |  |  |  |  | 70 | **37.0** | 39.2 |  | +22.0 | +2.6 | same | 1 | 1 |
| GFL-Res101 | FCOS-Res50 | 2x | 15.0 | 39.1 |  | 10 | 31.0 | 41.5 |  | +16.0 | +2.4 | same | 5 | 5 |
|  |  |  |  |  |  | 30 | 33.0 | 42.5 |  | +18.0 | +3.4 | same | 4 | 4 |
|  |  |  |  |  |  | 50 | 35.0 | 42.7 |  | +20.0 | +3.6 | same | 3 | 3 |
|  |  |  |  |  |  | 70 | 37.0 | 43.0 |  | +22.0 | +3.9 | same | 2 | 1 |
|  |  |  |  |  |  | 80 | **38.0** | 42.9 |  | +23.0 | +3.8 | same | 1 | 2 |

- No differences: the paper's numbers are COCO's at scale paper, these are of data micro, scale tiny.
- paper appendix, gfl101-fcos50 baseline 1x: equals the zoo's no-tricks FCOS although the paper says tricks are on \
(zoo with tricks: 38.7).

**Agreement with the paper**

| teacher | student | schedule | teacher mAP | baseline | same sign | rank correlation | best weight | paper |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
| GFL-Res101 | FCOS-Res50 | 1x | 70.0 | 15.0 | 2 of 2 | +1.00 | 70 | 70 |
| GFL-Res101 | FCOS-Res50 | 2x | 70.0 | 15.0 | 5 of 5 | +0.90 | 80 | 70 |

- Rank correlation is Spearman's, of our mAP and the paper's over the weights; with two weights +1 or -1.
"""
)


def test_a_table_runs_each_run_once_and_resumes(desk, micro):
    words = ("table8", "--only", "gfl101-fcos50", "--scale", "tiny", "--data", micro, "--quiet", "--format", "md")
    assert desk(*words).stdout == TABLE8
    assert sorted(map(short, desk.started())) == sorted([
        "gfl101__teacher__own__micro-tiny__s0",
        *(f"fcos50__baseline__{schedule}__micro-tiny__s0" for schedule in ("1x", "2x")),
        *(f"gfl101-fcos50__mse-w{weight}__1x__micro-tiny__s0" for weight in (50, 70)),
        *(f"gfl101-fcos50__mse-w{weight}__2x__micro-tiny__s0" for weight in (10, 30, 50, 70, 80)),
    ])  # fmt: skip
    assert desk(*words).stdout == TABLE8
    assert desk.started() == []


def test_a_failed_run_costs_its_line_and_the_next_time_runs_alone(desk, micro):
    words = ("table8", "--only", "gfl101-fcos50", "--scale", "tiny", "--data", micro, "--quiet", "--format", "md")
    desk.failing = ("mse-w70__1x",)
    answer = desk(*words, code=1)
    lines = answer.stdout.splitlines()
    assert "|  |  |  |  |  |  | 70 | failed | 39.2 |  |  | +2.6 |  |  | 1 |" in lines
    failed = "- failed: gfl101-fcos50__mse-w70__1x__micro-tiny__s0: loss is NaN at step 3."
    assert [short(line) for line in lines if line.startswith("- failed")] == [failed]
    assert len(desk.started()) == 9
    desk.failing = ()
    assert desk(*words).stdout == TABLE8
    assert [short(run) for run in desk.started()] == ["gfl101-fcos50__mse-w70__1x__micro-tiny__s0"]


def test_a_failed_teacher_costs_its_students_and_not_the_others(desk, micro):
    desk.failing = ("gfl101__teacher",)
    words = ("table7", "--scale", "tiny", "--data", micro, "--quiet", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(desk(*words, code=1).stdout)))
    cause = next(row["error"] for row in rows if (row["role"], row["teacher"]) == ("distill", "gfl101"))
    assert short(cause) == "not started, since gfl101__teacher__own__micro-tiny__s0 failed"
    states = {(row["role"], row["teacher"] or row["student"]): row["state"] for row in rows}
    assert states == {
        ("teacher", "retinax101"): "done",
        ("baseline", "retina50"): "done",
        ("distill", "retinax101"): "done",
        ("teacher", "gfl101"): "failed",
        ("baseline", "gfl50"): "done",
        ("distill", "gfl101"): "not started",
    }


def test_seeds_and_json(desk, micro):
    words = ("table7", "--only", "gfl101-gfl50", "--scale", "tiny", "--data", micro, "--seeds", "0,2", "--quiet")
    rows = json.loads(desk(*words, "--format", "json").stdout)
    assert [(row["role"], row["mAP"], row["n"], row["seeds"]) for row in rows] == [
        ("teacher", 70.0, 1, "0"), ("baseline", 16.0, 2, "0 2"), ("distill", 32.0, 2, "0 2"),
    ]  # fmt: skip
    line = rows[-1]
    assert line["mAP_std"] == pytest.approx(2**0.5)  # 31 and 33
    assert (line["gain"], line["gain_std"], line["paper_gain"], line["sign"]) == (16.0, 0.0, 2.9, "same")
    assert (line["paper_mAP"], line["difference_mAP"], line["rank"]) == (43.1, None, None)


def test_the_table_goes_into_a_file_in_the_format_of_its_name(desk, micro, tmp_path):
    file = tmp_path / "table8.md"
    words = ("table8", "--only", "gfl101-fcos50", "--scale", "tiny", "--data", micro, "--quiet", "-o", file)
    answer = desk(*words)
    assert (answer.stdout, answer.stderr) == ("", f"Wrote {file}\n")
    assert file.read_text() == TABLE8


def test_a_dry_run_plans_everything_and_writes_nothing(desk):
    rows = json.loads(desk("table8", "--scale", "tiny", "--dry-run", "--format", "json").stdout)
    assert [len([row for row in rows if row["role"] == role]) for role in MAP] == [4, 5, 20]
    assert {row["state"] for row in rows} == {"to do"}
    assert {row["estimated_seconds"] for row in rows} == {None}
    assert not desk.runs.exists()
    assert not teachers_root(desk.cache).exists()


def test_a_dry_run_estimates_from_finished_runs(desk, micro, monkeypatch):
    planned = []
    true_plan = execute.plan
    monkeypatch.setattr(execute, "plan", lambda *args: planned.extend(true_plan(*args)) or true_plan(*args))
    words = ("table8", "--only", "gfl101-fcos50", "--scale", "tiny", "--data", micro, "--dry-run")
    desk(*words)
    by_name = {one.run.rpartition("__")[0]: one for one in planned}
    desk.finish(by_name["fcos50__baseline__1x__micro-tiny"], images_per_second=2.0)
    desk.finish(
        by_name["gfl101-fcos50__mse-w50__1x__micro-tiny"], images_per_second=0.5, seconds=130.0, train_seconds=100.0
    )
    # 16 images an epoch: 1x is 3 epochs of 2 steps of 8, 2x is 6; a student takes 30 s for its start and evaluation.
    assert short(desk(*words, "--format", "md").stdout) == """\
**table8: 10 runs (1 teacher, 2 baselines, 7 distilled)**

| run | role | state | steps | time |
| --- | --- | --- | ---: | ---: |
| fcos50__baseline__1x__micro-tiny__s0 | baseline | done | 6 |  |
| gfl101__teacher__own__micro-tiny__s0 | teacher | to do | 16 | unknown |
| gfl101-fcos50__mse-w50__1x__micro-tiny__s0 | distill | done | 6 |  |
| gfl101-fcos50__mse-w70__1x__micro-tiny__s0 | distill | to do | 6 | 2:06 |
| fcos50__baseline__2x__micro-tiny__s0 | baseline | to do | 12 | 0:48 |
| gfl101-fcos50__mse-w10__2x__micro-tiny__s0 | distill | to do | 12 | 3:42 |
| gfl101-fcos50__mse-w30__2x__micro-tiny__s0 | distill | to do | 12 | 3:42 |
| gfl101-fcos50__mse-w50__2x__micro-tiny__s0 | distill | to do | 12 | 3:42 |
| gfl101-fcos50__mse-w70__2x__micro-tiny__s0 | distill | to do | 12 | 3:42 |
| gfl101-fcos50__mse-w80__2x__micro-tiny__s0 | distill | to do | 12 | 3:42 |

- 2 done, 8 to do. Estimated time, from the steps of finished runs: 21:24 for 7 of them; the others are unknown.
"""


def test_a_dry_run_at_scale_paper_needs_no_coco(desk):
    answer = desk("table7", "--dry-run", "--format", "md", "--only", "gfl101-gfl50")
    assert short(answer.stdout).splitlines()[4:] == [
        "| gfl50__baseline__1x__coco-paper__s0 | baseline | to do | 703596 | unknown |",
        "| gfl101__teacher__own__coco-paper__s0 | teacher | to do | - | unknown |",
        "| gfl101-gfl50__norm-kl-w10-t50__1x__coco-paper__s0 | distill | to do | 703596 | unknown |",
        "",
        "- 0 done, 3 to do. Estimated time: unknown, since no finished run has the same student and scale.",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("table9",), "unknown table 'table9'."),
        (("table8", "--only", "gfl-fcos"), "--only: table table8: unknown pair 'gfl-fcos'."),
        (("table8", "--format", "docx"), "unknown --format 'docx'."),
        (("table8", "--seeds", "0,x"), "--seeds: 'x' is not a finite number of 0 or more."),
        (("table8", "--seeds", ""), "--seeds: an empty list."),
        (("absent.yaml",), "there is no recipe file absent.yaml."),
    ],
)
def test_wrong_words(desk, words, message):
    with pytest.raises(PkdError) as caught:
        desk(*words)
    assert (caught.value.message, caught.value.code) == (message, 2)


def test_a_run_that_another_process_holds_is_left_alone(desk, micro):
    words = ("table7", "--only", "gfl101-gfl50", "--scale", "tiny", "--data", micro, "--quiet", "--format", "json")
    desk(*words)
    (baseline,) = desk.runs.glob("gfl50__baseline*")
    paths = RunPaths(baseline)
    paths.result.unlink()
    status = json.loads(paths.status.read_text())
    write_json(paths.status, {**status, "state": "running", "pid": os.getpid(), "host": socket.gethostname()})
    with pytest.raises(PkdError, match="is running already"):
        desk(*words)
