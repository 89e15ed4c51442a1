"""Jobs on a real Slurm: arrays, dependencies, requeues, and what is left of those that were killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch.job import JobSpec
from pkdcli.launch.run_state import reconcile
from pkdcli.launch.slurm import cluster as slurm
from pkdcli.launch.slurm.arrays import batches, submit
from pkdcli.launch.status import query, query_all
from pkdcli.recipe.schema import Launcher
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import cancelled_by, note_cancel
from pkdcli.runs.store import read_json, write_json

# Towards the outside as the real worker: status.json, exit codes, signals; and it goes on where it stopped.
WORKER = """\
import json, os, signal, sys, time
folder = sys.argv[1]
name, rank = os.path.basename(folder), int(os.environ.get("RANK", "0"))
def say(**fields):
    if rank == 0:
        with open(f"{folder}/status.json.part", "w") as file:
            json.dump({"pid": os.getpid(), "host": os.uname().nodename, **fields}, file, indent=1)
        os.replace(f"{folder}/status.json.part", f"{folder}/status.json")
def asked(*_):
    say(state="interrupted", iter=step)
    tell("saved at step", step)
    sys.exit(130)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, asked)
try:
    step = json.load(open(f"{folder}/status.json")).get("iter", 0)
except (OSError, ValueError):
    step = 0
def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # whole, beside other processes
tell("rank", rank, "of", os.environ.get("WORLD_SIZE", "1"), "on", os.uname().nodename, "from step", step,
     "gpus", os.environ.get("CUDA_VISIBLE_DEVICES"))
say(state="running", iter=step)
while "waits" in name and not os.path.exists(f"{folder}/go"):
    time.sleep(0.05)
    step += 1
if "fails" in name:
    say(state="failed", error={"message": "the loss is NaN.", "hint": None, "code": 1})
    sys.exit(1)
if rank == 0:
    json.dump({"role": "baseline", "metrics": {"mAP": 1.0}}, open(f"{folder}/result.json", "w"))
    open(f"{folder}/student.pth", "w").close()
say(state="done")
"""


@pytest.fixture
def launcher():
    """A launcher for the test cluster, quick to start a task."""
    return Launcher(name="test", kind="slurm", partition="test", time="2", cpus_per_process=1)


@pytest.fixture
def job(tmp_path):
    """A factory of prepared jobs; their names say how they end."""
    worker = tmp_path / 'a worker\'s "script" $HOME.py'
    worker.write_text(WORKER)

    def make(name, needs=(), **launcher):
        folder = tmp_path / "runs $(touch pwned) 'n' \"all\" %a" / name
        folder.mkdir(parents=True)
        write_json(folder / "status.json", {"state": "queued"})
        write_json(folder / "job.json", {"launcher": {"kind": "slurm", **launcher}})
        return JobSpec(name, (sys.executable, "-S", str(worker), str(folder)), folder, {"PKD_CACHE": "a 'b'"}, needs)

    return make


def found(*specs):
    """State and reason of each run."""
    return [(one.state, one.reason) for one in query_all([RunPaths(spec.run_dir) for spec in specs])]


def log(spec):
    return (spec.run_dir / "log.txt").read_text()


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never happened")


def running(spec):
    status = read_json(spec.run_dir / "status.json") or {}
    return status.get("state") == "running"


def send(launcher, specs, ids=()):
    return submit(batches(specs, launcher), specs[0].run_dir.parent, dict(ids))


# Scripts, without a cluster


def test_the_whole_script(launcher, job, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/a python")
    more = {"nodes": 2, "gpus_per_node": 8, "cpus_per_process": 4, "memory": "64G", "account": "me", "qos": "high",
            "constraint": "a100|h100", "time": "24:00:00", "max_parallel": 3, "setup": ["module load cuda/12.4"],
            "container": ["apptainer", "exec", "--nv", "my image.sif"],
            "options": ["exclusive", "--reservation=week-48", "exclude=node[3-5,9]"]}  # fmt: skip
    full = Launcher(name="full", kind="slurm", partition="gpu", **more)
    specs = [JobSpec(name, ("/opt/a python", "-m", "pkdcli.engine.worker", f"/runs/it's {name}"), f"/runs/it's {name}",
                     {"PKD_COMMAND": "pkd train --set 'a b'", "PKD_CACHE": "/c"}) for name in ("a", "b")]  # fmt: skip
    (batch,) = batches(specs, full)
    assert (
        batch.script
        == r"""#!/bin/bash
