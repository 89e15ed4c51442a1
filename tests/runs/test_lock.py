"""One process at a time in a run directory: who holds it, and that a lock goes with its holder, however that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs import lock
from pkdcli.runs.liveness import held_by
from pkdcli.runs.lock import RunLock, holder, lock_file
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json

OTHER = """\
import sys, time
from pathlib import Path
from pkdcli.runs.lock import RunLock
from pkdcli.runs.paths import RunPaths
with RunLock(RunPaths(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def paths(tmp_path):
    return RunPaths(tmp_path)


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_refused_and_told_by_whom(paths, other):
    with pytest.raises(PkdError) as caught, RunLock(paths):
        pass
    who = f"process {other.pid} on {socket.gethostname()}, since "
    assert caught.value.message.startswith(f"{paths.run} is running already: {who}")
    assert caught.value.hint == "Wait for it, or stop it first."
    assert holder(paths).startswith(who)
    assert held_by(paths).startswith(who)


def test_a_killed_holder_holds_nothing_whatever_its_files_say(paths, other):
    # This process stands for one that has got the same number later.
    write_json(paths.status, {"state": "running", "pid": os.getpid(), "host": socket.gethostname()})
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert lock_file(paths).exists()
    assert holder(paths) is None
    assert held_by(paths) is None
    with RunLock(paths):
        assert holder(paths) == f"process {os.getpid()} on {socket.gethostname()}"
    assert not lock_file(paths).exists()


def test_on_another_machine_whose_locks_are_not_seen_the_status_counts(paths):
    lock_file(paths).touch()
    write_json(paths.status, {"state": "running", "pid": 7, "host": "elsewhere"})
    assert held_by(paths) == "process 7 on elsewhere"


def test_asking_who_holds_it_keeps_nobody_from_taking_it(paths):
    lock_file(paths).touch()
    code = (
        "import fcntl, os, sys, time\nhandle = os.open(sys.argv[1], os.O_RDONLY)\n"
        "fcntl.lockf(handle, fcntl.LOCK_SH)\nprint('asked', flush=True)\ntime.sleep(0.2)\n"
    )
    asking = subprocess.Popen([sys.executable, "-S", "-c", code, lock_file(paths)], stdout=subprocess.PIPE, text=True)
    assert asking.stdout.readline() == "asked\n"
    with RunLock(paths):
        assert asking.wait() == 0


def test_whoever_waits_for_a_lock_that_goes_gets_one_that_counts(paths, other, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 20.0)
    threading.Timer(0.2, other.terminate).start()
    begin = time.monotonic()
    with RunLock(paths):
        assert lock_file(paths).exists()
    assert time.monotonic() - begin < 20


def test_a_folder_that_is_not_there(tmp_path):
    paths = RunPaths(tmp_path / "none")
    assert holder(paths) is None
    with pytest.raises(PkdError, match="can't write") as caught, RunLock(paths):
        pass
    assert caught.value.code == ExitCode.MISSING
