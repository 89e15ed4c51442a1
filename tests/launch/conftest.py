"""A small stand-in for the worker, so that processes are real and torch is not loaded; and a real Slurm."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from pkdcli.launch.job import JobSpec

# It behaves as `pkdcli.engine.worker` does towards the outside: status.json, log, exit codes, SIGINT.
WORKER = """\
import json, os, signal, sys, time
folder, manner = sys.argv[1:3]
def status(**fields):
    with open(os.path.join(folder, f"status.json.{os.getpid()}.part"), "w") as file:
        json.dump({"pid": os.getpid(), **fields}, file)
    os.replace(os.path.join(folder, f"status.json.{os.getpid()}.part"), os.path.join(folder, "status.json"))
def asked(*_):
    status(state="interrupted")
    print("saved", flush=True)
    sys.exit(130)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN if manner == "deaf" else asked)
sys.stdout.write(f"hello from {os.path.basename(folder)}\\n")  # at once: several processes share the log
status(state="running")
if manner == "well":
    status(state="done")
elif manner == "fails":
    status(state="failed", error={"message": "the loss is NaN.", "hint": "Try a smaller weight.", "code": 1})
    sys.exit(1)
elif manner == "lacks":
    sys.exit(3)
elif manner == "dies":
    print("\\n".join(f"line {n}" for n in range(60)), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
elif manner == "dies-once":
    if not os.path.exists(os.path.join(folder, "died")):
        open(os.path.join(folder, "died"), "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
elif manner == "second-dies":
    if os.environ["RANK"] == "1":
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
elif manner == "crashes":
    os.abort()
else:
    time.sleep(60)
    sys.exit(77)
"""


@pytest.fixture
def job(tmp_path):
    """A factory of jobs that end `well`, or in one of the worker's other manners."""
    worker = tmp_path / 'a worker\'s "script".py'
    worker.write_text(WORKER)

    def make(name: str, manner: str = "well", needs: tuple[str, ...] = (), **env: str) -> JobSpec:
        argv = (sys.executable, "-S", str(worker), str(tmp_path / "runs" / name), manner)
        return JobSpec(name, argv, Path(tmp_path / "runs" / name), env, needs)

    return make


# A cluster of two nodes on this machine

PACKAGES = "slurmctld slurmd slurm-client munge"
SLURM_CONF = """\
ClusterName=pkdtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
# How long a requeued job waits, too.
AuthInfo=socket={folder}/munge.sock,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=100000,bf_interval=1,batch_sched_delay=0
PriorityType=priority/basic
KillWait=5
CompleteWait=0
MinJobAge=300
InactiveLimit=0
MessageTimeout=10
ReturnToService=2
# Nodes of four cores, whatever this machine has; its GPUs are clones of /dev/null.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=node1 NodeHostname={host} NodeAddr=127.0.1.1 Port={ports[1]} CPUs=4 RealMemory=4096 Gres=gpu:2
NodeName=node2 NodeHostname={host} NodeAddr=127.0.1.2 Port={ports[2]} CPUs=4 RealMemory=4096 Gres=gpu:2
PartitionName=test Nodes=node1,node2 Default=YES MaxTime=30 DefaultTime=5 DefMemPerCPU=256 State=UP
"""
# Each node has a name of its own, and finds both, without a change to this machine.
NODE = 'mount --bind "$1/hosts" /etc/hosts && hostname "$2" && exec /usr/sbin/slurmd -D -f "$1/slurm.conf" -N "$2"'


@dataclass(frozen=True)
class Cluster:
    """A running cluster; the environment leads to it."""

    folder: Path

    def slurm(self, *words: str, check: bool = True) -> str:
        """The answer of one of Slurm's commands."""
        return subprocess.run(words, capture_output=True, text=True, check=check, timeout=30).stdout

    def wait(self, *ids: str, seconds: float = 60) -> dict[str, str]:
        """The last states of tasks, once all have ended."""
        from pkdcli.launch.slurm.cluster import jobs

        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = jobs() or {}
            if all(one in found and not found[one].active for one in ids):
                return {one: found[one].state for one in ids}
            time.sleep(0.1)
        raise AssertionError(f"still there after {seconds} s: {[found.get(one) for one in ids]}")


def _lacks() -> str | None:
    programs = ("/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged", "sbatch", "unshare")
    if missing := [name for name in programs if shutil.which(name) is None]:
        return f"{', '.join(missing)} not there: apt-get install -y --no-install-recommends {PACKAGES}"
    return None if os.geteuid() == 0 else "two nodes on one machine need root"


def _start(stack: ExitStack, folder: Path) -> None:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    folder.chmod(0o755)
    for name in ("state", "spool-node1", "spool-node2"):
        (folder / name).mkdir()
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o600)
    for number in range(2):
        os.mknod(folder / f"gpu{number}", 0o20666, os.makedev(1, 3))
    (folder / "gres.conf").write_text(f"NodeName=node[1-2] Name=gpu Flags=nvidia_gpu_env File={folder}/gpu[0-1]\n")
    (folder / "slurm.conf").write_text(SLURM_CONF.format(folder=folder, host=socket.gethostname(), ports=ports))
    (folder / "hosts").write_text(Path("/etc/hosts").read_text() + "127.0.1.1 node1\n127.0.1.2 node2\n")
    munge = [f"--{name}={folder / file}" for name, file in (("socket", "munge.sock"), ("key-file", "key"),
             ("pid-file", "munged.pid"), ("seed-file", "seed"), ("log-file", "munged.log"))]  # fmt: skip
    daemons = [["/usr/sbin/munged", "--foreground", "--force", *munge]]
    daemons.append(["/usr/sbin/slurmctld", "-D", "-f", str(folder / "slurm.conf"), "-c"])
    daemons += [
        ["unshare", "--mount", "--uts", "bash", "-c", NODE, "_", str(folder), node] for node in ("node1", "node2")
    ]
    env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    with open(folder / "daemons.log", "ab") as log:
        for words in daemons:
            process = subprocess.Popen(
                words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env, start_new_session=True
            )
            stack.callback(_end, process)
            if "munged" in words[0]:
                deadline = time.monotonic() + 10
                while not (folder / "munge.sock").exists() and time.monotonic() < deadline:
                    time.sleep(0.02)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            words = ["sinfo", "-h", "-N", "-o", "%t"]
            nodes = subprocess.run(
                words, env=env, capture_output=True, text=True, timeout=5, check=False
            ).stdout.split()
            if nodes == ["idle", "idle"]:
                return
        time.sleep(0.1)
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*.log")))
    raise AssertionError(f"the cluster did not start:\n{logs}")


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def cluster_folder() -> Iterator[Path]:
    """The folder of a real Slurm cluster with two nodes on this machine."""
    if reason := _lacks():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="pkd-slurm-"))  # short: a socket's path may have 107 letters
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _start(stack, folder)
        yield folder
        env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        subprocess.run(["scancel", "--me"], env=env, check=False, timeout=20)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            words = ["squeue", "-h"]
            if not subprocess.run(words, env=env, capture_output=True, check=False, timeout=20).stdout:
                break
            time.sleep(0.1)


@pytest.fixture
def cluster(cluster_folder, monkeypatch) -> Cluster:
    """The cluster, for this test and the commands it types."""
    monkeypatch.setenv("SLURM_CONF", str(cluster_folder / "slurm.conf"))
    return Cluster(cluster_folder)
