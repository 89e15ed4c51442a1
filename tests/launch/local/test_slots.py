"""Sharing a machine out: which devices and how many processes each job gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch.job import JobSpec
from pkdcli.launch.local.slots import Slot, devices_per_job, slots

pytestmark = pytest.mark.usefixtures("sixteen_cores")
SPEC = JobSpec("a", ("worker", "a b"), Path("runs/a"), {"PKD_CACHE": "c"})


@pytest.fixture
def sixteen_cores(monkeypatch):
    """A machine of sixteen cores, all of them ours."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


def test_one_process_on_whatever_there_is_needs_no_torchrun():
    assert slots() == [Slot()]
    assert slots()[0].place(SPEC) == SPEC


@pytest.mark.parametrize(
    ("devices", "jobs", "shares"),
    [
        (["0"], 1, [("0",)]),
        (["0", "1", "2", "3"], 1, [("0", "1", "2", "3")]),
        (["0", "1", "2", "3"], 2, [("0", "1"), ("2", "3")]),
        (["3", "1"], 2, [("3",), ("1",)]),
    ],
)
def test_devices_are_shared_out_evenly_and_once(devices, jobs, shares):
    found = slots(devices, jobs=jobs)
    assert [slot.devices for slot in found] == shares
    assert {slot.processes for slot in found} == {devices_per_job(devices, 1, jobs)} == {len(devices) // jobs}


def test_devices_that_do_not_divide():
    with pytest.raises(PkdError) as caught:
        slots(["0", "1", "2"], jobs=2)
    assert caught.value.message == "--jobs 2: 3 devices can't be shared evenly by 2 jobs."


def test_a_job_on_one_device_sees_no_other(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    placed = Slot(("2",)).place(SPEC)
    assert (placed.argv, placed.processes) == (SPEC.argv, 1)
    assert placed.env == {"PKD_CACHE": "c", "CUDA_VISIBLE_DEVICES": "2"}


def test_a_job_on_several_devices_goes_through_torchrun():
    placed = Slot(("2", "3"), 2).place(SPEC)
    options = ("--standalone", "--nproc-per-node=2", "--max-restarts=0", "--no-python")
    assert placed.argv == (sys.executable, "-m", "torch.distributed.run", *options, "worker", "a b")
    assert (placed.processes, placed.env["CUDA_VISIBLE_DEVICES"]) == (2, "2,3")


def test_processes_on_the_cpu_see_no_gpu_and_share_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = slots(processes=2, jobs=2)
    assert found == [Slot((), 2, cpu=True, threads=4)] * 2
    threads = {"OMP_NUM_THREADS": "4", "PKD_CORES": "4"}
    assert found[0].place(SPEC).env == {"PKD_CACHE": "c", "CUDA_VISIBLE_DEVICES": "", **threads}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert found[0].place(SPEC).env["OMP_NUM_THREADS"] == "3"


def test_several_jobs_of_one_process_keep_the_gpu_that_torch_takes():
    assert "CUDA_VISIBLE_DEVICES" not in slots(jobs=2)[0].place(SPEC).env


def test_several_jobs_without_devices_are_spread_over_the_gpus_there_are(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = slots(jobs=5, spread=["0", "3"])
    assert [slot.devices for slot in found] == [("0",), ("3",), ("0",), ("3",), ("0",)]
    assert {slot.processes for slot in found} == {1}
    assert found[1].place(SPEC).env == {"PKD_CACHE": "c", "CUDA_VISIBLE_DEVICES": "3", "OMP_NUM_THREADS": "3",
                                        "PKD_CORES": "3"}  # fmt: skip


@pytest.mark.parametrize(("devices", "processes", "jobs"), [(["5"], 1, 1), (["5", "6"], 1, 2), ((), 2, 2), ((), 1, 1)])
def test_nothing_is_spread_where_devices_or_processes_are_named_or_one_job_runs(devices, processes, jobs):
    assert slots(devices, processes, jobs, spread=["0", "1"]) == slots(devices, processes, jobs)


@pytest.mark.parametrize(
    ("devices", "processes", "jobs", "threads"),
    [(["0"], 1, 1, None), (["0", "1", "2", "3"], 1, 1, 4), (["0", "1", "2", "3"], 1, 2, 4),
     ((), 1, 2, 8), ((), 4, 1, 4), ((), 1, 32, 1)],
)  # fmt: skip
def test_the_processes_of_all_jobs_share_the_cores(devices, processes, jobs, threads):
    assert {slot.threads for slot in slots(devices, processes, jobs)} == {threads}


@pytest.mark.parametrize("jobs", [1, 2])
def test_threads_that_were_asked_for_come_before_the_environment_s(monkeypatch, jobs):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    for slot in (slots(jobs=jobs, threads=5)[0], slots(["0", "1"], jobs=jobs, threads=5)[0]):
        env = slot.place(SPEC).env
        assert (env["OMP_NUM_THREADS"], env["MKL_NUM_THREADS"]) == ("5", "5")
