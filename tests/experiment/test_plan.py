"""From recipes to jobs and back."""

from __future__ import annotations

import hashlib
import os
import sys

import pytest
import yaml

from pkdcli.data.prepare import facts
from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment import execute
from pkdcli.experiment import plan as experiment
from pkdcli.experiment import prepare as preparation
from pkdcli.launch.outcome import Outcome
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.sweep import Grid, expand
from pkdcli.runs.lock import RunLock
from pkdcli.runs.status import Status
from pkdcli.runs.store import read_json, write_json


@pytest.fixture
def plan(tmp_path):
    """A factory of plans on the embedded data at scale tiny."""

    def plan(grid=None, **changes):
        base = Request(**{"scale": "tiny", **changes})
        recipes = expand(base, grid) if grid else [resolve(base)]
        recipes = [recipe.model_copy(update={"data": facts(recipe.data, tmp_path)}) for recipe in recipes]
        return experiment.plan(recipes, tmp_path / "runs", tmp_path / "cache")

    return plan


def test_teachers_come_before_their_students_and_once(plan, tmp_path):
    planned = plan(Grid(losses=["mse"], weights=[10, 30], seeds=[0, 1]))
    assert [(one.recipe.role, one.recipe.seed) for one in planned] == [
        *(("baseline", 0), ("teacher", 0), ("distill", 0), ("distill", 0)),
        *(("baseline", 1), ("distill", 1), ("distill", 1)),
    ]
    teacher = planned[1]
    assert all(one.teacher is teacher for one in planned if one.recipe.role == "distill")
    assert teacher.paths.root.parent == tmp_path / "cache" / "teachers"
    assert planned[0].paths.root.parent == tmp_path / "runs"


def test_a_job_names_its_worker_and_what_it_needs(plan, tmp_path):
    teacher, student = plan()
    spec = preparation.spec(student, tmp_path / "cache", "pkd train --set 'a b'")
    assert spec.argv == (sys.executable, "-m", "pkdcli.engine.worker", str(student.paths.root))
    assert (spec.name, spec.needs, spec.run_dir) == (student.run, (teacher.run,), student.paths.root)
    assert spec.env == {"PKD_COMMAND": "pkd train --set 'a b'", "PKD_CACHE": str(tmp_path / "cache")}
    assert preparation.spec(teacher, tmp_path, "pkd train").needs == ()


def test_a_prepared_run_directory(plan, tmp_path):
    teacher, student = plan()
    preparation.prepare(student, tmp_path / "cache")
    assert sorted(path.name for path in student.paths.root.iterdir()) == [
        *("config.py", "job.json", "recipe.yaml", "status.json"),
    ]
    assert yaml.safe_load(student.paths.recipe.read_text()) == student.recipe.model_dump(mode="json")
    assert read_json(student.paths.job) == {
        "cache": str(tmp_path / "cache"),
        "teacher": str(teacher.paths.root),
        "devices": 1,
    }
    status = read_json(student.paths.status)
    assert (status["state"], status["run"], status["error"]) == ("queued", student.run, None)


def test_a_finished_run_is_left_as_it_is(plan, tmp_path):
    (baseline,) = plan(loss="none")
    write_json(baseline.paths.result, {"role": "baseline", "metrics": {}})
    baseline.paths.student.write_bytes(b"")
    preparation.prepare(baseline, tmp_path)
    assert sorted(path.name for path in baseline.paths.root.iterdir()) == ["result.json", "student.pth"]


def test_a_run_at_work_is_refused(plan, tmp_path):
    (baseline,) = plan(loss="none")
    Status(baseline.paths).start()
    with pytest.raises(PkdError, match=f"is running already: process {os.getpid()}"):
        preparation.prepare(baseline, tmp_path)


# Weights of one's own


