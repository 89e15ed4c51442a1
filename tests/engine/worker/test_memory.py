"""What a worker frees it keeps: the pages of one step are there for the next."""

from __future__ import annotations

import resource
import subprocess
import sys

SIZE, STEPS = 40 * 2**20, 20
PAGES = SIZE // resource.getpagesize()
SCRIPT = f"""
import resource, sys
import torch
from pkdcli.engine.worker.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory() is True
def step():
    torch.ones({SIZE // 4}, dtype=torch.float32)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({STEPS}):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_step_finds_the_pages_of_the_last():
    usual = faults("as usual")
    assert usual >= STEPS * PAGES
    # Not none: a system may take back pages that it sees idle for a moment.
    assert faults("keep") < usual / 3


def test_another_c_library_is_left_alone(monkeypatch):
    from pkdcli.engine.worker import memory

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False
