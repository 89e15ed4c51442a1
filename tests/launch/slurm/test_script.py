"""Batch scripts without a cluster: what they ask for, and what they do when a shell runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch.job import JobSpec
from pkdcli.launch.slurm import memory
from pkdcli.launch.slurm.arrays import batches
from pkdcli.recipe.library import parse
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Launcher, sbatch

# As the Go runtime of a container does: it takes every signal for itself, and what it executes has the defaults.
GO = """\
#!{python} -S
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
os.execvp(sys.argv[1], sys.argv[1:])
"""
SRUN = """\
#!/bin/bash
while [ "${1#--}" != "$1" ]; do shift; done
exec "$@"
"""
WORKER = (  # a line, since a script takes no others
    "import os, signal, sys; "
    "print(signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN, *map(os.environ.get, sys.argv[1:-1]))"
)


def launcher(**keys):
    return parse(Launcher, {"name": "mine", "kind": "slurm", **keys}, "launcher mine")


def lines(script):
    return [line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")]


def script(spec=None, **keys):
    spec = spec or JobSpec("a", ("worker", "/r/a"), "/r/a")
    (batch,) = batches([spec], launcher(**keys))
    return batch.script


# Options of sbatch that pkd has none for


def test_options_stand_behind_pkd_s_own_and_the_last_of_a_name_counts():
    found = lines(script(options=["gres=gpu:a100:8", "--exclusive", "licenses=matlab@server:2", "exclusive=user"]))
    assert found[-4:] == ["requeue", "gres=gpu:a100:8", "exclusive=user", "licenses=matlab@server:2"]


def test_gpus_of_a_type_are_counted_and_asked_for_once():
    found = launcher(gpus_per_node=0, options=["gres=gpu:a100:4,ssd:1"])
    assert (found.gpus_per_node, found.per_node) == (4, 4)
    asked = lines(script(options=["gres=gpu:a100:4,ssd:1"]))
    assert "gres=gpu:a100:4,ssd:1" in asked
    assert not [line for line in asked if line.startswith("gpus-per-node")]
    assert "--nproc-per-node=4" in script(options=["gres=gpu:a100:4"])
    assert "gpus-per-node=2" in lines(script(gpus_per_node=2, options=["gres=ssd:1"]))


@pytest.mark.parametrize(
    ("gres", "count"),
    [("gpu", 1), ("gpu:2", 2), ("gpu:a100", 1), ("gpu:a100:3", 3), ("gpu:a100:1,gpu:v100:2", 3), ("ssd:4", None)],
)
def test_how_many_gpus_a_gres_asks_for(gres, count):
    assert sbatch.gpus([f"gres={gres}"]) == count


@pytest.mark.parametrize(
    ("option", "message"),
    [
        *((word, "options.0: should be one option of sbatch by its long name") for word in (
            "exclusive\n#SBATCH --uid=0", "comment=two words", "comment='a'", 'comment="a"', "comment=$(id)",
            "comment=`id`", "comment=a;b", "comment=a\\b", "comment=#SBATCH", "gres=gpu:1 --uid=0",
            "exclusive\r", "", "--", "-p", "p", "---x", "comment=é", "Exclusive", "x" * 300, "=a", "\texclusive")),
        ("nodes=2", "options.0: nodes: pkd sets --nodes itself: give --nodes"),
        ("--partition=gpu", "options.0: partition: pkd sets --partition itself: give --partition"),
        ("array=0-9", "options.0: array: pkd sets --array itself: give --max-parallel"),
        ("gpus-per-node=a100:8", "give --gpus-per-node N, or for GPUs of a type gres=gpu:TYPE:N"),
        ("cpus-per-task=4", "pkd sets --cpus-per-task itself: give --cpus-per-process"),
        ("mem=8G", "options.0: mem: pkd sets --mem itself: give --memory"),
        ("no-requeue", "pkd sets --no-requeue itself: give max_requeues in a launcher of your own"),
        ("wrap=id", "options.0: wrap: pkd sets --wrap itself: "),
        # sbatch takes the beginning of a name for the whole.
        ("part=gpu", "options.0: part: pkd sets --partition itself: give --partition"),
        ("depend=1", "options.0: depend: pkd sets --dependency itself: "),
        ("node=2", "pkd sets --nodes itself"),
        ("gres=gpu:0", "gres: gpu:0: a number of GPUs should be above 0"),
    ],
)  # fmt: skip
def test_what_is_no_option_or_pkd_s_own_is_refused(option, message):
    with pytest.raises(PkdError) as caught:
        launcher(options=[option])
    assert caught.value.code == 2
    assert message in caught.value.message


@pytest.mark.parametrize("option", ["nodelist=node1", "time-min=1:00", "mem-per-cpu=4G", "exclude=n1", "hold", "nice=9",
                                    "container-image=nvcr.io/nvidia/pytorch:24.01", "mail-user=a@b.org"])  # fmt: skip
def test_what_only_looks_like_pkd_s_own_is_taken(option):
    assert option in lines(script(options=[option]))


def test_what_contradicts_each_other_is_refused():
    with pytest.raises(PkdError, match="gres asks for 8 GPUs of a node, and gpus_per_node for 4"):
        launcher(gpus_per_node=4, options=["gres=gpu:8"])
    with pytest.raises(PkdError, match="memory: not beside an option mem-per-cpu or mem-per-gpu"):
        launcher(memory="64G", options=["mem-per-cpu=4G"])
    with pytest.raises(PkdError, match="options: not for a launcher of kind local"):
        launcher(kind="local", options=["exclusive"])


# Runs that only evaluate


def test_a_teacher_that_is_only_evaluated_has_one_gpu_and_its_students_wait_for_it():
    teacher = JobSpec("t", ("w", "/r/t"), "/r/t", alone=True)
    student, baseline = JobSpec("s", ("w", "/r/s"), "/r/s", needs=("t",)), JobSpec("b", ("w", "/r/b"), "/r/b")
    keys = {"nodes": 2, "gpus_per_node": 8, "cpus_per_process": 4}
    found = {batch.specs[0].name: batch for batch in batches([teacher, student, baseline], launcher(**keys))}
    asked = {name: lines(batch.script)[2:6] for name, batch in found.items()}
    assert asked["t"] == ["nodes=1", "ntasks-per-node=1", "gpus-per-node=1", "cpus-per-task=4"]
    assert asked["s"] == asked["b"] == ["nodes=2", "ntasks-per-node=1", "gpus-per-node=8", "cpus-per-task=32"]
    assert "torch.distributed.run" not in found["t"].script
    assert found["s"].needs == ("t",)
    (alone,) = batches([teacher], launcher(options=["gres=ssd:1,gpu:a100:8", "exclusive"]))
    assert lines(alone.script)[-2:] == ["gres=ssd:1,gpu:a100:1", "exclusive"]
    (on_cpu,) = batches([teacher], launcher(processes=4))
    assert "torch.distributed.run" not in on_cpu.script


# What a shell makes of a script


@pytest.fixture
def run(tmp_path):
    """Run a script as a batch shell would, with stand-ins for srun and a container's runtime."""
    for name, content in (("srun", SRUN), ("apptainer", GO.format(python=sys.executable))):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "run").mkdir()

    def run(*shown, processes=1, env=(), **keys):
        argv = (sys.executable, "-S", "-c", WORKER, *shown, str(tmp_path / "run"))
        text = script(JobSpec("a", argv, tmp_path / "run", {"PKD_CACHE": "c"}), processes=processes, **keys)
        given = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "1"}
        given |= dict(env)
        done = subprocess.run(["bash", "-c", text], env=given, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        return (tmp_path / "run" / "log.txt").read_text().split()

    return run


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here")
def test_the_signal_is_ignored_inside_a_container_whose_runtime_takes_it(run, tmp_path):
    assert run() == ["True"]
    (tmp_path / "run" / "log.txt").unlink()
    assert run(container=["apptainer"]) == ["True"]


@pytest.mark.parametrize(
    ("keys", "env", "threads"),
    [
        ({"cpus_per_process": 4}, {}, ["4", "None"]),
        ({"cpus_per_process": 4}, {"OMP_NUM_THREADS": "3"}, ["3", "None"]),
        ({"cpus_per_process": 4, "threads": 2}, {"OMP_NUM_THREADS": "3"}, ["2", "2"]),
        ({}, {}, ["None", "None"]),  # as the worker finds for itself
    ],
)
def test_threads_of_a_task(run, keys, env, threads):
    env = {"SLURM_CPUS_PER_TASK": "4", **env}
    assert run("OMP_NUM_THREADS", "MKL_NUM_THREADS", env=env, **keys)[1:] == threads


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ({"SLURM_CPUS_ON_NODE": "9"}, "2"),
        ({"SLURM_CPUS_PER_TASK": "4", "SLURM_CPUS_ON_NODE": "9"}, "1"),
        ({}, "1"),
    ],
)
def test_threads_of_several_processes_without_a_number_of_cores(given, threads):
    text = script(processes=4).split("run_dirs=")[0] + "echo $OMP_NUM_THREADS"
    done = subprocess.run(["bash", "-c", text], env=given, capture_output=True, text=True, check=True)
    assert done.stdout == f"{threads}\n"


