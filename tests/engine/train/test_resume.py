"""A run that is killed at any moment and resumed ends as one that never was: the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass

import pytest
import yaml

PER_EPOCH, EPOCHS = 3, 4
STEPS = PER_EPOCH * EPOCHS

# Executed by a worker before anything else: it gets a signal at a given moment, and what it was about to do is noted.
# Every change of a file in the run directory is such a moment, since Python tells of it beforehand.
KILLER = """
import threading
from pkdcli.engine.train.hooks.progress import PkdProgressHook
from pkdcli.engine.train.loop import PkdTrainLoop

class Killer:
    changes = None  # since the step was reached

    def __init__(self, run, number, step, change, seconds, torn):
        self.run, self.number, self.step = run, number, step
        self.change, self.seconds, self.torn = change, seconds, torn
        self.pid, self.noted, self.sent = os.getpid(), os.path.join(os.path.dirname(run), "killed.txt"), False

    def reached(self, step):
        if self.changes is None and step >= self.step:
            self.changes = 0
            if self.seconds is not None:
                threading.Timer(self.seconds, self.send, ("time is up",)).start()

    def look(self, event, args):
        if self.changes is None or self.sent or os.getpid() != self.pid:
            return
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if not (writes or event in ("os.rename", "os.remove")) or not isinstance(args[0], (str, os.PathLike)):
            return
        path = os.fspath(args[0])
        if not path.startswith(self.run + os.sep):
            return
        self.changes += 1
        if self.changes == self.change:
            self.sent = True
            if self.torn and event == "os.rename":
                os.truncate(path, os.path.getsize(path) // 2)
            if self.torn and path.endswith(".jsonl"):
                with open(path, "a") as file:
                    file.write('{"kind": "train", "ep')
            self.send(event + " " + path[len(self.run) + 1:])

    def send(self, doing):
        self.sent = True
        with open(self.noted, "a") as file:
            file.write(doing + "\\n")
        os.kill(self.pid, self.number)

killer = Killer(asked["run"], **AT)
sys.addaudithook(killer.look)
before_train, run_iter = PkdProgressHook.before_train, PkdTrainLoop.run_iter

def begin(hook, runner):
    killer.reached(runner.iter)
    before_train(hook, runner)

def one_step(loop, index, batch):
    killer.reached(loop.iter)
    run_iter(loop, index, batch)
    killer.reached(loop.iter)

PkdProgressHook.before_train, PkdTrainLoop.run_iter = begin, one_step
killer.reached(-1)
"""


@dataclass(frozen=True)
class Moment:
    """When a worker gets a signal.

    Attributes:
        step: Once so many steps of the run are taken; -1 for from the worker's start.
        change: Before so many files are changed from there on.
        seconds: Or after so long.
        torn: What is just written has only reached the disk in part.
    """

    step: int
    change: int | None = None
    seconds: float | None = None
    torn: bool = False

    def killer(self, number: signal.Signals = signal.SIGKILL) -> str:
        """The Python that a worker executes first."""
        return KILLER.replace("AT)", repr({"number": int(number), **asdict(self)}) + ")")


def moments(count: int, seed: int) -> list[Moment]:
    """Moments over the whole life of a run, from its start to the last file it writes."""
    draw = random.Random(seed)
    found = []
    for step in sorted(draw.randint(-1, STEPS) for _ in range(count)):
        # A run has a dozen files to change after any step, but on a quick machine not much time.
        if step <= STEPS // 2 and draw.random() < 0.4:
            found.append(Moment(step, seconds=draw.uniform(0, 0.6 if step < 0 else 0.15)))
        else:
            found.append(Moment(step, change=draw.randint(1, 12), torn=draw.random() < 0.4))
    return found


def noted(run) -> list[str]:
    """What the workers of a run were about to do when they were killed."""
    return (run.parent / "killed.txt").read_text().splitlines()


def records(run) -> list[dict]:
    """The records of metrics.jsonl, without what is measured with a clock and who started when."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in record.items() if "seconds" not in key}
        for record in lines
        if record["kind"] != "start"
    ]


