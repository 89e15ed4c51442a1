"""`pkd status`: what every run is doing, and what became of those that could not say it."""

from __future__ import annotations

import json
import os
import socket
import time

from pkdcli.runs.store import read_json, write_json

TINY = ("--scale", "tiny", "--data")


def test_without_runs_status_says_how_to_start(type_):
    assert type_("status").out == "no runs yet: pkd train --pair gfl101-fcos50 --scale tiny\n"


def test_how_far_a_run_is_and_where(type_, run, mine):
    choose = {"phase": "train", "epoch": 2, "epochs": 6, "iter": 300, "iters": 600, "train_loss": 1.5}
    run("a", "running", **mine, **choose, it_per_s=2.0, eta_s=3700)
    said = type_("status")
    row = next(line for line in said.out.splitlines() if line.startswith("│ a"))
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    where = f"{socket.gethostname()}, process {os.getpid()}"
    assert cells == ["a", "running", "2/6", "300/600", "1.500", "2.00", "1:01:40", where]
    (line,) = type_("status", "--json").out.splitlines()
    record = json.loads(line)
    assert (record["state"], record["eta_s"], record["where"], record["log"]) == ("running", 3700, where, None)


def test_every_state_has_its_reason(run, gone, shown, mine):
    host = socket.gethostname()
    run("done", "done", result=True)
    run("emptied", "done")
    run("failed", "failed", error={"message": "the loss is NaN.", "hint": None, "code": 1})
    run("interrupted", "interrupted")
    run("queued", "queued", queue=mine)
    run("orphan", "queued", queue={"pid": gone, "host": host})
    run("lacking", "queued", error={"message": "not started, since t failed", "hint": None, "code": 1})
    run("old", "running", pid=1, host="elsewhere", updated="2020-01-01T00:00:00Z")
    found = shown()
    state, reason = found.pop("old")
    assert (state, reason.startswith("no sign of life from elsewhere, process 1 for ")) == ("failed", True)
    assert found == {
        "done": ("done", None),
        "emptied": ("failed", "its result or its weights are no longer there"),
        "failed": ("failed", "the loss is NaN."),
        "interrupted": ("interrupted", None),
        "queued": ("queued", None),
        "orphan": ("interrupted", "never started: the pkd that queued it has ended"),
        "lacking": ("failed", "not started, since t failed"),
    }


def test_a_worker_that_died_without_a_word_is_failed_with_the_end_of_its_log(type_, run, gone):
    log = "".join(f"line {n}\n" for n in range(60)) + "Killed\n"
    folder = run("a", "running", log=log, pid=gone, host=socket.gethostname(), phase="train")
    for _ in range(2):  # the second look finds what the first has written down
        said = type_("status")
        reason = "its process is gone; killed by SIGKILL, most often for want of memory"
        assert f"a: failed: {reason}\n" in said.out
        lines = [line for line in said.out.splitlines() if line.startswith("  | ")]
        assert lines == [f"  | line {n}" for n in range(21, 60)] + ["  | Killed"]
        assert said.out.splitlines()[-1] == "pkd resume --all goes on with 1 of them."
    assert read_json(folder / "status.json")["state"] == "failed"
    assert "a" in type_("list", "runs").out


def test_a_run_on_a_cluster_that_is_not_to_be_asked_from_here(run, monkeypatch, shown):
    monkeypatch.setenv("PATH", "/nowhere")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    slurm = {"name": "slurm", "kind": "slurm"}
    for name, since in (("fresh", now), ("old", "2020-01-01T00:00:00Z")):
        folder = run(name, "running", launcher=slurm, pid=1, host="node1", updated=since)
        write_json(folder / "slurm.json", {"job": "12", "task": 3})
    found = shown()
    assert found["fresh"] == ("running", "the scheduler does not answer")
    assert found["old"][0] == "failed"


def test_chosen_runs_only_and_unknown_ones_with_the_nearest(type_, run, shown):
    for name in ("alpha-1", "alpha-2", "beta"):
        run(name, "interrupted")
    assert set(shown("alpha")) == {"alpha-1", "alpha-2"}
    assert set(shown("runs/beta")) == {"beta"}
    said = type_("status", "bete")
    assert (said.code, said.err) == (
        2,
        "error: no run begins with 'bete'.\nDid you mean beta? `pkd status` lists the runs; see --runs DIR.\n",
    )


def test_status_reads_each_file_of_a_finished_run_once(type_, run, monkeypatch):
    from pkdcli.runs import store

    for name in ("a", "b"):
        run(name, "done", result=True)
    read = []
    original = store.read_json
    monkeypatch.setattr(store, "read_json", lambda path: read.append((path.parent.name, path.name)) or original(path))
    assert "done" in type_("status").out
    assert sorted(read) == [(one, f"{name}.json") for one in "ab" for name in ("job", "result", "status")]
