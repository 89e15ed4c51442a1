"""A small stand-in for the worker, so that processes are real and torch is not loaded."""

from __future__ import annotations

import sys
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
status(state="running")
print("hello from", os.path.basename(folder), flush=True)
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
