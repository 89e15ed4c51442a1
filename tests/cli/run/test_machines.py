"""Options about machines and processes: what is refused, what is said, what a run keeps of it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from pkdcli.runs.store import read_json

TINY = ("--scale", "tiny", "--data")


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
