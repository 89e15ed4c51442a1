"""The cores that a run has, and the threads that fit on them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pkdcli import cores as module
from pkdcli.api import doctor
from pkdcli.api.doctor import Finding
from pkdcli.cores import Cores, cores, share, variables

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.fixture(autouse=True)
def _sixteen(monkeypatch):
    """A machine of sixteen cores where nothing is going on, and none of this process's own settings."""
    for name in (*module.SHOWN, "GOMP_SPINCOUNT", "LOCAL_WORLD_SIZE", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0, 1.0, 1.0))


@pytest.fixture
def system(tmp_path):
    """A factory of the system's files: their content by their path."""

    def make(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return make


def write(root, path, content):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(content)


def test_a_whole_machine(tmp_path):
    assert cores(tmp_path, {}) == Cores(16, 16, None, 16)
    assert str(cores(tmp_path, {})) == "16"


def test_a_process_that_is_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7})
    assert cores(tmp_path, {}) == Cores(3, 16, "affinity", 3)


@pytest.mark.parametrize(
    ("group", "files", "count"),
    [
        # Version 2: a container sees its own group as the root.
        ("0::/", {"cpu.max": "400000 100000"}, 4),
        ("0::/", {"cpu.max": "max 100000"}, 16),
        ("0::/", {"cpu.max": "250000 100000"}, 2),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        # The least of a group and those above it.
        ("0::/a.slice/b", {"a.slice/cpu.max": "300000 100000", "a.slice/b/cpu.max": "800000 100000"}, 3),
        # Version 1, mounted under either name; inside a container its path leads nowhere.
        ("4:cpu,cpuacct:/docker/x\n0::/", {"cpu,cpuacct/cpu.cfs_quota_us": "200000",
                                         "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/docker/x", {"cpu/docker/x/cpu.cfs_quota_us": "500000",
                             "cpu/docker/x/cpu.cfs_period_us": "100000"}, 5),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "damaged"}, 16),
    ],
)  # fmt: skip
def test_a_container_s_quota(tmp_path, group, files, count):
    write(tmp_path, "proc/self/cgroup", group + "\n")
    for path, content in files.items():
        write(tmp_path, f"sys/fs/cgroup/{path}", content + "\n")
    assert cores(tmp_path, {}) == Cores(count, 16, "a cgroup's quota" if count < 16 else None, 16)


def test_what_slurm_has_given_to_a_task(tmp_path):
    assert cores(tmp_path, {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "8"}) == Cores(8, 16, "Slurm", 16)
    assert cores(tmp_path, {"SLURM_JOB_ID": "1", "SLURM_CPUS_ON_NODE": "6"}).count == 6
    assert cores(tmp_path, {"SLURM_CPUS_PER_TASK": "8"}).count == 16  # left over in a shell
    assert str(cores(tmp_path, {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "8"})) == "8 of 16, by Slurm"


def test_processes_share_the_cores_of_a_run():
    assert share({}) == 16
    assert share({"LOCAL_WORLD_SIZE": "4"}) == 4
    assert share({"LOCAL_WORLD_SIZE": "32"}) == 1
    assert share({"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "8", "LOCAL_WORLD_SIZE": "4"}) == 2
    assert share({"PKD_CORES": "3", "LOCAL_WORLD_SIZE": "4"}) == 3  # as the launcher says, who knows of other jobs


@pytest.mark.parametrize(
    ("env", "added"),
    [
        ({}, {}),  # OpenMP sees what there is
        ({"LOCAL_WORLD_SIZE": "4"}, {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"}),
        ({"PKD_CORES": "2"}, {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}),
        ({"PKD_CORES": "2", "OMP_NUM_THREADS": "7"}, {"MKL_NUM_THREADS": "7"}),
        ({"PKD_CORES": "2", "OMP_NUM_THREADS": "7,2", "MKL_NUM_THREADS": "1"}, {}),
        ({"OMP_NUM_THREADS": "3"}, {"MKL_NUM_THREADS": "3"}),
    ],
)
def test_threads_follow_the_cores_and_what_the_user_has_set_stays(env, added):
    assert variables(env) == added


def test_on_a_busy_machine_threads_that_wait_sleep(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (17.0, 1.0, 1.0))
    assert variables({}) == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert variables({"OMP_WAIT_POLICY": "ACTIVE"}) == {}
    assert variables({"GOMP_SPINCOUNT": "1000"}) == {}


def test_the_doctor_says_what_there_is(monkeypatch):
    assert doctor._cores() == Finding("cores", "16", True)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert doctor._cores() == Finding("cores", "2 of 16, by affinity; OMP_NUM_THREADS=2", True)
    monkeypatch.setattr(os, "getloadavg", lambda: (9.25, 1.0, 1.0))
    assert doctor._cores().ok  # of the whole machine, which has sixteen
    monkeypatch.setattr(os, "getloadavg", lambda: (17.25, 1.0, 1.0))
    remedy = "Something else is at work: --threads 1 --workers 0 may be many times faster until it has ended."
    assert doctor._cores() == Finding(
        "cores", "2 of 16, by affinity, with a load of 17.2; OMP_NUM_THREADS=2", None, remedy
    )


def test_torch_and_mkl_have_the_threads_of_their_share_beside_mmengine():
    """mmengine names 1 thread for MKL in a run of several processes where nobody has named a number before."""
    code = (
        "import os\nfrom pkdcli import cores\nos.environ.update(cores.variables())\n"
        "from mmengine.utils.dl_utils import set_multi_processing\nset_multi_processing(distributed=True)\n"
        "import cv2, torch\nprint(torch.get_num_threads(), os.environ['MKL_NUM_THREADS'], "
        "cv2.getNumThreads())"
    )
    env = {key: value for key, value in os.environ.items() if not key.endswith("NUM_THREADS")}
    env |= {"PKD_CORES": "2", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    process = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert process.stdout == f"{min(2, HERE)} 2 1\n", process.stderr
