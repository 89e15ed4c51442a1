"""What is said of a run while it runs."""

from __future__ import annotations

import json
import time

import pytest

from pkdcli.cli.progress import base, choose, json_lines, plain
from pkdcli.errors import PkdError
from pkdcli.experiment import data
from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Outcome
from pkdcli.options import number, numbers, whole_numbers, words
from pkdcli.runs.store import write_json

TRAINING = {"phase": "train", "epoch": 2, "epochs": 6, "iter": 30, "iters": 600}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({}, "starting"),
        ({"phase": "start"}, "starting"),
        ({"phase": "evaluate", "iters": 600}, "evaluating"),
        ({"phase": "evaluate", "phase_done": 24, "phase_total": 200, "iters": 600}, "evaluating, 24/200 images"),
        ({"phase": "evaluate", "phase_total": 200}, "evaluating, 0/200 images"),
        ({"phase": "train"}, "starting"),
        ({"phase": "data"}, "reading data"),
        ({"phase": "weights", "iters": 600}, "loading weights"),
        ({"phase": "finish", "iters": 600}, "finishing"),
        # It has said how it ended, and its process takes a while to be gone.
        ({"state": "done", "phase": None, "iters": 600}, "finishing"),
        ({"state": "interrupted", "phase": None, "iters": 600}, "stopping"),
        ({"state": "failed", "phase": None}, "stopping"),
        (TRAINING, "epoch 2/6, step 30/600"),
        ({**TRAINING, "epochs": None}, "step 30/600"),
        (
            {**TRAINING, "train_loss": 1.23456, "it_per_s": 2.5, "eta_s": 61.4},
            "epoch 2/6, step 30/600, loss 1.235, 2.50 it/s, 1:01 left",
        ),
        # The column `loss` is the loss's name and no number to print.
        ({**TRAINING, "loss": "pkd", "train_loss": None}, "epoch 2/6, step 30/600"),
    ],
)
def test_how_far_a_run_is(status, text):
    assert base.describe(status) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599.6, "1:00:00"), (86400, "24:00:00")]
)
def test_durations(seconds, text):
    assert base.duration(seconds) == text


@pytest.fixture
def spec(tmp_path):
    write_json(tmp_path / "run-a" / "status.json", {**TRAINING, "loss": "pkd", "train_loss": 1.5})
    return JobSpec("run-a", ("x",), tmp_path / "run-a")


def test_why_a_run_failed_is_its_own_words(spec):
    write_json(spec.run_dir / "status.json", {"error": {"message": "NaN.", "hint": "Less."}})
    assert base.why(spec, Outcome(1)) == f"NaN.\nLess.\nlog: {spec.run_dir}/log.txt"


def test_or_the_end_of_its_log(spec):
    (spec.run_dir / "log.txt").write_bytes(b"\n".join(b"line %d \xff" % n for n in range(100)))
    lines = base.why(spec, Outcome(1, died_by="SIGSEGV")).splitlines()
    assert lines[0] == "killed by SIGSEGV"
    assert lines[1:-1] == [f"  | line {n} \ufffd" for n in range(60, 100)]
    assert lines[-1] == f"log: {spec.run_dir}/log.txt"


def test_or_its_exit_code_where_there_is_no_log(spec):
    assert base.why(spec, Outcome(5)) == f"exit code 5\nlog: {spec.run_dir}/log.txt"


def test_plain_lines_come_now_and_then(spec, capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(plain.time, "monotonic", lambda: now[0])
    lines = plain.Lines()
    lines.on_start(spec)
    for second in range(25):
        now[0] = float(second)
        lines.on_tick(spec)
    assert capsys.readouterr().err == "run-a: started\n" + 2 * "run-a: epoch 2/6, step 30/600, loss 1.500\n"


def test_json_lines_come_when_something_changes(spec, capsys):
    watch = json_lines.JsonLines()
    watch.on_start(spec)
    for step in (30, 30, 31):
        write_json(spec.run_dir / "status.json", {**TRAINING, "iter": step})
        watch.on_tick(spec)
    watch.on_end(spec, Outcome(130))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["event"], event.get("iter"), event.get("code")) for event in events] == [
        ("began", None, None),
        ("status", 30, None),
        ("status", 31, None),
        ("ended", None, 130),
    ]


def test_drawing_the_data_is_said_now_and_then_where_there_is_no_terminal(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(plain.time, "monotonic", lambda: now[0])

    def drawn(**manner):
        now[0] = 0.0
        watch = choose.watcher(**{"json": False, "quiet": False, **manner})
        for done in range(0, 950, 50):
            now[0] += 1.0
            watch.on_data("shapes", done, 950)
        return capsys.readouterr()

    assert drawn() == ("", "drawing the data set shapes: 450/950 pictures\n")
    assert drawn(quiet=True) == ("", "")
    (event,) = drawn(json=True).out.splitlines()
    assert json.loads(event) == {"event": "data", "data": "shapes", "done": 450, "total": 950}


def test_a_check_of_the_data_that_takes_its_time_is_said(capsys, monkeypatch):
    monkeypatch.setattr(data, "SLOW_SECONDS", 0.01)

    def checked(seconds=0.3, **manner):
        with data._said_if_slow("own", choose.watcher(**{"json": False, "quiet": False, **manner})):
            time.sleep(seconds)
        return capsys.readouterr()

    assert checked() == ("", "checking the data set own ...\n")
    assert checked(quiet=True) == ("", "")
    assert json.loads(checked(json=True).out)["event"] == "data"
    monkeypatch.setattr(data, "SLOW_SECONDS", 3.0)
    assert checked(0) == ("", "")


# Numbers and words as they are typed


@pytest.mark.parametrize("text", ["abc", "", "-1", "nan", "inf", "-inf", "1,5", "1e999", "0x10"])
def test_what_is_no_weight(text):
    with pytest.raises(PkdError) as caught:
        number(text, "--weight", least=0)
    assert caught.value.message == f"--weight: {text!r} is not a finite number of 0 or more."


def test_numbers_and_words():
    assert number(None, "--weight") is None
    assert (number("0", "--weight", least=0), number(" 1e1 ", "--weight")) == (0.0, 10.0)
    assert numbers("10, 30,50,", "--weights", least=0) == [10.0, 30.0, 50.0]
    assert numbers(None, "--weights") == words(None, "--loss") == []
    assert whole_numbers("0,1,2", "--seeds") == [0, 1, 2]
    assert words(" pkd ,mse", "--loss") == ["pkd", "mse"]
    with pytest.raises(PkdError, match="above 0"):
        numbers("1,0", "--temperatures", above=0)
    for wrong in ("1.5", "-1", "x"):
        with pytest.raises(PkdError):
            whole_numbers(wrong, "--seeds")
