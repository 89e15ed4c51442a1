"""Fixtures for experiments without torch: a folder of one's own, small data, and a stand-in for the worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pkdcli.runs.store import write_json

STAND_IN = Path(__file__).with_name("stand_in_worker.py")


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
def worker(monkeypatch):
    """Jobs run a small script in the worker's place.

    `worker(teacher="fails")` says how the runs with `teacher` in their id end; the others end well.
    """
    from pkdcli.experiment import execute
    from pkdcli.launch.local import queue

    real = execute.spec

    def spec(planned, *rest):
        return replace(real(planned, *rest), argv=(sys.executable, "-S", "-I", str(STAND_IN), str(planned.paths.root)))

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


# What Python executes before anything else: where the worker is asked for, the stand-in is what runs.
INSTEAD = """\
import os, sys
if "pkdcli.engine.worker" in sys.orig_argv:
    sys.argv = sys.orig_argv[sys.orig_argv.index("pkdcli.engine.worker"):]
    code = 1
    try:
        exec(compile(WORKER, "stand-in", "exec"), {"__name__": "__main__"})
    except SystemExit as left:
        code = left.code
    finally:
        sys.stdout.flush()
        os._exit(code or 0)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Workers that learn nothing and are over at once; `MANNERS=teacher=fails` says how some of them end."""
    worker = STAND_IN.read_text()
    folder = tmp_path / "stand-in"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(INSTEAD.replace("WORKER", repr(worker)))
    monkeypatch.setenv("PYTHONPATH", str(folder))