#SBATCH --job-name=pkd-2-runs
#SBATCH --array=0-1%3
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --mem=64G
#SBATCH --partition=gpu
#SBATCH --account=me
#SBATCH --qos=high
#SBATCH --constraint=a100|h100
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --exclusive
#SBATCH --reservation=week-48
#SBATCH --exclude=node[3-5,9]

export PKD_COMMAND='pkd train --set '"'"'a b'"'"''
export PKD_CACHE=/c
export PYTHONUNBUFFERED=1
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-4}"
module load cuda/12.4

run_dirs=(
    '/runs/it'"'"'s a'
    '/runs/it'"'"'s b'
)
RUN_DIR=${run_dirs[SLURM_ARRAY_TASK_ID]}
task() {
    printf '{"job": "%s", "task": %d, "node": "%s", "restarts": %d, "code": %s}\n' \
        "$SLURM_ARRAY_JOB_ID" "$SLURM_ARRAY_TASK_ID" "$SLURMD_NODENAME" "${SLURM_RESTART_COUNT:-0}" "$1" \
        >"$RUN_DIR/task.json.part" && mv -f "$RUN_DIR/task.json.part" "$RUN_DIR/task.json"
}
task null

# This shell runs on the first node: its address on the network that was named, or else its name.
PET_MASTER_ADDR=$([ -z "${PKD_IFNAME:-}" ] || ip -o -4 address show dev "${PKD_IFNAME%%,*}" |
    awk '{ sub("/.*", "", $4); print $4; exit }')
[ -n "$PET_MASTER_ADDR" ] || PET_MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
PET_MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
export PET_MASTER_ADDR PET_MASTER_PORT
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 bash -c 'trap "" USR1; export PET_NODE_RANK=$SLURM_NODEID; exec "$@"' pkd \
    apptainer exec --nv 'my image.sif' sh -c 'trap "" USR1; exec "$@"' pkd '/opt/a python' -m torch.distributed.run --nnodes=2 --nproc-per-node=8 --max-restarts=0 --no-python '/opt/a python' -m pkdcli.engine.worker "$RUN_DIR" >>"$RUN_DIR/log.txt" 2>&1 &
wait $!
code=$?
# Saved before the time limit: go on as soon as there is room. A cancelled job does not get here.
if [ "$code" -ne 0 ] && [ "$RUN_DIR/status.json" -nt "$RUN_DIR/task.json" ] &&
    grep -q '"state": "interrupted"' "$RUN_DIR/status.json" &&
    [ "${SLURM_RESTART_COUNT:-0}" -lt 50 ]; then
    scontrol requeue "$SLURM_JOB_ID" && sleep 60    # ended here by the requeue
