"""The verbs that carry runs out, called as programs call them: from threads, from other processes, with any type."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import pkdcli
from pkdcli.runs.store import read_json, write_json

HERE = socket.gethostname()


@pytest.fixture
def train(own, worker):
    """`pkdcli.train` of a baseline on one's own data, unless told otherwise."""
    worker()

    def train(**changes):
        return pkdcli.train(**{"loss": "none", "scale": "tiny", "data": own, **changes})

    return train


def in_thread(call):
    """What a call returned or raised in a thread that has ended."""
    found = []

    def work():
        try:
            found.append(call())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    return found[0]


# From threads and other processes


def test_a_thread_trains_and_ends(train):
    run = in_thread(train)
    assert (run.state, run.metrics["mAP"]) == ("done", 20.0)
    assert read_json(run.path / "job.json")["queue"]["pid"] == os.getpid()


def test_a_thread_is_told_what_failed(train, worker):
    worker(baseline="fails")
    error = in_thread(train)
    assert type(error) is pkdcli.PkdError
    assert error.message.endswith(": the loss is NaN at step 3.")


PROGRAM = """
import sys
del sys.argv
import pkdcli
try:
    run = pkdcli.train(loss="none", scale="tiny", data={data!r})
    print(run.id, run.state)
except pkdcli.PkdError as error:
    print("refused:", error.message)
except KeyboardInterrupt as error:
    print(error)
"""


def program(own, **env):
    words = [sys.executable, "-c", PROGRAM.format(data=str(own))]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **env})


def at_work(runs) -> Path:
    """The only run of a folder, once it trains."""
    for _ in range(1500):
        for status in runs.glob("*/status.json"):
            if (read_json(status) or {}).get("iter"):
                return status.parent
        time.sleep(0.02)
    raise AssertionError("it does not begin")


def test_programs_without_a_command_line_train_a_run_one_at_a_time(own, stand_in, here):
    first = program(own, MANNERS="baseline=waits")
    run = at_work(here / "runs")
    before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
    out, _ = program(own).communicate(timeout=60)
    worker = read_json(run / "status.json")["pid"]
    assert out == f"refused: {run.name} is running already: process {worker} on {HERE}.\n"
    assert {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()} == before
    first.send_signal(signal.SIGINT)
    assert first.communicate(timeout=60)[0] == "stopped; type the same command again to go on.\n"
    assert read_json(run / "status.json")["state"] == "interrupted"
    out, _ = program(own).communicate(timeout=60)
    assert out == f"{run.name} done\n"
    assert read_json(run / "result.json")["metrics"]["mAP"] == 20.0


# Keywords of every type


def test_a_keyword_may_be_a_path_a_text_or_a_list(own, here):
    def plan(**keywords):
        found = pkdcli.sweep(scale="tiny", dry_run=True, **keywords)
        return [one.run for one in found.planned], found.runs

    expected = plan(data=str(own), losses="mse,pkd", weights="10,30", seeds="0", runs="elsewhere")
    for data, losses, weights, seeds, runs in (
        (own, ["mse", "pkd"], [10, 30], [0], Path("elsewhere")),
        (own, ("mse", "pkd"), (10.0, 30), 0, "elsewhere"),
        (str(own), iter(["mse", "pkd"]), range(10, 31, 20), (0,), Path("elsewhere")),
    ):
        assert plan(data=data, losses=losses, weights=weights, seeds=seeds, runs=runs) == expected
    assert len(expected[0]) == 6
    assert not (here / "elsewhere").exists()


def test_a_setting_may_be_one_or_several(train):
    def run(sets):
        return train(set=sets, dry_run=True).planned[-1]

    one = run("schedule.momentum=0.5")
    assert one.run == run(["schedule.momentum=0.5"]).run == run(("schedule.momentum=0.5",)).run
    assert run(["schedule.momentum=0.5", "workers=0"]).recipe.schedule == one.recipe.schedule


def test_a_run_stands_for_its_folder(train):
    run = train()
    assert pkdcli.load_run(run) == pkdcli.load_run(str(run.path)) == pkdcli.load_run(run.path) == run
    assert {one.text for one in pkdcli.cancel(run, run.path)} == {"is done already"}
    (same,) = pkdcli.resume(run)
    assert same == run


def test_a_call_is_kept_as_it_was_made(train, own):
    command = train(weight=None, dry_run=True).command
    assert command == f"pkdcli.train(loss='none', scale='tiny', data={own!r}, weight=None, dry_run=True)"


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"pair": 3}, "pair: 3 is not a text."),
        ({"scale": Path("x.yaml")}, "there is no recipe file x.yaml."),
        ({"runs": ""}, "runs: an empty name."),
        ({"dry_run": "no"}, "dry_run: 'no' is not True or False."),
        ({"jobs": 0}, "jobs: 0 is not a whole number of 1 or more."),
        ({"seed": [1, 2]}, "seed: [1, 2] is not a whole number of 0 or more."),
    ],
)
def test_a_wrong_keyword_starts_nothing(train, here, keywords, message):
    with pytest.raises(pkdcli.PkdError) as caught:
        train(**keywords)
    assert caught.value.message.startswith(message)
    assert not (here / "runs").exists()


