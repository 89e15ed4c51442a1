"""A run that a short-lived thread has started outlives the thread, and ends with the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pkdcli.launch.job import JobSpec
from pkdcli.launch.local.process import LocalProcess

SLEEPS = (sys.executable, "-S", "-I", "-c", "import time; time.sleep(60)")

# Starts a job from a thread that ends, says its pid, and waits.
PARENT = """
import sys, threading, time
from pathlib import Path
from pkdcli.launch.job import JobSpec
from pkdcli.launch.local.process import LocalProcess
found = []
job = JobSpec("a", tuple(sys.argv[2:]), Path(sys.argv[1]))
thread = threading.Thread(target=lambda: found.append(LocalProcess(job)))
thread.start()
thread.join()
print(found[0].pid, flush=True)
time.sleep(60)
"""


def test_the_end_of_the_thread_is_not_the_end_of_the_run(tmp_path):
    started: list[LocalProcess] = []
    job = JobSpec("a", SLEEPS, tmp_path / "a")
    thread = threading.Thread(target=lambda: started.append(LocalProcess(job)))
    thread.start()
    thread.join()
    time.sleep(0.3)  # in which a signal of the kernel's would have come
    try:
        assert started[0].poll() is None
    finally:
        started[0].kill()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere no system ends a process with its parent")
def test_the_death_of_the_process_is(tmp_path):
    words = [sys.executable, "-c", PARENT, str(tmp_path / "a"), *SLEEPS]
    parent = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        with open(f"/proc/{pid}/stat") as stat:
            if stat.read().rpartition(")")[2].split()[0] == "Z":  # dead, and nobody has asked for its exit code
                return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} outlives the one that started it")


# Starts a job from a thread, forks, and does the same in the child.
FORKS = """
import os, sys, threading
from pathlib import Path
from pkdcli.launch.job import JobSpec
from pkdcli.launch.local.process import LocalProcess
def start(name):
    found = []
    job = JobSpec(name, tuple(sys.argv[2:]), Path(sys.argv[1]) / name)
    thread = threading.Thread(target=lambda: found.append(LocalProcess(job)))
    thread.start()
    thread.join(20)
    for one in found:
        one.kill()
    return len(found)
there = start("parent")
child = os.fork()
if child == 0:
    os._exit(start("child"))
print(there, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_starts_jobs_too(tmp_path):
    words = [sys.executable, "-c", FORKS, str(tmp_path), *SLEEPS]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "1 1\n"
