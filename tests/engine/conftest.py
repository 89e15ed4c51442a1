"""Real workers that start at once: forked from a process that has imported torch and mmdet already."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Reads a line of JSON per run, forks its worker once for each environment, answers with the first one's pid, and later
# with how it ended (a killed one: minus the signal). A disk is not waited for: a process that is killed loses nothing
# that it has written.
SERVER = """
import json, os, sys
import pkdcli.engine.register
from pkdcli.engine.distributed import processes
from pkdcli.engine.train import trainer
from pkdcli.engine.setup import environment
from pkdcli.engine.worker import main, result, single
from pkdcli.recipe import library, schema
os.fsync = lambda handle: None
for line in sys.stdin:
    asked, pids = json.loads(line), []
    for env in asked["envs"]:
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, pids[0] if pids else 0)
            log = os.open(os.path.join(asked["run"], "log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            null = os.open(os.devnull, os.O_RDONLY)
            for number, other in ((0, null), (1, log), (2, log)):
                os.dup2(other, number)
            os.environ.update(env)
            exec(asked["first"])
            code = main.main([asked["run"]])
            sys.stdout.flush()
            os._exit(code)
        os.setpgid(pid, pids[0] if pids else pid)
        pids.append(pid)
    print(pids[0], flush=True)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    print(max(codes, key=abs), flush=True)
"""


class Workers:
    """One run at a time: `start` its worker, then `wait` for it, or `kill` it.

    A worker is what `python -m pkdcli.engine.worker RUN_DIR` is, without the seconds of importing.
    """

    def __init__(self, cache: Path) -> None:
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PKD_CACHE": str(cache)}
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        self.pid = 0

    def start(self, run: Path, first: str = "", processes: int = 1) -> int:
        """Start a worker; returns its pid.

        Args:
            run: The run directory.
            first: Python that it executes before anything else.
            processes: How many share the run, over gloo, as torchrun would start them.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        common["WORLD_SIZE"] = str(processes)
        envs = [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
        self._server.stdin.write(json.dumps({"run": str(run), "envs": envs, "first": first}) + "\n")
        self._server.stdin.flush()
        self.pid = int(self._server.stdout.readline())
        return self.pid

    def wait(self) -> int:
        """The exit code; of a killed worker the signal's number, negative."""
        return int(self._server.stdout.readline())

    def run(self, run: Path, first: str = "", processes: int = 1) -> int:
        """Start a worker and wait for it."""
        self.start(run, first, processes)
        return self.wait()

    def finish(self, run: Path, first: str = "", processes: int = 1) -> Path:
        """Have a run carried out to its end; returns its directory."""
        assert self.run(run, first, processes) == 0, (run / "log.txt").read_text()[-3000:]
        return run

    def close(self) -> None:
        """End the server."""
        self._server.kill()
        self._server.communicate()


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """A server of workers."""
    server = Workers(tmp_path_factory.mktemp("workers-cache"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def dozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The YAML file of a data set of 12 pictures of 64 pixels to learn from and 7 to be evaluated on."""
    from pkdcli.data.shapes import dataset

    folder = tmp_path_factory.mktemp("dozen")
    dataset.generate(folder, {"train": 12, "val": 7})
    splits = [f"{one}: {{images: images/{one}/, annotations: annotations/{one}.json}}" for one in ("train", "val")]
    recipe = folder / "dozen.yaml"
    recipe.write_text("\n".join(["name: dozen", "image: 64", *splits]) + "\n")
    return recipe


# Four epochs of three steps, each evaluated; a teacher of the student's depth that has seen the data once. A student
# that has learned little is sure of nothing: without a threshold there are boxes to be compared.
USUAL = {"scale": "tiny", "epochs": 4, "batch_size": 4, "val_interval": 1}
SETS = ("scale.teacher.epochs=1", "scale.rules.0.set.depth=18", "student.set.test_cfg.score_thr=0.0")


@pytest.fixture(scope="session")
def lab_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of these runs, where their teacher is kept."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def train_words(dozen: Path) -> list[str]:
    """What a user types for such a run."""
    options = [word for key, value in USUAL.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    return ["train", *options, "--data", str(dozen), *(word for one in SETS for word in ("--set", one))]


MakeRun = Callable[..., Path]


@pytest.fixture(scope="session")
def make_run(dozen: Path, workers: Workers, lab_cache: Path) -> MakeRun:
    """Write a run directory as `pkd train` does before it starts the worker; a teacher is trained first, and once."""
    from pkdcli.data.prepare import prepare
    from pkdcli.experiment import plan
    from pkdcli.experiment import prepare as preparation
    from pkdcli.recipe.resolve import Request, resolve
    from pkdcli.runs.liveness import finished

    def make(folder: Path, *sets: str, processes: int = 1, **changes) -> Path:
        recipe = resolve(Request(**{**USUAL, "data": str(dozen), "workers": 0, **changes, "sets": (*SETS, *sets)}))
        recipe = recipe.model_copy(update={"data": prepare(recipe.data, lab_cache)})
        *teachers, planned = plan.plan([recipe], folder, lab_cache)
        for teacher in teachers:
            if not finished(teacher.paths):
                preparation.prepare(teacher, lab_cache)
                workers.finish(teacher.paths.root)
        preparation.prepare(planned, lab_cache, processes)
        return planned.paths.root

    return make


@pytest.fixture
def gpu():
    """A fake GPU (`pkdcli.engine.bench.fake_gpu`) while a test runs."""
    from pkdcli.engine.bench.fake_gpu import fake_gpu

    with fake_gpu() as there:
        yield there
