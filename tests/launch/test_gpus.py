"""Counting GPUs without torch, on stand-ins of a system's files."""

from __future__ import annotations

import os

import pytest

from pkdcli.launch import gpus
from pkdcli.launch.local.launcher import said_of_spread
from pkdcli.recipe.schema import Launcher


@pytest.fixture
def machine(tmp_path):
    """A factory of machines with some device files."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def test_device_files_are_counted(machine):
    root = machine("dev/nvidia0", "dev/nvidia1", "dev/nvidiactl", "dev/nvidia-uvm", "dev/null")
    assert gpus.on_machine(root) == 2
    assert gpus.visible(root, {}) == ("0", "1")


def test_a_machine_without(machine):
    assert gpus.on_machine(machine("dev/null")) == 0
    assert gpus.visible(machine("dev/null"), {"CUDA_VISIBLE_DEVICES": "0,1"}) == ()


@pytest.mark.parametrize(
    ("named", "names"),
    [("1", ("1",)), ("3, 1", ("3", "1")), ("", ()), ("-1", ()), ("0,-1,1", ("0",)),
     ("GPU-8932f937,MIG-1/2/0", ("GPU-8932f937", "MIG-1/2/0"))],
)  # fmt: skip
def test_what_the_environment_leaves_visible(machine, named, names):
    root = machine(*(f"dev/nvidia{number}" for number in range(4)))
    assert gpus.visible(root, {"CUDA_VISIBLE_DEVICES": named}) == names


def test_windows_subsystem_asks_the_driver(machine, tmp_path, monkeypatch):
    root = machine("dev/dxg")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert gpus.on_machine(root) is None  # there is one, but nobody can tell how many
    assert gpus.visible(root, {}) == ()
    program = machine("bin/nvidia-smi") / "bin/nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho 'GPU 1: B (UUID: GPU-2)'\n")
    program.chmod(0o755)
    assert gpus.on_machine(root) == 2


def test_rocm_lists_them_beside_processors(machine):
    root = machine("dev/kfd", *(f"sys/class/kfd/kfd/topology/nodes/{node}/gpu_id" for node in range(3)))
    assert gpus.on_machine(root) is None
    for node, number in enumerate(("0", "41327", "8123")):
        (root / f"sys/class/kfd/kfd/topology/nodes/{node}/gpu_id").write_text(f"{number}\n")
    assert gpus.on_machine(root) == 2


@pytest.mark.parametrize(
    ("jobs", "names", "said"),
    [
        (2, (), None),
        (2, ("0", "1"), "2 runs at a time on GPUs 0,1, a GPU each"),
        (4, ("0", "1"),
         "4 runs at a time on 2 GPUs: up to 2 runs share one and its memory; --jobs 2 gives each its own"),
        (3, ("5",), "3 runs at a time on 1 GPU: up to 3 runs share one and its memory; --jobs 1 gives each its own"),
        (2, ("0", "1", "2", "3", "4"),
         "2 runs at a time on GPUs 0,1, a GPU each; 3 more of 5 stay idle: --jobs 5, or --gpus 4 to share all out"),
    ],
)  # fmt: skip
def test_what_is_said_of_several_jobs(jobs, names, said):
    assert said_of_spread(Launcher(name="local", kind="local", jobs=jobs), names) == said


def test_this_machine_can_be_asked():
    there = gpus.on_machine()
    assert there is None or there == len([name for name in os.listdir("/dev") if name[6:].isdecimal()
                                          and name.startswith("nvidia")])  # fmt: skip