def test_weights_of_ones_own_are_known_by_their_content(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.pth", b"weights"), ("b.pth", b"weights"), ("c.pth", b"others")):
        (tmp_path / name).write_bytes(content)
    plans = [plan(teacher_checkpoint=name) for name in ("a.pth", "b.pth", "c.pth")]
    (teacher, student), other = plans[0], plans[2]
    assert student.recipe.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert student.recipe.teacher_checkpoint == teacher.recipe.weights == str(tmp_path / "a.pth")
    assert [one.run for one in plans[0]] == [one.run for one in plans[1]]
    assert not {one.run for one in plans[0]} & {one.run for one in other}


def test_weights_that_are_not_there(plan, tmp_path):
    with pytest.raises(PkdError) as caught:
        plan(teacher_checkpoint=str(tmp_path))
    assert caught.value.message == f"--teacher-checkpoint: there is no file {tmp_path}."


# What runs could not say themselves


def error(one):
    return (read_json(one.paths.status).get("error") or {}).get("message")


def test_the_dead_and_the_unborn_are_spoken_for(plan, tmp_path):
    planned = plan(Grid(losses=["mse"], weights=[1, 2, 3, 4], baseline=False))
    teacher, killed, silent, spoke, lacking = planned
    for one in planned:
        preparation.prepare(one, tmp_path)
    Status(killed.paths).start()
    Status(spoke.paths).fail("its own words", None, 1)
    Status(teacher.paths).done()
    outcomes = {
        teacher.run: Outcome(0),
        killed.run: Outcome(1, died_by="SIGSEGV"),
        silent.run: Outcome(1),
        spoke.run: Outcome(1),
        lacking.run: Outcome(1, lacked="t"),
    }
    execute.settle(planned, outcomes)
    states = [read_json(one.paths.status)["state"] for one in planned]
    assert states == ["done", "failed", "failed", "failed", "queued"]
    assert [error(one) for one in planned] == [
        None,
        "killed by SIGSEGV",
        "exit code 1",
        "its own words",
        "not started, since t failed",
    ]
    preparation.prepare(lacking, tmp_path)
    assert error(lacking) is None


def test_the_status_of_a_run_that_another_process_is_at_stays_as_it_is(plan, tmp_path):
    (run,) = plan(loss="none")
    Status(run.paths).start()
    before = run.paths.status.read_bytes()
    with RunLock(run.paths):
        for outcome in (Outcome(2), Outcome(1, died_by="SIGKILL"), Outcome(1, lacked="t")):
            execute.settle([run], {run.run: outcome})
    assert run.paths.status.read_bytes() == before


def test_a_run_killed_by_a_second_ctrl_c_was_interrupted(plan, tmp_path):
    first, second = plan()
    Status(first.paths).write(state="running", pid=2**22 + 1, host=os.uname().nodename)
    Status(second.paths).write(state="running", pid=os.getpid(), host=os.uname().nodename)
    execute.settle_interrupted([first, second])
    assert [read_json(one.paths.status)["state"] for one in (first, second)] == ["interrupted", "running"]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], ExitCode.OK),
        ([Outcome(0), Outcome(0)], ExitCode.OK),
        ([Outcome(0), Outcome(1)], ExitCode.RUN_FAILED),
        ([Outcome(3), Outcome(1, lacked="t")], ExitCode.MISSING),
        ([Outcome(3), Outcome(3)], ExitCode.MISSING),
        ([Outcome(3), Outcome(1)], ExitCode.RUN_FAILED),
        ([Outcome(130)], ExitCode.INTERRUPTED),
        ([Outcome(77)], ExitCode.RUN_FAILED),
        ([Outcome(1, lacked="t")], ExitCode.RUN_FAILED),
    ],
)
def test_the_exit_code_of_many_runs(outcomes, code):
    assert execute.exit_code({str(number): outcome for number, outcome in enumerate(outcomes)}) is code


def test_a_student_that_can_not_be_trained_its_own_way_is_refused_before_its_teacher_is_trained(tmp_path):
    """Soft Teacher's hook, as it would be on a student of one's own."""
    (tmp_path / "mine.py").write_text(
        '_base_ = ["mmdet::gfl/gfl_r50_fpn_1x_coco.py"]\ncustom_hooks = [dict(type="MeanTeacherHook")]\n'
    )
    detector = f"name: mine\ntitle: Mine\nkind: one-stage\nconfig: {tmp_path / 'mine.py'}\nlr: 0.01\n"
    (tmp_path / "mine.yaml").write_text(detector)
    (tmp_path / "pair.yaml").write_text("name: pair\nteacher: gfl101\nstudent: mine.yaml\nschedule: 1x\n")
    recipe = resolve(Request(pair=str(tmp_path / "pair.yaml"), scale="tiny"))
    assert recipe.training == "own"
    with pytest.raises(PkdError) as caught:
        experiment.plan([recipe], tmp_path / "runs", tmp_path / "cache")
    assert caught.value.message == (
        "detector mine: custom_hooks.0: MeanTeacherHook: it trains from images without annotations, which data sets "
        "here do not have."
    )