def assert_same(one, other):
    """Two finished runs have bit-identical weights, equal metrics and equal records."""
    import torch

    weights = [torch.load(run / "student.pth", weights_only=True)["state_dict"] for run in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    different = [key for key, value in weights[0].items() if not torch.equal(value, weights[1][key])]
    assert different == []
    results = [json.loads((run / "result.json").read_text()) for run in (one, other)]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert records(one) == records(other)


def newest(run) -> str:
    """The name of the newest training state of a run."""
    return max(path.stem for path in (run / "checkpoints").glob("epoch_*.pth"))


@pytest.fixture(scope="module")
def reference(make_run, workers, tmp_path_factory):
    """A distilled run that nothing interrupted."""
    return workers.finish(make_run(tmp_path_factory.mktemp("reference")))


@pytest.fixture
def survives(reference, make_run, workers, tmp_path):
    """Kill a run at each of some moments, each time prepare it as the command does, and let the last one finish."""

    def survives(found: list[Moment], seed: int) -> list[str]:
        loaders = random.Random(seed)
        for moment in found:
            # Neither how many loaders there are nor how often a state is saved is part of what a run is.
            run = make_run(tmp_path, workers=loaders.choice((0, 0, 1)), checkpoint_iters=2)
            code = workers.run(run, first=moment.killer())
            print(f"seed {seed}: {moment} -> {code}")
            assert code == -signal.SIGKILL, (run / "log.txt").read_text()[-3000:]
        print("\n".join(noted(run)))
        assert len(noted(run)) == len(found)
        run = workers.finish(make_run(tmp_path, checkpoint_iters=2))
        assert json.loads((run / "status.json").read_text())["state"] == "done"
        assert_same(reference, run)
        return noted(run)

    return survives


def test_five_kills(survives):
    found = [
        Moment(-1, change=8),
        Moment(1, seconds=0.05),
        Moment(3, change=3, torn=True),
        Moment(6, change=9, torn=True),
        Moment(STEPS, change=11),
    ]
    survives(found, seed=1)


def test_there_is_something_to_compare(reference):
    """A run that finds nothing would have equal metrics whatever happened to it."""
    assert json.loads((reference / "result.json").read_text())["metrics"]["mAP"] > 0


@pytest.mark.slow
def test_twenty_kills(survives):
    seed = int(os.environ.get("PKD_KILL_SEED", "2"))
    doing = survives(moments(20, seed), seed)
    assert Counter(one.split()[0] for one in doing).keys() >= {"open", "os.rename", "time"}


def test_number_of_loaders(reference, make_run, workers, tmp_path):
    """Augmentation is a function of (seed, epoch, image): loaders only share the work."""
    assert_same(reference, workers.finish(make_run(tmp_path, workers=2)))


@pytest.mark.parametrize(
    ("number", "moment", "saved"),
    [
        (signal.SIGINT, Moment(4, change=1), "epoch_0001_iter_00000005"),  # in the middle of a step
        (signal.SIGTERM, Moment(3, change=6), "epoch_0001"),  # as it begins to evaluate
        (signal.SIGUSR1, Moment(6, change=2), "epoch_0002"),  # while it saves
    ],
)
def test_a_signal_saves_and_stops(reference, make_run, workers, tmp_path, number, moment, saved):
    run = make_run(tmp_path)
    assert workers.run(run, first=moment.killer(number)) == 130, (run / "log.txt").read_text()[-3000:]
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert newest(run) == saved, noted(run)
    assert not (run / "result.json").exists()
    assert_same(reference, workers.finish(make_run(tmp_path)))


ADDING = {"accumulate": 2, "epochs": 3}


@pytest.fixture(scope="module")
def adding(make_run, workers, tmp_path_factory):
    """A run that nothing interrupted, of nine steps, every second of which moves the weights, and the last."""
    return workers.finish(make_run(tmp_path_factory.mktemp("adding"), **ADDING))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_gradients_being_added(adding, make_run, workers, tmp_path, number):
    """Stopped within the second step of the optimizer, which goes over the end of the first epoch."""
    run = make_run(tmp_path, checkpoint_iters=1, **ADDING)
    code = workers.run(run, first=Moment(3, change=1).killer(number))
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130), (run / "log.txt").read_text()[-3000:]
    # A killed run goes back to the second step; one that is asked to stop takes the fourth.
    assert newest(run) == ("epoch_0000_iter_00000002" if number == signal.SIGKILL else "epoch_0001_iter_00000004")
    assert_same(adding, workers.finish(make_run(tmp_path, **ADDING)))


def test_a_state_of_other_parts_of_a_step_is_refused(make_run, workers, tmp_path):
    """As a teacher's training is begun on one GPU and resumed on eight, which take a step of 16 images at once."""
    run = make_run(tmp_path)
    assert workers.run(run, first=Moment(4, change=1).killer(signal.SIGTERM)) == 130
    before = newest(run)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    (run / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "accumulate": 2}))
    assert workers.run(run) == 2
    error = json.loads((run / "status.json").read_text())["error"]
    assert error["message"] == (
        "the training state is of a start that adds up the gradients of 1 steps, this one those of 2: it had another "
        "number of processes."
    )
    assert error["hint"] == f"Go on with as many as then, or remove {run / 'checkpoints'} to begin again."
    assert newest(run) == before


def test_the_command_typed_again_goes_on(reference, train_words, lab_cache, tmp_path):
    command = [sys.executable, "-m", "pkdcli", *train_words, "--workers", "1", "--checkpoint-iters", "2"]
    env = {**os.environ, "PKD_CACHE": str(lab_cache), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}
    command += ["--runs", str(tmp_path)]
    run = tmp_path / reference.name
    process = subprocess.Popen(command, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not ((run / "metrics.jsonl").exists() and any(one["iter"] > 3 for one in records(run))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(json.loads((run / "status.json").read_text())["pid"], signal.SIGKILL)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1, said
    assert "killed by SIGKILL" in said
    assert not (run / "result.json").exists()
    again = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "resuming from epoch_0" in (run / "log.txt").read_text()
    assert_same(reference, run)


def test_the_recipe_that_is_resumed_is_the_one_that_was_begun(reference, make_run, tmp_path):
    """What may differ between two starts is not in the name, and all the rest is."""
    run = make_run(tmp_path, workers=1, checkpoint_iters=2)
    recipes = [yaml.safe_load((one / "recipe.yaml").read_text()) for one in (reference, run)]
    assert run.name == reference.name
    assert {key for key in recipes[0] if recipes[0][key] != recipes[1][key]} == {"workers", "checkpoint_iters"}
