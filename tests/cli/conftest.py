"""The command line in this process, and a stand-in for the worker that needs no torch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image

from pkdcli.runs.store import write_json

# What `pkdcli.engine.worker` does towards the outside, in the twentieth of a second.
WORKER = """\
import json, os, signal, sys, time
manners = dict(pair.split("=") for pair in os.environ.get("MANNERS", "").split(",") if pair)
def read(path):
    with open(path) as file:
        return json.load(file)
class Run:
    def __init__(self, folder):
        self.folder = folder
        self.status, self.job = self.read("status.json"), self.read("job.json")
    def read(self, name):
        return read(f"{self.folder}/{name}")
    def write(self, name, content):
        with open(f"{self.folder}/{name}.part", "w") as file:
            json.dump(content, file)
        os.replace(f"{self.folder}/{name}.part", f"{self.folder}/{name}")
    def say(self, **fields):
        self.status.update(fields)
        self.write("status.json", self.status)
    def fail(self, message, hint, code):
        self.say(state="failed", phase=None, error={"message": message, "hint": hint, "code": code})
        return code
    def work(self):
        status, folder = self.status, self.folder
        manner = next((manner for part, manner in manners.items() if part in status["run"]), "well")
        print("the worker of", status["run"], "is", manner, flush=True)
        if manner == "fails":
            return self.fail("the loss is NaN at step 3.", "Try a smaller --weight.", 1)
        if manner == "lacks":
            return self.fail("no weights.", "Download them.", 3)
        if manner == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if manner == "waits":
            self.say(phase="train", epoch=1, epochs=6, iter=3, iters=600, train_loss=1.5, it_per_s=2.0, eta_s=3700)
            time.sleep(60)
            return 77
        if manner == "shows":  # long enough for a frame of the screen
            time.sleep(2)
        mAP = {"teacher": 70.0, "baseline": 20.0}.get(status["role"]) or 30.0 + status["weight"] / 10
        metrics = {"mAP": mAP, "AP50": mAP + 20, "AP75": mAP + 1, "AP_S": None, "AP_M": mAP, "AP_L": mAP + 5}
        lines = [line for line in open(f"{folder}/recipe.yaml") if line.startswith(("max_", "val_im"))]
        knobs = dict(line.rstrip().split(": ") for line in lines)
        open(f"{folder}/{'teacher' if status['role'] == 'teacher' else 'student'}.pth", "w").close()
        teacher = self.job["teacher"]
        self.write("result.json", {
            **status, "split": "val", "epoch": 6, "metrics": metrics,
            "teacher_metrics": read(f"{teacher}/result.json")["metrics"] if teacher else None,
            **{key: None if value == "null" else int(value) for key, value in knobs.items()},
        })
        self.say(state="done", phase=None, epoch=6, epochs=6)
        return 0
runs = [Run(folder) for folder in sys.argv[1:]]
def asked(*_):
    for run in runs:
        if run.status["state"] == "running":
            error = None
            if os.path.exists(f"{run.folder}/.cancel"):
                by = run.read(".cancel")["by"]
                error = {"message": f"cancelled with `pkd cancel` by {by}", "hint": None, "code": 130}
            run.say(state="interrupted", phase=None, error=error)
    sys.exit(130)
signal.signal(signal.SIGINT, asked)
for run in runs:
    run.say(state="running", phase="start", pid=os.getpid(), host=os.uname().nodename)
sys.exit(max(run.work() for run in runs))
"""


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder to type commands in, with a cache of its own, no COCO and a narrow terminal."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("PKD_RUNS", "PKD_COCO", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PKD_CACHE": str(tmp_path / "cache"), "COLUMNS": "80", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def type_(here, monkeypatch, capsys):
    """Type a command as a user does: the real entry point, in this process."""
    from pkdcli.cli import main

    def type_(*words: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["pkd", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return Said(left.value.code or 0, *capsys.readouterr())

    return type_


@pytest.fixture
def own(here) -> Path:
    """The recipe of a small data set of one's own."""
    folder = here.parent / "own"
    (folder / "images").mkdir(parents=True)
    size = {"width": 64, "height": 64}
    splits = {"train": "", "val": "v"}  # each with pictures of its own
    images = {
        name: [{"id": n, "file_name": f"{prefix}{n}.jpg", **size} for n in range(1, 9)]
        for name, prefix in splits.items()
    }
    boxes = [
        {"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": [4, 4, 20, 20], "area": 400} for n in range(1, 9)
    ]
    classes = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    for number, (name, listed) in enumerate(images.items()):
        for image in listed:
            Image.new("L", (64, 64), 99 * number).save(folder / "images" / image["file_name"])
        coco = {"images": listed, "annotations": boxes, "categories": classes}
        (folder / f"{name}.json").write_text(json.dumps(coco))
    lines = ["name: own", *(f"{name}: {{images: images/, annotations: {name}.json}}" for name in splits)]
    (folder / "own.yaml").write_text("\n".join(lines) + "\n")
    return folder / "own.yaml"


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Jobs run a small script in the worker's place.

    `worker(teacher="fails")` says how the runs with `teacher` in their id end; the others end well.
    """
    from pkdcli.experiment import execute
    from pkdcli.launch.local import queue

    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    real = execute.spec

    def spec(planned, *rest):
        return replace(real(planned, *rest), argv=(sys.executable, "-S", "-I", str(script), str(planned.paths.root)))

    monkeypatch.setattr(execute, "spec", spec)
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def manners(**manners: str) -> None:
        words = ",".join(f"{part.replace('_', '-')}={manner}" for part, manner in manners.items())
        monkeypatch.setenv("MANNERS", words)

    yield manners
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def gone():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def run(here):
    """A factory of run directories."""

    def make(name, state, log=None, launcher=None, queue=None, result=False, **status):
        folder = here / "runs" / name
        folder.mkdir(parents=True)
        write_json(folder / "status.json", {"run": name, "state": state, **status})
        write_json(
            folder / "job.json", {"launcher": launcher or {"name": "local", "kind": "local"}, "queue": queue or {}}
        )
        if log is not None:
            (folder / "log.txt").write_text(log)
        if result:
            write_json(folder / "result.json", {"role": "baseline", "metrics": {"mAP": 1.0}})
            (folder / "student.pth").touch()
        return folder

    return make


@pytest.fixture
def mine() -> dict[str, int | str]:
    """This very process and machine, as a status tells them."""
    return {"pid": os.getpid(), "host": socket.gethostname()}


@pytest.fixture
def shown(type_):
    """State and reason of every run, as `pkd status --json` tells."""

    def shown(*words: str) -> dict[str, tuple[str, str | None]]:
        records = map(json.loads, type_("status", "--json", *words).out.splitlines())
        return {record["run"]: (record["state"], record["reason"]) for record in records}

    return shown
