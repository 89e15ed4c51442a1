"""Fixtures that every test may use: a micro data set, folders of its own, the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from made_once import made_once

pytest_plugins = ["experiments", "own_files", "own_scope", "plugin_probes"]  # tests/support

# A process started in the background ignores Ctrl-C, and its children do: here Ctrl-C is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Two cores, and trainings that are over in seconds: threads that wait for each other only cost.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The tests themselves wait for no disk, which takes longer than many of them: a process that ends, however it ends,
# loses nothing that it has written. What they start waits as ever.
os.fsync = lambda handle: None



def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests train come first: none of them is left for one worker in the end, while the other has no more.

    Of those that look at the lab's runs one comes before all, so that the lab is there when the others want it.
    """
    used: dict[Path, set[str]] = {}
    for item in items:
        used.setdefault(item.path, set()).update(getattr(item, "fixturenames", ()))
    first = next((path for path, names in used.items() if "lab" in names), None)

    def place(item: pytest.Item) -> int:
        names = used[item.path]
        return 0 if item.path == first else 2 if "lab" in names else 1 if names & {"workers", "micro"} else 3

    items.sort(key=place)


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str


Pkd = Callable[..., Answer]


def _run(*words: str | Path, cwd: Path, env: dict[str, str], timeout: float = 600) -> Answer:
    command = [sys.executable, "-m", "pkdcli", *(str(word) for word in words)]
    process = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Answer(process.returncode, process.stdout, process.stderr)


