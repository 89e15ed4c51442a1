"""Run directories of an earlier pkd: read, reported, evaluated and resumed as they were then.

runs/runs.tar.xz was made once, and is not to be made anew: it stands for the runs that users have. It holds the runs of

    pkd sweep $A --loss pkd,mse --epochs 8                              a baseline and two students of one teacher
    pkd train $A --loss pkd --epochs 3 --seed 1 --checkpoint-iters 2    interrupted at the seventh step of twelve
    pkd train $A --loss pkd --epochs 3 --seed 2 --launcher slurm --time 1:00:00 --cpus-per-process 2    queued

with A="--pair gfl101-gfl50 --data data/micro.yaml --scale nano.yaml --schedule 1x" and the data set of the fixture
`micro`. In its texts @HERE@ stands for the folder and @PYTHON@ for the interpreter. States of finished trainings and
what `pkd eval` writes are left out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

KEPT = Path(__file__).parent / "runs"
WORDS = ("--pair", "gfl101-gfl50", "--data", "data/micro.yaml", "--scale", "nano.yaml", "--schedule", "1x")
DONE = "gfl101-gfl50__pkd-w10__1x__micro-nano__s0-f1d313b7"
INTERRUPTED = "gfl101-gfl50__pkd-w10__1x__micro-nano__s1-d28f47ec"

# A cluster whose only job waits in its queue.
SQUEUE = "#!/bin/sh\necho '4242|0|PENDING|Resources|'\n"


@dataclass(frozen=True)
class Old:
    """A folder with `runs`, `cache`, `data` and the scale's YAML file, as when the runs were made."""

    folder: Path

    def pkd(self, *words: str | Path) -> str:
        """What a command prints that succeeds, without what lies in this folder alone."""
        env = {**os.environ, "PKD_CACHE": str(self.folder / "cache"), "HOME": str(self.folder), "OMP_NUM_THREADS": "1"}
        env |= {"COLUMNS": "140", "NO_COLOR": "1", "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        env.pop("PKD_RUNS", None)
        command = [sys.executable, "-m", "pkdcli", *map(str, words)]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.replace(str(self.folder), "@HERE@").replace(sys.executable, "@PYTHON@")

    def read(self, run: str, name: str = "result.json") -> dict:
        """A JSON file of a run."""
        return json.loads((self.folder / "runs" / run / name).read_text())


@pytest.fixture(scope="module")
def unpack(micro):
    """Lay the runs down in a folder."""

    def unpack(folder: Path) -> Old:
        with tarfile.open(KEPT / "runs.tar.xz") as tar:
            tar.extractall(folder, filter="data")
        for path in (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pth"):
            when = path.stat()
            text = path.read_text().replace("@HERE@", str(folder)).replace("@PYTHON@", sys.executable)
            path.write_text(text)
            os.utime(path, (when.st_atime, when.st_mtime))
        shutil.copytree(micro.parent, folder / "data")
        shutil.copy(KEPT / "nano.yaml", folder)
        (folder / "bin").mkdir()
        (folder / "bin" / "squeue").write_text(SQUEUE)
        (folder / "bin" / "squeue").chmod(0o755)
        return Old(folder)

    return unpack


@pytest.fixture(scope="module")
def old(unpack, tmp_path_factory) -> Old:
    """The runs, for tests that only look at them."""
    return unpack(tmp_path_factory.mktemp("old"))


def stripped(text: str) -> str:
    """Text without blanks at the ends of lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        *("report", "report --format json", "report --format csv", "status", "status --json", "list runs"),
        f"show {DONE}",
        f"show {INTERRUPTED}",
        f"logs {INTERRUPTED} -n 12",
    ],
)
def test_what_is_said_of_the_runs(old, golden, words):
    name = re.sub("[^a-z]+", "-", words.replace(DONE, "done").replace(INTERRUPTED, "interrupted")).strip("-")
    golden(f"said/{name}.txt", stripped(old.pkd(*words.split())))


def test_every_run_still_has_its_name(old):
    from pkdcli.recipe import library
    from pkdcli.recipe.identity import run_id
    from pkdcli.recipe.schema import Recipe

    files = [*old.folder.glob("runs/*/recipe.yaml"), *old.folder.glob("cache/teachers/*/recipe.yaml")]
    assert len(files) == 6
    for file in files:
        assert run_id(library.parse(Recipe, yaml.safe_load(file.read_text()), str(file))) == file.parent.name


def test_the_commands_that_made_them_find_them(old):
    said = [json.loads(line) for line in old.pkd("sweep", *WORDS, "--loss", "pkd,mse", "--epochs", "8", "--dry-run",
                                                 "--json").splitlines()]  # fmt: skip
    assert {(one["run"], one["state"]) for one in said} == {
        (path.parent.name, "done")
        for path in [*old.folder.glob("runs/*/result.json"), *old.folder.glob("cache/teachers/*/result.json")]
    }


def test_a_student_is_evaluated_to_the_numbers_of_its_result(old):
    """The weights are the same to the bit; another kind of processor rounds features otherwise.

    AP changes only where two boxes change places or a box crosses a threshold of IoU, which rounding makes of few:
    half a point of a hundred is more than that, and weights that are not the student's have 0.0 of AP50 8.3.
    """
    said = json.loads(old.pkd("eval", DONE, "--json"))
    assert said["weights_sha256"] == "af258ddaace1a8d3b4d9dd4392abd5f8d75a900fe63e27c4e5beb2c7804bee4d"
    assert said["metrics"] == pytest.approx(old.read(DONE)["metrics"], abs=0.5)
    assert old.read(DONE)["metrics"]["AP50"] > 8


def weights(path: Path) -> dict:
    import torch

    return torch.load(path, weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def resumed(unpack, tmp_path_factory) -> list[Old]:
    """The interrupted run, resumed in two folders."""
    both = [unpack(tmp_path_factory.mktemp(name)) for name in ("one", "other")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda one: one.pkd("resume", INTERRUPTED), both))
    return both


def test_an_interrupted_run_goes_on_to_the_same_bits_each_time(resumed):
    import torch

    one, other = (weights(each.folder / "runs" / INTERRUPTED / "student.pth") for each in resumed)
    assert one.keys() == other.keys()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []
    results = [each.read(INTERRUPTED) for each in resumed]
    assert results[0]["metrics"] == results[1]["metrics"]
    log = (resumed[0].folder / "runs" / INTERRUPTED / "log.txt").read_text()
    assert "resuming from epoch_0001_iter_00000007" in log


def test_it_ends_where_a_run_ends_that_nothing_interrupted(resumed, old):
    """Equal to the bit on the processor that made the state; on another but for rounding.

    Other instructions (those of AVX2 in the place of AVX-512, in PyTorch and oneDNN) end the run from its start
    0.03 percent of the way from the state to the end apart, and two threads a thousandth of a percent. Half a percent
    is ten times as much, and less than any of the five steps is of that way: the last has a hundredth of the first
    one's learning rate, the three between them a tenth.
    """
    import torch

    old.pkd("train", *WORDS, "--loss", "pkd", "--epochs", "3", "--seed", "1", "--runs", "straight")
    end = weights(old.folder / "straight" / INTERRUPTED / "student.pth")
    mine = weights(resumed[0].folder / "runs" / INTERRUPTED / "student.pth")
    state = old.folder / "runs" / INTERRUPTED / "checkpoints" / "epoch_0001_iter_00000007.pth"
    begun = torch.load(state, weights_only=False)["state_dict"]
    begun = {key.removeprefix("architecture."): value for key, value in begun.items()}
    assert begun.keys() >= end.keys() == mine.keys()

    def distance(one: dict, other: dict) -> float:
        return sum(float((one[key].double() - other[key].double()).square().sum()) for key in end) ** 0.5

    assert distance(mine, end) < 0.005 * distance(begun, end)
