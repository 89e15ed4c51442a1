"""What is asked of runs that are there: each verb as a function and as a command, with equal results."""

from __future__ import annotations

import json
import math
import os
import pickle
import socket
import threading
import time

import pytest
from typer.testing import CliRunner

from pkdcli.api.runs import StatusOptions, list_runs, load_run, status
from pkdcli.api.runs import logs as api
from pkdcli.api.runs.cancel import Cancelled, CancelOptions, cancel
from pkdcli.api.runs.clean import CleanOptions, clean
from pkdcli.api.runs.logs import LogsOptions, logs
from pkdcli.cli import app
from pkdcli.errors import ExitCode, PkdError
from pkdcli.options import OutputOptions
from pkdcli.runs.store import read_json, write_json


@pytest.fixture
def runs(run_folder, tmp_path, monkeypatch):
    """A sweep, a run that waits, one that failed, one that is at work and one that was killed; and a teacher."""
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PKD_RUNS", str(run_folder.root))
    monkeypatch.setenv("COLUMNS", "200")
    run_folder.sweep()
    host = socket.gethostname()
    run_folder.add("mse-60", state="failed", error={"message": "the loss is NaN at step 3."}, weight=60)
    run_folder.add("mse-70", state="running", pid=os.getpid(), host=host, weight=70)
    run_folder.add("mse-80", state="running", pid=None, host=host, weight=80)
    write_json(tmp_path / "cache" / "teachers" / "gfl101__teacher" / "status.json", {"state": "interrupted"})
    return run_folder


STATES = {
    **{"base": "done", "mse-10": "done", "mse-30": "done", "mse-50": "done"},
    **{"mse-60": "failed", "mse-70": "running", "mse-80": "failed"},
}


