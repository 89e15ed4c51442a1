"""`pkd status`, `logs`, `cancel`, `resume` and `clean`: what they show of runs, and what they do to them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pkdcli.cli.progress import plain
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, write_json

TINY = ("--scale", "tiny", "--data")


@pytest.fixture
def gone():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def run(here):
    """A factory of run directories."""

    def make(name, state, log=None, launcher=None, queue=None, result=False, **status):
        folder = here / "runs" / name
        folder.mkdir(parents=True)
        write_json(folder / "status.json", {"run": name, "state": state, **status})
        write_json(
            folder / "job.json", {"launcher": launcher or {"name": "local", "kind": "local"}, "queue": queue or {}}
        )
        if log is not None:
            (folder / "log.txt").write_text(log)
        if result:
            write_json(folder / "result.json", {"role": "baseline", "metrics": {"mAP": 1.0}})
            (folder / "student.pth").touch()
        return folder

    return make


def mine():
    return {"pid": os.getpid(), "host": socket.gethostname()}


def shown(type_, *words):
    """State and reason of every run, as JSON tells."""
    records = map(json.loads, type_("status", "--json", *words).out.splitlines())
    return {record["run"]: (record["state"], record["reason"]) for record in records}


# status


def test_without_runs_status_says_how_to_start(type_):
    assert type_("status").out == "no runs yet: pkd train --pair gfl101-fcos50 --scale tiny\n"


def test_how_far_a_run_is_and_where(type_, run):
    choose = {"phase": "train", "epoch": 2, "epochs": 6, "iter": 300, "iters": 600, "train_loss": 1.5}
    run("a", "running", **mine(), **choose, it_per_s=2.0, eta_s=3700)
    said = type_("status")
    row = next(line for line in said.out.splitlines() if line.startswith("│ a"))
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    where = f"{socket.gethostname()}, process {os.getpid()}"
    assert cells == ["a", "running", "2/6", "300/600", "1.500", "2.00", "1:01:40", where]
    (line,) = type_("status", "--json").out.splitlines()
    record = json.loads(line)
    assert (record["state"], record["eta_s"], record["where"], record["log"]) == ("running", 3700, where, None)


def test_every_state_has_its_reason(type_, run, gone):
    host = socket.gethostname()
    run("done", "done", result=True)
    run("emptied", "done")
    run("failed", "failed", error={"message": "the loss is NaN.", "hint": None, "code": 1})
    run("interrupted", "interrupted")
    run("queued", "queued", queue=mine())
    run("orphan", "queued", queue={"pid": gone, "host": host})
    run("lacking", "queued", error={"message": "not started, since t failed", "hint": None, "code": 1})
    run("old", "running", pid=1, host="elsewhere", updated="2020-01-01T00:00:00Z")
    found = shown(type_)
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


def test_a_run_on_a_cluster_that_is_not_to_be_asked_from_here(type_, run, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    slurm = {"name": "slurm", "kind": "slurm"}
    for name, since in (("fresh", now), ("old", "2020-01-01T00:00:00Z")):
        folder = run(name, "running", launcher=slurm, pid=1, host="node1", updated=since)
        write_json(folder / "slurm.json", {"job": "12", "task": 3})
    found = shown(type_)
    assert found["fresh"] == ("running", "the scheduler does not answer")
    assert found["old"][0] == "failed"


def test_chosen_runs_only_and_unknown_ones_with_the_nearest(type_, run):
    for name in ("alpha-1", "alpha-2", "beta"):
        run(name, "interrupted")
    assert set(shown(type_, "alpha")) == {"alpha-1", "alpha-2"}
    assert set(shown(type_, "runs/beta")) == {"beta"}
    said = type_("status", "bete")
    assert (said.code, said.err) == (
        2,
        "error: no run begins with 'bete'.\nDid you mean beta? `pkd status` lists the runs; see --runs DIR.\n",
    )


# logs


def test_a_log_and_its_end(type_, run):
    run("a", "interrupted", log="one\ntwo\nthree\n")
    assert type_("logs", "a").out == "one\ntwo\nthree\n"
    assert type_("logs", "a", "-n", "1").out == "three\n"
    assert type_("logs", "a", "-n", "0").out == ""


def test_a_run_without_a_log(type_, run):
    run("a", "interrupted")
    said = type_("logs", "a")
    assert (said.code, said.err) == (3, "error: a has no log yet: it is interrupted.\n")


def test_an_ambiguous_name(type_, run):
    run("a-1", "done")
    run("a-2", "done")
    assert type_("logs", "a").err == "error: 2 runs begin with 'a':\n  a-1\n  a-2\nGive more of its name.\n"


def test_following_a_log_ends_with_the_run(type_, run, monkeypatch):
    from pkdcli.api import runs as logs

    monkeypatch.setattr(logs, "SECONDS", 0.01)
    folder = run("a", "running", log="one\n", **mine())

    def go():
        time.sleep(0.2)
        with open(folder / "log.txt", "a") as log:
            log.write("two\n")
        write_json(folder / "status.json", {"run": "a", "state": "interrupted"})

    thread = threading.Thread(target=go)
    thread.start()
    assert type_("logs", "a", "-f").out == "one\ntwo\n"
    thread.join()


# cancel and resume


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never happened")


def by_me():
    from pkdcli.runs.status import note_cancel
    from pkdcli.runs.store import read_object

    paths = RunPaths(Path.cwd() / "by-me")
    note_cancel(paths)
    said = f"cancelled with `pkd cancel` by {read_object(paths.cancel)['by']}"
    assert said.endswith(f" on {socket.gethostname()}")
    return said


def test_a_cancelled_run_stops_and_a_resumed_one_ends(type_, worker, own, here):
    worker(baseline="waits")

    def state():
        return [read_json(path)["state"] for path in (here / "runs").glob("*/status.json")]

    command = [sys.executable, "-m", "pkdcli", "cancel", "fcos50__baseline"]
    answers = []

    def cancel():
        until(lambda: state() == ["running"])
        answers.append(subprocess.run(command, cwd=here, capture_output=True, text=True, check=False))

    thread = threading.Thread(target=cancel)
    thread.start()
    said = type_("train", "--loss", "none", *TINY, own)
    thread.join()
    assert said.code == 130
    assert answers[0].returncode == 0, answers[0].stderr
    assert "to save and stop" in answers[0].stdout
    assert state() == ["interrupted"]
    worker()
    said = type_("resume", "--all")
    assert (said.code, state()) == (0, ["done"])
    assert "done, mAP 20.0" in said.err
    assert type_("resume", "--all").out == "nothing to resume\n"


def test_a_run_that_waits_in_a_local_queue_leaves_it(type_, worker, own, here):
    worker(baseline="waits")
    answers = []

    def cancel():
        until(lambda: [path for path in (here / "runs").glob("*__baseline*/log.txt") if path.read_text()])
        for name in ("gfl101-fcos50__mse-w30", "fcos50__baseline"):
            command = [sys.executable, "-m", "pkdcli", "cancel", name]
            answers.append(subprocess.run(command, cwd=here, capture_output=True, text=True, check=False))

    thread = threading.Thread(target=cancel)
    thread.start()
    said = type_("sweep", "--weights", "10,30", "--no-share-teacher", *TINY, own)
    thread.join()
    assert [answer.returncode for answer in answers] == [0, 0], answers
    assert answers[0].stdout.endswith(": cancelled before it started\n")
    assert said.code == 130
    assert {run.split("__")[1]: found for run, found in shown(type_).items()} == {
        "teacher": ("done", None),
        "baseline": ("interrupted", by_me()),
        "mse-w10": ("done", None),
        "mse-w30": ("interrupted", "cancelled before it started"),
    }
    worker()
    assert type_("resume", "--all").code == 0
    assert {state for state, _ in shown(type_).values()} == {"done"}


def test_with_a_teacher_its_students_are_cancelled_and_it_is_said_by_whom(type_, worker, own, here, monkeypatch):
    monkeypatch.setattr(plain, "LINE_SECONDS", 0.0)
    worker(teacher="waits")
    answers = []

    def cancel():
        teachers = here.parent / "cache" / "teachers"
        until(lambda: any("waits" in path.read_text() for path in teachers.glob("*/log.txt")))
        (teacher,) = teachers.iterdir()
        command = [sys.executable, "-m", "pkdcli", "cancel", teacher.name]
        answers.append(subprocess.run(command, cwd=here, capture_output=True, text=True, check=False))

    thread = threading.Thread(target=cancel)
    thread.start()
    said = type_("sweep", "--weights", "10,30", *TINY, own)
    thread.join()
    assert answers[0].returncode == 0, answers[0].stderr
    assert said.code == 130
    teacher = answers[0].stdout.split(":")[0]
    cause = f"cancelled: {teacher}, which it needs, was {by_me()}"
    lines = [line.split(": ", 1) for line in said.err.splitlines() if line.startswith("gfl101-fcos50__mse-w")]
    assert [text for _, text in lines] == [cause, cause], said.err
    assert f"{teacher}: stopped: {by_me()}\n" in said.err
    found = {run.split("__")[1]: what for run, what in shown(type_).items()}
    assert found["mse-w10"] == found["mse-w30"] == ("interrupted", cause)
    assert found["teacher"] == ("interrupted", by_me())
    assert found["baseline"] == ("done", None)
    worker()
    assert type_("resume", "--all").code == 0
    assert {what for what in shown(type_).values()} == {("done", None)}


def test_a_student_is_resumed_with_the_teacher_it_lacks(type_, worker, own, here):
    worker(teacher="fails")
    assert type_("sweep", "--weights", "10,30", *TINY, own).code == 1
    states = dict.fromkeys(("mse-w10", "mse-w30"), "failed")
    assert {run.split("__")[1]: state for run, (state, _) in shown(type_, "gfl101-fcos50").items()} == states
    worker()
    assert type_("resume", "gfl101-fcos50__mse-w10").code == 0
    found = {run.split("__")[1]: state for run, (state, _) in shown(type_).items()}
    assert found == {"teacher": "done", "baseline": "done", "mse-w10": "done", "mse-w30": "failed"}
    assert type_("resume", "--all").code == 0
    assert {state for state, _ in shown(type_).values()} == {"done"}


def test_resuming_takes_the_way_it_was_launched(type_, worker, own, here):
    worker(baseline="fails")
    type_("train", "--loss", "none", "--jobs", "2", "--retries", "3", *TINY, own)
    (job,) = (here / "runs").glob("*/job.json")
    launcher = read_json(job)["launcher"]
    assert (launcher["kind"], launcher["jobs"], launcher["retries"]) == ("local", 2, 3)
    worker(baseline="dies")
    said = type_("resume", "--all")
    assert said.code == 1
    assert said.err.count("started again") == 3


def test_resume_without_a_word_lists_what_there_is(type_, run):
    run("a", "interrupted")
    run("b", "done", result=True)
    said = type_("resume")
    assert (said.code, said.err) == (
        2,
        "error: give runs, or --all, and not both.\nRuns that ended without a result:\n  a\n",
    )


def test_cancelling_what_has_ended(type_, run):
    run("a", "interrupted")
    said = type_("cancel", "a")
    assert (said.code, said.out) == (0, "a: is interrupted already\n")


def test_cancelling_on_another_machine(type_, run):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run("a", "running", pid=1, host="elsewhere", updated=now)
    said = type_("cancel", "a")
    assert (said.code, said.out) == (1, "a: runs on elsewhere; type the command there\n")


def test_cancelling_one_of_several_that_train_together_asks_that_one_only(type_, run):
    folders = [run(name, "running", **mine(), shared_with=[other]) for name, other in (("a", "b"), ("b", "a"))]
    said = type_("cancel", "a")
    assert (said.code, said.out) == (0, "a: asked to save and stop; the runs that it trains together with go on\n")
    assert [(folder / ".cancel").exists() for folder in folders] == [True, False]


# clean


@pytest.fixture
def cluttered(run, here):
    """A finished and an unfinished run with checkpoints, and parts of a cache."""
    folders = run("finished", "done", result=True), run("unfinished", "interrupted")
    for folder in folders:
        (folder / "checkpoints").mkdir()
        for epoch in range(1, 4):
            path = folder / "checkpoints" / f"epoch_000{epoch}.pth"
            path.write_bytes(b"x" * 1000)
            os.utime(path, (epoch, epoch))
    half = folders[1] / ".result.json.abc.part"
    half.write_bytes(b"x" * 10)
    os.utime(half, (0, 0))
    (folders[1] / ".status.json.abc.part").touch()
    for part in ("downloads", "data", "teachers"):
        (here.parent / "cache" / part).mkdir(parents=True)
        (here.parent / "cache" / part / "file").write_bytes(b"x" * 500)
    return folders


def left(here):
    files = (path for path in here.parent.rglob("*") if path.is_file())
    return {path.name if path.name != "file" else path.parent.name for path in files}


def test_clean_shows_first_and_removes_nothing(type_, cluttered, here):
    before = left(here)
    said = type_("clean")
    runs = here / "runs"
    assert said.out == (
        f"      1 kB  {runs}/finished/checkpoints/epoch_0001.pth\n"
        f"      1 kB  {runs}/finished/checkpoints/epoch_0002.pth\n"
        f"      10 B  {runs}/unfinished/.result.json.abc.part\n"
        "2 kB in 3 places; nothing is removed yet: add --yes\n"
    )
    assert left(here) == before


def test_clean_keeps_the_newest_and_everything_of_unfinished_runs(type_, cluttered, here):
    assert type_("clean", "--yes").out.endswith("removed 2 kB in 3 places\n")
    finished, unfinished = cluttered
    assert [path.name for path in (finished / "checkpoints").iterdir()] == ["epoch_0003.pth"]
    assert len(list((unfinished / "checkpoints").iterdir())) == 3
    assert (unfinished / ".status.json.abc.part").exists()
    assert {"result.json", "student.pth", "downloads", "data", "teachers"} <= left(here)
    assert type_("clean", "--yes").out.startswith("nothing to remove in ")
    assert type_("clean", "--keep-checkpoints", "0", "--yes").out.endswith("removed 1 kB in 1 places\n")


def test_clean_takes_parts_of_the_cache_by_name_and_never_teachers(type_, cluttered, here):
    type_("clean", "--cache", "downloads", "--yes")
    assert {"data", "teachers"} <= left(here)
    assert "downloads" not in left(here)
    type_("clean", "--cache", "all", "--yes")
    assert left(here).isdisjoint({"downloads", "data"})
    assert "teachers" in left(here)
    assert type_("clean", "--cache", "teachers").code == 2


# Launchers


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--partition", "gpu"], "--partition: not for --launcher local."),
        (["--launcher", "slurm", "--devices", "0"], "--devices: not for --launcher slurm."),
        (["--gpus", "2", "--devices", "0"], "--gpus and --devices name the same thing twice."),
        (["--gpus", "2", "--procs", "2"], "--procs is for the CPU: each GPU has a process of its own."),
        (["--devices", "0,0"], "--devices: 0 stands twice."),
        (["--devices", "0,1,2", "--jobs", "2"], "--jobs 2: 3 devices can't be shared evenly by 2 jobs."),
        (["--launcher", "slurm", "--time", "1; rm -rf /"], "launcher slurm: time: "),
        (["--launcher", "slurm", "--partition", "a\nb"], "launcher slurm: partition: "),
        (["--launcher", "slurm", "--setup", "a\nb"], "launcher slurm: setup.0: should be one line"),
        (["--launcher", "slurn"], "unknown launcher 'slurn'."),
    ],
)
def test_bad_words_about_machines(type_, here, words, message):
    said = type_("train", "--scale", "tiny", "--dry-run", *words)
    assert (said.code, message in said.err) == (2, True), said.err


def test_gpus_that_are_not_there(type_, here, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    said = type_("train", "--scale", "tiny", "--gpus", "64")
    assert said.code == 3
    assert "devices 0,1,2," in said.err
    assert list(here.iterdir()) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    said = type_("train", "--scale", "tiny", "--gpus", "3", "--dry-run")
    assert "--gpus 3: CUDA_VISIBLE_DEVICES='4,5' leaves 2 visible." in said.err


def test_the_batch_of_scale_paper_is_two_images_a_device(type_, here):
    for words, batch in ((["--gpus", "8"], 16), (["--launcher", "slurm", "--nodes", "2", "--gpus-per-node", "4"], 16),
                         (["--devices", "0,1,2,3", "--jobs", "2"], 4)):  # fmt: skip
        said = type_("train", "--dry-run", "--json", *words)
        recipes = [json.loads(line).get("recipe") for line in said.out.splitlines()]
        assert [recipe["batch"] for recipe in recipes if recipe and recipe["role"] == "distill"] == [batch]


def test_runs_at_a_time_without_devices_are_spread_over_the_gpus(type_, worker, own, monkeypatch):
    from pkdcli.launch import gpus
    from pkdcli.launch.local import queue

    placed = {}

    class Seen(queue.LocalProcess):
        def __init__(self, spec):
            placed[spec.name.split("__")[1]] = spec.env.get("CUDA_VISIBLE_DEVICES")
            super().__init__(spec)

    monkeypatch.setattr(queue, "LocalProcess", Seen)
    monkeypatch.setattr(gpus, "visible", lambda: ("0", "1", "2"))
    worker()
    words = ("sweep", "--weights", "10,30", "--no-share-teacher", *TINY, own, "--jobs", "3")
    note = "note: 3 runs at a time on GPUs 0,1,2, a GPU each.\n"
    assert note in type_(*words, "--dry-run").err
    said = type_(*words)
    assert (said.code, note in said.err) == (0, True), said.err
    assert {placed["teacher"], placed["baseline"]} == {"0", "1"}
    assert {placed["mse-w10"], placed["mse-w30"]} < {"0", "1", "2"}


def test_a_plan_for_gpus_is_shown_where_there_are_none(type_, own):
    said = type_("train", "--pair", "gfl101-fcos50", "--data", own, "--gpus", "8", "--scale", "tiny", "--dry-run")
    assert said.code == 0, said.err
    assert "GPU" not in said.err


def test_a_busy_machine_is_told_before_threads_wait_for_each_other(type_, worker, own, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (9.25, 1.0, 1.0))
    monkeypatch.delenv("OMP_NUM_THREADS")
    worker()
    note = (
        "note: this machine is busy: a load of 9.2 on 4 cores. Threads that wait for each other lose most by that: "
        "--threads 1 --workers 0 may be many times faster.\n"
    )
    words = ("train", "--loss", "none", *TINY, own)
    assert note in type_(*words).err
    assert "note" not in type_(*words, "--seed", "1", "--threads", "1").err
    assert "note" not in type_(*words, "--seed", "2", "--quiet").err
    (event,) = (line for line in type_(*words, "--seed", "3", "--json").out.splitlines() if '"note"' in line)
    assert json.loads(event) == {"event": "note", "text": note.removeprefix("note: ").removesuffix(".\n")}
    monkeypatch.setattr(os, "getloadavg", lambda: (4.0, 1.0, 1.0))
    assert "note" not in type_(*words, "--seed", "4").err


def test_threads_are_no_part_of_a_run(type_, worker, own, here):
    worker()
    assert type_("train", "--loss", "none", *TINY, own, "--threads", "2").code == 0
    again = type_("train", "--loss", "none", *TINY, own)
    assert again.err.endswith(": done before\n") or ": done before\n" in again.err
    (folder,) = (here / "runs").iterdir()
    assert read_json(folder / "job.json")["launcher"]["threads"] == 2
    assert type_("train", "--threads", "0", *TINY, own).code == 2


def test_a_launcher_of_ones_own(type_, here):
    lines = "name: mine\nkind: slurm\npartition: gpu\nsetup: [module load cuda]\ntime: '12:00:00'\n"
    (here / "mine.yaml").write_text(lines)
    said = type_("train", *TINY[:2], "--launcher", "mine.yaml", "--setup", "source env", "--qos", "high", "--dry-run")
    assert said.code == 0
    assert "#SBATCH --partition=gpu\n#SBATCH --qos=high\n#SBATCH --time=12:00:00\n" in said.out
    assert "\nmodule load cuda\nsource env\n" in said.out
    (here / "mine.yaml").write_text("name: mine\nkind: local\npartition: gpu\n")
    assert "partition: not for a launcher of kind local" in type_("train", "--launcher", "mine.yaml", "--dry-run").err


def test_sighup_that_nohup_ignores_stays_ignored(type_, worker, own):
    worker()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    type_("train", "--loss", "none", *TINY, own)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_status_reads_each_file_of_a_finished_run_once(type_, run, monkeypatch):
    from pkdcli.runs import store

    for name in ("a", "b"):
        run(name, "done", result=True)
    read = []
    original = store.read_json
    monkeypatch.setattr(store, "read_json", lambda path: read.append((path.parent.name, path.name)) or original(path))
    assert "done" in type_("status").out
    assert sorted(read) == [(one, f"{name}.json") for one in "ab" for name in ("job", "result", "status")]