@pytest.mark.parametrize(("env", "address"), [({}, "node1"), ({"PKD_IFNAME": "ib0,ib1"}, "10.1.0.7"),
                                              ({"PKD_IFNAME": "none"}, "node1")])  # fmt: skip
def test_nodes_meet_on_the_interface_that_is_named(tmp_path, env, address):
    answer = "3: ib0    inet 10.1.0.7/16 brd 10.1.255.255 scope global ib0"
    for name, content in (("scontrol", "echo node1; echo node2"), ("ip", f'[ "$6" = ib0 ] && echo "{answer}"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{content}\n")
        (tmp_path / name).chmod(0o755)
    text = script(nodes=2)
    text = text[text.index("# This shell runs on the first node") : text.index("srun ")]
    text += "echo $PET_MASTER_ADDR $PET_MASTER_PORT"
    given = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "12345", **env}
    done = subprocess.run(["bash", "-c", text], env=given, capture_output=True, text=True, check=True)
    assert done.stdout == f"{address} 22345\n"


# Memory


@pytest.fixture
def recipe(tmp_path):
    """A recipe whose annotations are as large as COCO's, 449 and 20 MB, without a block on disk."""
    found = resolve(Request(pair="gfl101-fcos50", scale="tiny", loss="none", workers=2))
    splits = {}
    for name, size in (("train", 449 * 10**6), ("val", 20 * 10**6)):
        with open(tmp_path / f"{name}.json", "wb") as file:
            file.truncate(size)
        splits[name] = found.data.val.model_copy(update={"annotations": str(tmp_path / f"{name}.json")})
    return found.model_copy(update={"data": found.data.model_copy(update=splits)})


@pytest.mark.parametrize(("keys", "gib"), [({}, 8), ({"gpus_per_node": 8}, 64), ({"processes": 2}, 16)])
def test_memory_is_suggested_from_the_size_of_the_data(recipe, keys, gib):
    assert memory.suggested([recipe], launcher(**keys)) == gib
    assert memory.said([recipe], launcher(**keys)).endswith(f"want about {gib} GiB a node: --memory {gib}G")


def test_an_evaluation_wants_that_of_one_process(recipe):
    teacher = recipe.model_copy(update={"weights": "https://zoo/a.pth"})
    assert memory.suggested([teacher], launcher(gpus_per_node=8)) == 4
    assert memory.suggested([teacher, recipe], launcher(gpus_per_node=8)) == 64


@pytest.mark.parametrize("keys", [{"memory": "64G"}, {"memory": "0"}, {"options": ["mem-per-cpu=4G"]}])
def test_nothing_is_suggested_where_memory_is_asked_for(recipe, keys):
    assert memory.said([recipe], launcher(**keys)) is None
    assert memory.said([], launcher()) is None
    # Which gives all the cores of a node, but no more memory than the default.
    assert memory.said([recipe], launcher(options=["exclusive"])).endswith("--memory 8G")