def typed(*words):
    """What the command prints on stdout."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


HERE = OutputOptions()


# list and load


def test_the_list_is_the_list_that_the_command_prints(runs, capsys):
    found = list_runs()
    assert capsys.readouterr() == ("", "")
    assert {run.id: run.state for run in found} == STATES
    rows = [{"list": "runs", "run": run.id, "state": run.state, "mAP": run.metrics["mAP"]} for run in found]
    assert rows == objects(typed("list", "runs", "--json"))
    assert [run.id for run in list_runs(runs.root / "absent")] == []


def test_a_state_is_what_status_says(runs):
    (runs.root / "mse-50" / "student.pth").unlink()
    listed = {run.id: (run.state, run.reason) for run in list_runs()}
    said = {one["run"]: (one["state"], one["reason"]) for one in objects(typed("status", "--json"))}
    assert said.pop("gfl101__teacher") == ("interrupted", None)
    assert listed == said
    assert listed["mse-50"] == ("failed", "its result or its weights are no longer there")
    assert {name: load_run(name).state for name in said} == {name: state for name, (state, _) in said.items()}


def test_the_list_as_a_frame_and_as_a_table_of_a_notebook(runs):
    frame = list_runs().frame()
    assert dict(zip(frame["run"], frame["state"], strict=True)) == STATES
    assert frame.loc[frame["run"] == "mse-30", ["loss", "weight", "mAP"]].to_numpy().tolist() == [["mse", 30.0, 33.26]]
    assert math.isnan(frame.loc[frame["run"] == "mse-60", "mAP"].item())
    assert frame["AP_S"].dtype == float
    page = list_runs()._repr_html_()
    assert page.count("<tr>") == 1 + len(STATES)
    assert "<td>mse-30</td><td>done</td><td>33.3</td>" in page
    empty = list_runs(runs.root / "absent")
    assert empty.frame().shape[0] == 0
    assert "no runs yet" in empty._repr_html_()
    assert pickle.loads(pickle.dumps(list_runs())) == list_runs()


def test_one_run_by_its_name_its_beginning_or_its_folder(runs, tmp_path):
    for name in ("mse-30", "mse-3", runs.root / "mse-30", str(runs.root / "mse-30") + "/"):
        run = load_run(name)
        assert (run.id, run.path, run.metrics["mAP"]) == ("mse-30", runs.root / "mse-30", 33.26)
    assert load_run("gfl101__t").path == tmp_path / "cache" / "teachers" / "gfl101__teacher"
    assert load_run("mse-60").reason == "the loss is NaN at step 3."
    with pytest.raises(PkdError) as caught:
        load_run("mse_30")
    assert str(caught.value).startswith("no run begins with 'mse_30'.\nDid you mean mse-30?")
    with pytest.raises(PkdError, match="6 runs begin with 'mse'"):
        load_run("mse")


# status


def test_status_is_what_the_command_prints(runs, capsys):
    found = status(StatusOptions(), HERE)
    assert capsys.readouterr() == ("", "")
    said = objects(typed("status", "--json"))
    assert [(one.paths.run, one.state, one.reason, one.where) for one in found] == [
        (one["run"], one["state"], one["reason"], one["where"]) for one in said
    ]
    assert [one.paths.run for one in status(StatusOptions(("mse-3", "base")), HERE)] == ["mse-30", "base"]


def test_status_writes_down_what_a_killed_run_could_not(runs):
    status(StatusOptions(("mse-80",)), HERE)
    written = read_json(runs.root / "mse-80" / "status.json")
    assert (written["state"], written["error"]["message"]) == ("failed", "its process is gone")


# logs


def test_a_log_is_what_the_command_prints(runs):
    (runs.root / "mse-10" / "log.txt").write_text("one\ntwo\nthree\n")
    for lines, wanted in ((None, "one\ntwo\nthree\n"), (2, "two\nthree\n"), (0, "")):
        assert logs(LogsOptions("mse-1", lines), HERE) == wanted
        assert typed("logs", "mse-1", *([] if lines is None else ["-n", lines])) == wanted
        assert load_run("mse-10").log(lines) == wanted
    with pytest.raises(PkdError) as caught:
        logs(LogsOptions("mse-60"), HERE)
    assert str(caught.value) == "mse-60 has no log yet: it is failed.\nthe loss is NaN at step 3."
    assert caught.value.code == ExitCode.MISSING


def test_a_followed_log_keeps_its_characters_whole(runs, monkeypatch):
    monkeypatch.setattr(api, "SECONDS", 0.01)
    folder = runs.root / "mse-70"
    (folder / "log.txt").write_bytes("größe".encode()[:3])  # half of the letter is there

    def go():
        time.sleep(0.1)
        with open(folder / "log.txt", "ab") as log:
            log.write("größe".encode()[3:])
        write_json(folder / "status.json", {"state": "interrupted"})

    thread = threading.Thread(target=go)
    thread.start()
    assert "".join(api.find_log(LogsOptions("mse-70"), HERE, follow=True)) == "größe"
    thread.join()


# cancel


def test_cancel_says_what_became_of_each(runs, capsys):
    queue = {"pid": os.getpid(), "host": socket.gethostname()}
    for name in ("waits-1", "waits-2"):
        runs.add(name, state="queued")
        write_json(runs.root / name / "job.json", {"queue": queue})
    runs.add("away", state="running", pid=1, host="another")
    found = cancel(CancelOptions(("mse-10", "waits-1", "away")), HERE)
    assert capsys.readouterr() == ("", "")
    assert found == [
        Cancelled("mse-10", "is done already"),
        Cancelled("waits-1", "cancelled before it started"),
        Cancelled("away", "runs on another; type the command there", ok=False),
    ]
    assert typed("cancel", "waits-2", "mse-10") == "waits-2: cancelled before it started\nmse-10: is done already\n"
    first, second = (read_json(runs.root / name / "status.json") for name in ("waits-1", "waits-2"))
    assert (first["state"], first["error"]) == (second["state"], second["error"])
    assert first["error"]["message"] == "cancelled before it started"
    assert CliRunner().invoke(app, ["cancel", "away"]).exit_code == 1
    assert cancel(CancelOptions(()), HERE) == []


# clean


def cluttered(runs):
    for name in ("mse-10", "mse-60"):
        for epoch in range(1, 4):
            path = runs.root / name / "checkpoints" / f"epoch_000{epoch}.pth"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x" * 1000)
            os.utime(path, (epoch, epoch))


def test_clean_finds_what_the_command_shows_and_removes_it_only_if_asked_to(runs, capsys):
    cluttered(runs)
    folder = runs.root / "mse-10" / "checkpoints"
    found = clean(CleanOptions(), HERE)
    assert capsys.readouterr() == ("", "")
    assert found.sizes == {folder / "epoch_0001.pth": 1000, folder / "epoch_0002.pth": 1000}
    assert (found.total, found.removed) == (2000, False)
    shown = [line.split()[-1] for line in typed("clean").splitlines()[:-1]]
    assert shown == [str(path) for path in found.sizes]
    assert len(list(folder.iterdir())) == 3
    assert clean(CleanOptions(yes=True), HERE).removed
    assert [path.name for path in folder.iterdir()] == ["epoch_0003.pth"]
    assert len(list((runs.root / "mse-60" / "checkpoints").iterdir())) == 3  # it may go on


@pytest.mark.parametrize(("keep", "removed"), [(0, 3), (1, 2), (3, 0), (4, 0), (5, 0)])
def test_clean_keeps_as_many_as_it_is_told(runs, keep, removed):
    cluttered(runs)
    assert len(clean(CleanOptions(keep), HERE).sizes) == removed


def test_clean_of_a_part_of_the_cache_that_there_is_not(runs):
    with pytest.raises(PkdError, match=r"unknown part of the cache 'teachers'\."):
        clean(CleanOptions(cache=("teachers",)), HERE)