# Going on


def test_a_student_goes_on_with_the_teacher_it_lacks(train, worker):
    worker(mse="fails")
    with pytest.raises(pkdcli.PkdError):
        train(loss="mse", weight=30)
    (student,) = pkdcli.list_runs()
    teacher = Path(read_json(student.path / "job.json")["teacher"])
    for file in teacher.iterdir():
        file.unlink()
    teacher.rmdir()
    worker()
    (again,) = pkdcli.resume(student.id)
    assert (again.id, again.state, again.metrics["mAP"]) == (student.id, "done", 33.0)
    assert read_json(teacher / "status.json")["state"] == "done"
    assert pkdcli.resume(everything=True) == []


@pytest.mark.parametrize("job", ["", "[]", "{half", "{}", '{"teacher": 7, "launcher": null}', '{"launcher": "local"}'])
def test_a_damaged_job_is_gone_on_with_here(train, worker, job):
    worker(baseline="fails")
    with pytest.raises(pkdcli.PkdError):
        train()
    (run,) = pkdcli.list_runs()
    (run.path / "job.json").write_text(job)
    worker()
    (again,) = pkdcli.resume(run.id)
    assert again.state == "done"
    assert read_json(run.path / "job.json")["teacher"] is None


def test_a_damaged_recipe_is_named(train, worker):
    worker(baseline="fails")
    with pytest.raises(pkdcli.PkdError):
        train()
    (run,) = pkdcli.list_runs()
    (run.path / "recipe.yaml").write_text("student: [")
    with pytest.raises(pkdcli.PkdError) as caught:
        pkdcli.resume(run.id)
    assert str(run.path / "recipe.yaml") in caught.value.message


# Stopping


def test_what_becomes_of_runs_in_every_state(run, mine, monkeypatch):
    sent = []
    monkeypatch.setattr("pkdcli.launch.local.launcher.send", lambda pids, number: sent.append((pids, number)))
    run("done", "done", result=True)
    run("failed", "failed", error={"message": "x", "hint": None, "code": 1})
    waits = run("waits", "queued", queue=mine)
    works = run("works", "running", **mine)
    away = run("away", "running", pid=1, host="elsewhere")
    found = pkdcli.cancel("done", "failed", "waits", "works", "away")
    assert {one.run: (one.text, one.ok) for one in found} == {
        "done": ("is done already", True),
        "failed": ("is failed already", True),
        "waits": ("cancelled before it started", True),
        "works": (f"asked process {os.getpid()} to save and stop", True),
        "away": ("runs on elsewhere; type the command there", False),
    }
    assert sent == [([os.getpid()], signal.SIGINT)]
    assert read_json(waits / "status.json")["error"]["code"] == 130
    assert read_json(works / "status.json")["state"] == "running"
    assert not (away / ".cancel").exists()
    assert pkdcli.cancel("waits")[0].text == "is interrupted already"


@pytest.mark.parametrize("launcher", [{"name": "x", "kind": "gone"}, {"name": "x", "kind": "local", "jbos": 2}, 3])
def test_one_run_whose_launcher_is_not_to_be_had_keeps_no_other(run, mine, monkeypatch, launcher):
    sent = []
    monkeypatch.setattr("pkdcli.launch.local.launcher.send", lambda pids, number: sent.append(pids))
    strange = run("strange", "running", **mine)
    write_json(strange / "job.json", {"launcher": launcher})
    run("works", "running", **mine)
    found = {one.run: one for one in pkdcli.cancel("strange", "works")}
    assert found["works"].text == f"asked process {os.getpid()} to save and stop"
    assert [os.getpid()] in sent
    if isinstance(launcher, dict):
        assert not found["strange"].ok
        assert "job.json" in found["strange"].text


def test_nobody_is_named():
    with pytest.raises(pkdcli.PkdError, match=r"^names is missing"):
        pkdcli.cancel()
    with pytest.raises(pkdcli.PkdError, match=r"^names: 7 is not a text\.") as caught:
        pkdcli.cancel(7)
    assert caught.value.hint == "Example: names='RUN...'"


def test_a_run_that_there_is_not_stops_no_other(run, mine, monkeypatch):
    sent = []
    monkeypatch.setattr("pkdcli.launch.local.launcher.send", lambda pids, number: sent.append(pids))
    run("works", "running", **mine)
    with pytest.raises(pkdcli.PkdError, match="no run begins with 'wroks'"):
        pkdcli.cancel("works", "wroks")
    assert sent == []