fi
task "$code"
exit "$code"
"""  # noqa: E501
    )


def test_teachers_come_first_and_students_wait_for_theirs_alone(launcher, job, tmp_path):
    specs = [job("baseline"), job("t1"), job("a", ("t1",)), job("b", ("t1",)), job("t2"), job("c", ("t2",))]
    specs.append(job("d", ("t0",)))
    batched = batches(specs, launcher, done=["t0"])
    assert [([spec.name for spec in one.specs], one.needs) for one in batched] == [
        (["t1", "t2", "baseline", "d"], ()),
        (["a", "b"], ("t1",)),
        (["c"], ("t2",)),
    ]
    assert batched[1].options(tmp_path / "50%", {"t1": "7_0"}) == [
        f"--output={tmp_path}/50%%/%A_%a.out",
        "--dependency=afterok:7_0",
        "--kill-on-invalid-dep=yes",
    ]


def test_large_sweeps_are_several_arrays(launcher):
    specs = [JobSpec(f"r{n}", ("w", f"/r/{n}"), f"/r/{n}") for n in range(1500)]
    assert [len(one.specs) for one in batches(specs, launcher)] == [1000, 500]


@pytest.mark.parametrize("name", ["a\nrm -rf b", "a\x1bb"])
def test_control_characters_never_reach_a_script(launcher, name):
    with pytest.raises(PkdError, match="control characters"):
        batches([JobSpec("a", ("w", f"/r/{name}"), f"/r/{name}")], launcher)


def test_without_slurm_it_is_told_what_lacks(launcher, job, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PkdError, match="sbatch is not on this machine") as caught:
        send(launcher, [job("a")])
    assert caught.value.code == 3
    assert slurm.jobs() is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [("None", "waits to be scheduled"), ("", "waits to be scheduled"), ("Resources", "waits for Resources")],
)
def test_why_a_task_waits(job, reason, words):
    spec = job("a")
    write_json(spec.run_dir / "slurm.json", {"job": "12", "task": 3})
    seen = query(RunPaths(spec.run_dir), {"12_3": slurm.Job("12_3", "PENDING", reason)})
    assert (seen.state, seen.reason, seen.where) == ("queued", words, "Slurm 12_3")


BY = {"message": "cancelled with `pkd cancel` by ann on login1", "hint": None, "code": 130}


@pytest.mark.parametrize(
    ("teacher", "tasks", "told"),
    [
        ({"state": "interrupted", "error": BY}, {"7_0": "CANCELLED"}, BY["message"]),
        # Cancelled before it could save: its own status still says that it runs.
        ({"state": "running"}, {"7_0": "CANCELLED"}, "cancelled before it could save"),
        ({"state": "queued"}, {"7_0": "CANCELLED"}, "cancelled before it started"),
        # Slurm has forgotten both.
        ({"state": "interrupted", "error": BY}, {}, BY["message"]),
    ],
)
def test_students_of_a_cancelled_teacher_are_cancelled_and_it_is_said_by_whom(job, teacher, tasks, told):
    first, second = job("teacher"), job("student", teacher=None)
    write_json(first.run_dir / "status.json", teacher)
    write_json(second.run_dir / "job.json", {"launcher": {"kind": "slurm"}, "teacher": str(first.run_dir)})
    for number, spec in enumerate((first, second)):
        write_json(spec.run_dir / "slurm.json", {"job": "7", "task": number})
    jobs = {name: slurm.Job(name, state) for name, state in tasks.items()}
    jobs |= {"7_1": slurm.Job("7_1", "CANCELLED", "DependencyNeverSatisfied")} if tasks else {}
    seen = query(RunPaths(second.run_dir), jobs)
    assert (seen.state, seen.reason) == ("interrupted", f"cancelled: teacher, which it needs, was {told}")
    write_json(first.run_dir / "status.json", {"state": "failed", "error": {"message": "the loss is NaN."}})
    seen = query(RunPaths(second.run_dir), {"7_1": slurm.Job("7_1", "CANCELLED", "DependencyNeverSatisfied")})
    assert (seen.state, seen.reason) == ("failed", "not started, since a run that it needs failed")


# On the cluster


def test_an_array_runs_and_a_students_array_waits_for_its_teacher(cluster, launcher, job, tmp_path):
    teacher, student, other = job("waits-teacher"), job("student", ("waits-teacher",)), job("baseline")
    ids = send(launcher, [teacher, student, other])
    until(lambda: running(teacher))
    until(lambda: found(student) == [("queued", "waits for Dependency")])
    cluster.wait(ids["baseline"])
    (teacher.run_dir / "go").touch()
    assert set(cluster.wait(*ids.values()).values()) == {"COMPLETED"}
    assert found(teacher, student, other) == [("done", None)] * 3
    assert log(student).startswith("rank 0 of 1 on node")
    assert log(student).endswith("gpus \n")
    assert not list(tmp_path.rglob("pwned"))


def test_a_cap_on_how_many_run_at_a_time(cluster, launcher, job):
    specs = [job(f"waits-{n}") for n in range(3)]
    ids = send(launcher.model_copy(update={"max_parallel": 1}), specs)
    for spec in specs:
        until(lambda spec=spec: running(spec))
        assert sum(state == "running" for state, _ in found(*specs)) == 1
        (spec.run_dir / "go").touch()
    cluster.wait(*ids.values())


def test_students_of_a_teacher_that_fails_never_start(cluster, launcher, job):
    teacher, student = job("waits-fails"), job("student", ("waits-fails",))
    ids = send(launcher, [teacher, student])
    until(lambda: found(student) == [("queued", "waits for Dependency")])
    (teacher.run_dir / "go").touch()
    assert cluster.wait(*ids.values()) == {ids["waits-fails"]: "FAILED", ids["student"]: "CANCELLED"}
    assert found(teacher, student) == [
        ("failed", "the loss is NaN."),
        ("failed", "not started, since a run that it needs failed"),
    ]


def test_a_student_that_comes_after_its_teacher_has_failed(cluster, launcher, job):
    teacher, student = job("fails"), job("student", ("fails",))
    known = send(launcher, [teacher])
    cluster.wait(known["fails"])
    ids = send(launcher, [student], known)
    cluster.wait(ids["student"])
    assert found(student) == [("failed", "not started, since a run that it needs failed")]


def test_usr1_saves_and_requeues_and_the_run_goes_on(cluster, launcher, job):
    spec = job("waits")
    ids = send(launcher, [spec])
    until(lambda: running(spec))
    slurm.scancel([ids["waits"]], "USR1")
    until(lambda: "saved" in log(spec))
    until(lambda: "queued again; waits" in (found(spec)[0][1] or ""))
    assert found(spec)[0][0] == "queued"
    (spec.run_dir / "go").touch()
    assert cluster.wait(*ids.values()) == {ids["waits"]: "COMPLETED"}
    first, saved, second = (line for line in log(spec).splitlines() if line.startswith(("rank", "saved")))
    assert first.endswith("from step 0 gpus ")
    assert f"from step {saved.split()[-1]} gpus" in second
    assert read_json(spec.run_dir / "task.json")["restarts"] == 1


def test_scancel_and_sigkill_are_told_apart_even_when_slurm_has_forgotten(cluster, launcher, job, monkeypatch):
    specs = [job("waits-cancelled"), job("waits-killed"), job("waits-lost")]
    ids = send(launcher, specs)
    until(lambda: all(running(spec) for spec in specs))
    slurm.scancel([ids["waits-cancelled"]])
    os.kill(read_json(specs[1].run_dir / "status.json")["pid"], signal.SIGKILL)
    # As when its node is lost: no process is left that could write anything.
    os.kill(read_json(specs[2].run_dir / "status.json")["pid"], signal.SIGKILL)
    cluster.wait(*ids.values())
    (specs[2].run_dir / "task.json").unlink()
    known = found(*specs)
    assert known[0][0] == "interrupted"
    assert known[0][1].startswith("cancelled: scancel")
    assert known[1][0] == "failed"
    assert known[1][1].startswith("killed by SIGKILL; on Linux most often for want of memory")
    assert known[2] == (
        "failed",
        "Slurm says FAILED (NonZeroExitCode); killed by SIGKILL, most often for want of memory",
    )
    monkeypatch.setattr(slurm, "jobs", lambda wanted=(): {})
    forgotten = query_all([RunPaths(spec.run_dir) for spec in specs])
    assert [one.state for one in forgotten] == ["interrupted", "failed", "failed"]
    assert forgotten[1].reason == known[1][1]
    assert forgotten[2].reason.startswith("the scheduler no longer knows it; killed by SIGKILL")
    for one in forgotten:
        reconcile(one)
    states = [read_json(spec.run_dir / "status.json") for spec in specs]
    assert [one["state"] for one in states] == ["interrupted", "failed", "failed"]
    assert states[1]["error"]["message"] == known[1][1]


def test_a_run_cancelled_before_it_started(cluster, launcher, job):
    first, second = job("waits-1"), job("waits-2")
    ids = send(launcher.model_copy(update={"max_parallel": 1}), [first, second])
    until(lambda: running(first))
    slurm.scancel([ids["waits-2"]])
    cluster.wait(ids["waits-2"])
    assert found(second) == [("interrupted", "cancelled before it started")]
    (first.run_dir / "go").touch()
    cluster.wait(ids["waits-1"])


def test_gpus_of_a_node_are_a_process_each(cluster, launcher, job):
    spec = job("gpus")
    ids = send(launcher.model_copy(update={"gpus_per_node": 2}), [spec])
    assert cluster.wait(*ids.values()) == {ids["gpus"]: "COMPLETED"}
    lines = sorted(line for line in log(spec).splitlines() if line.startswith("rank"))
    assert [line.split(" on ")[0] for line in lines] == ["rank 0 of 2", "rank 1 of 2"]
    assert all(line.endswith("gpus 0,1") for line in lines)


def test_two_nodes_of_two_processes_with_rank_zero_on_the_first_and_a_requeue(cluster, launcher, job):
    spec = job("waits")
    ids = send(launcher.model_copy(update={"nodes": 2, "processes": 2}), [spec])
    until(lambda: log(spec).count("from step") == 4 if (spec.run_dir / "log.txt").exists() else False, 60)
    ranks = {line.split()[1]: line.split()[5] for line in log(spec).splitlines() if line.startswith("rank")}
    assert ranks == {"0": "node1", "1": "node1", "2": "node2", "3": "node2"}
    slurm.scancel([ids["waits"]], "USR1")
    until(lambda: log(spec).count("saved") >= 4)
    (spec.run_dir / "go").touch()
    assert cluster.wait(*ids.values(), seconds=90) == {ids["waits"]: "COMPLETED"}
    assert log(spec).count("from step") == 8
    assert found(spec) == [("done", None)]


def test_what_slurm_refuses_is_told(cluster, launcher, job):
    with pytest.raises(PkdError, match="invalid partition"):
        send(launcher.model_copy(update={"partition": "none"}), [job("a")])


def test_a_job_that_runs_is_waited_for_by_its_name(cluster, launcher, job):
    teacher = job("waits-teacher")
    known = send(launcher, [teacher])
    student = job("student", ("waits-teacher",))
    ids = send(launcher, [student], known)
    until(lambda: running(teacher))
    until(lambda: found(student) == [("queued", "waits for Dependency")])
    (teacher.run_dir / "go").touch()
    assert cluster.wait(*ids.values()) == {ids["student"]: "COMPLETED"}


def test_the_submission_is_noted_in_the_run_directory(cluster, launcher, job):
    spec = job("a")
    ids = send(launcher, [spec])
    noted = json.loads((spec.run_dir / "slurm.json").read_text())
    assert f"{noted['job']}_{noted['task']}" == ids["a"]
    cluster.wait(*ids.values())
    again = send(launcher, [replace(spec)])
    assert again["a"] != ids["a"]
    cluster.wait(*again.values())


def of(launcher, **keys):
    """The launcher with other keys, checked as a recipe is."""
    return Launcher(**{**launcher.model_dump(exclude_unset=True), **keys})


def test_usr1_saves_and_requeues_inside_a_container_whose_runtime_takes_the_signal(cluster, launcher, job, tmp_path):
    # As Go's runtime does: it takes every signal for itself, and what it executes has the defaults.
    runtime = tmp_path / "runtime.py"
    take = "signal.signal(signal.SIGUSR1, lambda *_: None)"
    runtime.write_text(f"import os, signal, sys\n{take}\nos.execvp(sys.argv[1], sys.argv[1:])\n")
    spec = job("waits")
    ids = send(of(launcher, processes=2, container=[sys.executable, "-S", str(runtime)]), [spec])
    until(lambda: (spec.run_dir / "log.txt").exists() and log(spec).count("from step") == 2, 60)
    slurm.scancel([ids["waits"]], "USR1")
    until(lambda: log(spec).count("saved") == 2)
    (spec.run_dir / "go").touch()
    assert cluster.wait(*ids.values(), seconds=90) == {ids["waits"]: "COMPLETED"}
    assert log(spec).count("from step") == 4
    assert read_json(spec.run_dir / "task.json")["restarts"] == 1


def test_gpus_by_gres_and_other_options_reach_the_cluster(cluster, launcher, job):
    spec = job("waits-gpus")
    ids = send(of(launcher, options=["gres=gpu:2", "exclude=node1", "comment=by-pkd"]), [spec])
    until(lambda: (spec.run_dir / "log.txt").exists() and log(spec).count("from step") == 2, 60)
    assert all(" of 2 on node2 " in line and line.endswith("gpus 0,1") for line in log(spec).splitlines()), log(spec)
    shown = cluster.slurm("scontrol", "show", "job", ids["waits-gpus"].split("_")[0])
    assert "ExcNodeList=node1" in shown
    assert "Comment=by-pkd" in shown
    (spec.run_dir / "go").touch()
    assert cluster.wait(*ids.values()) == {ids["waits-gpus"]: "COMPLETED"}


def test_nodes_meet_on_a_network_that_is_named(cluster, launcher, job, monkeypatch):
    if shutil.which("ip") is None:
        pytest.skip("ip is not there: apt-get install -y iproute2")
    monkeypatch.setenv("PKD_IFNAME", "lo")
    spec = job("two-nodes")
    ids = send(of(launcher, nodes=2, setup=['trap \'echo "$PET_MASTER_ADDR" >"$RUN_DIR/met"\' EXIT']), [spec])
    assert cluster.wait(*ids.values(), seconds=90) == {ids["two-nodes"]: "COMPLETED"}
    assert (spec.run_dir / "met").read_text() == "127.0.0.1\n"
    assert sorted(line.split()[1] for line in log(spec).splitlines() if line.startswith("rank")) == ["0", "1"]


def test_with_a_teacher_its_students_are_cancelled_on_the_cluster(cluster, launcher, job):
    teacher, student = job("waits-teacher"), job("student", ("waits-teacher",))
    note = json.loads((student.run_dir / "job.json").read_text())
    write_json(student.run_dir / "job.json", {**note, "teacher": str(teacher.run_dir)})
    ids = send(launcher, [teacher, student])
    until(lambda: running(teacher))
    note_cancel(RunPaths(teacher.run_dir))  # as `pkd cancel` does before it asks the cluster
    slurm.scancel([ids["waits-teacher"]])
    assert set(cluster.wait(*ids.values()).values()) == {"CANCELLED"}
    by = cancelled_by(RunPaths(teacher.run_dir))
    assert found(teacher, student) == [
        ("interrupted", by),
        ("interrupted", f"cancelled: waits-teacher, which it needs, was {by}"),
    ]
