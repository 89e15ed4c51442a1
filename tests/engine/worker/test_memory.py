"""What a worker frees it keeps: the memory of one step is there for the next."""

from __future__ import annotations

import subprocess
import sys

SIZE, STEPS = 40 * 2**20, 20
SCRIPT = f"""
import resource, sys
import torch
from pkdcli.engine.worker.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory() is True
def mapped():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
for _ in range({STEPS}):
    tensor = torch.ones({SIZE // 4}, dtype=torch.float32)
    during = mapped()
    del tensor
    print(during - mapped())
"""


def given_back(how: str) -> list[int]:
    """Bytes of address space that each step's tensor of SIZE bytes returns to the system when it is freed.

    Not page faults: a system may take pages away from memory that is still ours.
    """
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_a_step_finds_the_memory_of_the_last():
    usual = given_back("as usual")
    assert len(usual) == STEPS
    assert all(size >= SIZE for size in usual)
    assert given_back("keep") == [0] * STEPS


def test_another_c_library_is_left_alone(monkeypatch):
    from pkdcli.engine.worker import memory

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False
