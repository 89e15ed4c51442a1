"""Sharing a machine out: which devices and how many processes each job gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch.job import JobSpec
from pkdcli.launch.slots import Slot, devices_per_job, slots

SPEC = JobSpec("a", ("worker", "a b"), Path("runs/a"), {"PKD_CACHE": "c"})


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
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    found = slots(processes=2, jobs=2)
    assert found == [Slot((), 2, cpu=True, threads=4)] * 2
    assert found[0].place(SPEC).env == {"PKD_CACHE": "c", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "4"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert found[0].place(SPEC).env["OMP_NUM_THREADS"] == "3"


def test_several_jobs_of_one_process_keep_the_gpu_that_torch_takes():
    assert "CUDA_VISIBLE_DEVICES" not in slots(jobs=2)[0].place(SPEC).env