def _environment(base: Path) -> dict[str, str]:
    folders = {"PKD_CACHE": str(base / "cache"), "PKD_RUNS": str(base / "runs"), "HOME": str(base)}
    return {**os.environ, **folders, "COLUMNS": "120", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def pkd(tmp_path: Path) -> Pkd:
    """Run `pkd WORDS...` as a user does, in an empty folder with its own cache and runs."""
    here = tmp_path / "here"
    here.mkdir()

    def run(*words: str | Path, cwd: Path = here, timeout: float = 600, **env: str) -> Answer:
        return _run(*words, cwd=cwd, env={**_environment(tmp_path), **env}, timeout=timeout)

    return run


def write_micro(folder: Path, counts: dict[str, int]) -> Path:
    """A COCO-format data set of the first few pictures of `shapes`, with its recipe; returns the YAML file."""
    from pkdcli.data.shapes import dataset

    dataset.generate(folder, counts)
    lines = ["name: micro", "image: 96"]
    lines += [f"{split}: {{images: images/{split}/, annotations: annotations/{split}.json}}" for split in counts]
    recipe = folder / "micro.yaml"
    recipe.write_text("\n".join(lines) + "\n")
    return recipe


@pytest.fixture(scope="session")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The YAML file of a data set of 16, 8 and 8 pictures."""
    return write_micro(tmp_path_factory.mktemp("micro"), {"train": 16, "val": 8, "test": 8})


# What makes a tiny training on the micro data set last a second.
MICRO = ("--scale", "tiny", "--epochs", "2", "--batch-size", "4", "--workers", "0", "--set", "scale.teacher.epochs=1")


@dataclass(frozen=True)
class Lab:
    """Finished runs on the micro data set: a teacher, a baseline and students.

    Attributes:
        runs: The runs folder.
        cache: The cache folder.
        data: The data set's YAML file.
        answer: What the sweep printed.
        pkd: The command line with these folders.
        knobs: The options that make a training short.
    """

    runs: Path
    cache: Path
    data: Path
    answer: Answer
    pkd: Pkd
    knobs: tuple[str, ...] = MICRO

    def run(self, beginning: str) -> Path:
        """The only run directory whose name begins so."""
        (found,) = self.runs.glob(f"{beginning}*")
        return found


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, micro: Path) -> Lab:
    """`pkd sweep --loss pkd,mse` on the micro data set, run once for all tests that look at finished runs.

    Once for all workers of pytest-xdist, too: each has a copy (`made_once`).
    """

    def sweep(base: Path) -> dict[str, int | str]:
        (base / "here").mkdir()
        words = ("sweep", "--loss", "pkd,mse", "--data", micro, *MICRO)
        return asdict(_run(*words, cwd=base / "here", env=_environment(base)))

    base, answer = made_once(tmp_path_factory, "lab", sweep, micro.parent)
    env = _environment(base)

    def pkd(*words: str | Path, cwd: Path = base / "here", timeout: float = 600, **more: str) -> Answer:
        return _run(*words, cwd=cwd, env={**env, **more}, timeout=timeout)

    return Lab(base / "runs", base / "cache", micro, Answer(**answer), pkd)


@pytest.fixture(scope="session")
def workdirs(tmp_path_factory: pytest.TempPathFactory, micro: Path) -> Path:
    """A folder of work directories that mmengine itself has written: fcos, stopped, resumed (mmdet), pkd (mmrazor)."""
    annotations = micro.parent / "annotations" / "val.json"

    def make(folder: Path) -> None:
        command = [sys.executable, str(Path(__file__).parent / "foreign.py"), str(folder), str(annotations)]
        env = _environment(folder.parent / "foreign")
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1200, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    return made_once(tmp_path_factory, "work_dirs", make, micro.parent)[0]


@pytest.fixture
def engine(monkeypatch):
    """`engine(module, script)`: a Python script in the place of a module of the engine, in a real process."""
    from pkdcli.launch import request

    real = subprocess.Popen

    def stand_in(module: str, script: str) -> None:
        def start(command, **options):
            assert command[:3] == [sys.executable, "-m", module]
            return real([sys.executable, "-S", "-c", script, *command[3:]], **options)

        monkeypatch.setattr(request.subprocess, "Popen", start)

    return stand_in


LEVELS = [{"name": f"P{n}", "stride": 2**n, "channels": 4} for n in (3, 4, 5, 6)]


@pytest.fixture
def measured_features():
    """`measured_features(request)`: what the process behind `pkd visualize` would measure."""
    import numpy as np

    from pkdcli.engine.analysis import activations
    from pkdcli.runs.features import Features

    def measured(request):
        """What the process would measure, on made-up maps of pictures of 64 pixels."""
        generator = np.random.default_rng(0)
        detectors = [
            {**{key: one[key] for key in ("key", "title", "weights", "source")}, "levels": LEVELS}
            for one in request["detectors"]
        ]
        images = [{"path": one["path"], "size": [64, 64], "boxes": one["boxes"]} for one in request["images"]]
        about = {key: request[key] for key in ("pair", "data", "scale", "seed")}
        meta = {**about, "detectors": detectors, "images": images, "statistics": [], "noise": []}
        found = Features(meta, {f"image/{n}": np.zeros((64, 64, 3), np.uint8) for n in range(len(images))})
        for level in LEVELS:
            side = max(1, 64 // level["stride"])
            maps = {one["key"]: [generator.normal(size=(4, side, side)) for _ in images] for one in detectors}
            edges, counts = activations.histograms(maps)
            found.arrays[f"edges/{level['name']}"] = edges
            for key, of in maps.items():
                found.arrays[f"histogram/{key}/{level['name']}"] = counts[key]
                row = {"detector": key, "level": level["name"], "stride": level["stride"], "channels": 4}
                meta["statistics"].append({**row, **activations.summary(of)})
                for n, one in enumerate(of):
                    at = f"{key}/{level['name']}/{n}"
                    for name, reduce in activations.REDUCTIONS.items():
                        found.arrays[f"pattern/{at}/{name}"] = reduce(one)
                    for when in ("before", "after"):
                        found.arrays[f"channels/{at}/{when}"] = activations.dominant_channels(one)
        return found

    return measured


SIX = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")
TEACHER = dict(zip(SIX, (70.26, 91.5, 80.04, None, 69.0, 81.25), strict=True))


class RunFolder:
    """Writes run directories as workers leave them, without training.

    Attributes:
        root: The runs folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, run, mAP=None, state="done", error=None, **changes):
        """One run: of mse at weight 10 unless told otherwise, finished where it has an mAP."""
        from pkdcli.runs.store import write_json

        data = {
            **{"schema": 1, "run": run, "role": "distill", "pair": "gfl101-fcos50", "teacher": "gfl101"},
            **{"student": "fcos50", "loss": "mse", "weight": 10.0, "temperature": None, "schedule": "2x"},
            **{"data": "shapes", "split": "val", "scale": "tiny", "seed": 0, "batch": 8, "epoch": 6, "epochs": 6},
            **{"teacher_title": "GFL-Res101", "student_title": "FCOS-Res50", "levels": "index", "init": "scratch"},
            **({"loss": "none", "weight": None} if changes.get("role") == "baseline" else {}),
            **changes,
        }
        write_json(self.root / run / "status.json", {**data, "state": state, "error": error})
        if mAP is not None:
            metrics = dict(zip(SIX, (mAP, mAP + 20.5, mAP + 1, None, mAP - 1, mAP + 5), strict=True))
            teacher = None if data["role"] == "baseline" else TEACHER
            write_json(self.root / run / "result.json", {**data, "metrics": metrics, "teacher_metrics": teacher})
            (self.root / run / "student.pth").touch()

    def sweep(self):
        """A baseline, and mse at three weights."""
        self.add("base", 16.04, role="baseline")
        self.add("mse-10", 31.5)
        self.add("mse-30", 33.26, weight=30.0)
        self.add("mse-50", 12.0, weight=50)
        return self


@pytest.fixture
def run_folder(tmp_path: Path) -> RunFolder:
    """An empty runs folder to put runs into."""
    return RunFolder(tmp_path / "runs")
