"""One class names every file of a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MARKS = ("status.json", "recipe.yaml", "result.json")
"""The files of which a folder has one at least if it is a run directory."""


@dataclass(frozen=True)
class RunPaths:
    """The files of one run.

    Attributes:
        root: The run directory, named by the run's id.
    """

    root: Path

    @property
    def run(self) -> str:
        """The run's id."""
        return self.root.name

    @property
    def exists(self) -> bool:
        """Whether the folder is there and is a run's."""
        return any((self.root / mark).is_file() for mark in MARKS)

    @property
    def recipe(self) -> Path:
        """The resolved recipe: all that is needed to repeat the run."""
        return self.root / "recipe.yaml"

    @property
    def config(self) -> Path:
        """The mmengine config, for stock mmengine tools to read."""
        return self.root / "config.py"

    @property
    def job(self) -> Path:
        """What the worker needs beside the recipe: folders of this machine and the teacher's run."""
        return self.root / "job.json"

    @property
    def status(self) -> Path:
        """State, progress and error."""
        return self.root / "status.json"

    @property
    def metrics(self) -> Path:
        """Losses while training and metrics of every evaluation, one JSON record a line."""
        return self.root / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """Everything the worker printed."""
        return self.root / "log.txt"

    @property
    def cancel(self) -> Path:
        """Who has cancelled the run; asks one of several that train in one process to save and stop."""
        return self.root / ".cancel"

    @property
    def env(self) -> Path:
        """Versions, git commit, hardware, command."""
        return self.root / "env.json"

    @property
    def checkpoints(self) -> Path:
        """Training states to resume from."""
        return self.root / "checkpoints"

    @property
    def student(self) -> Path:
        """The student alone, as stock mmdet loads it."""
        return self.root / "student.pth"

    @property
    def teacher(self) -> Path:
        """In a teacher's run: the teacher alone, as stock mmdet loads it."""
        return self.root / "teacher.pth"

    @property
    def result(self) -> Path:
        """Metrics of the last epoch."""
        return self.root / "result.json"

    @property
    def samples(self) -> Path:
        """Objects and detections in a few images of the last evaluation."""
        return self.root / "samples.json"

    @property
    def predictions(self) -> Path:
        """All detections of the last evaluation (`pkdcli.data.scoring.predictions`)."""
        return self.root / "predictions.npz"

    @property
    def profile(self) -> Path:
        """What `pkd profile` has measured of its detectors (`pkdcli.runs.profiles`)."""
        return self.root / "profile.json"

    def evaluation(self, data: str, split: str) -> Path:
        """The result of `pkd eval` on a split of a data set.

        Args:
            data: The data set's name.
            split: `train`, `val` or `test`.
        """
        return self.root / "eval" / f"{data}-{split}.json"

    def evaluation_samples(self, data: str, split: str) -> Path:
        """Objects and detections in a few images of that evaluation.

        Args:
            data: The data set's name.
            split: `train`, `val` or `test`.
        """
        return self.root / "eval" / f"{data}-{split}.samples.json"

    def evaluation_predictions(self, data: str, split: str) -> Path:
        """All detections of that evaluation.

        Args:
            data: The data set's name.
            split: `train`, `val` or `test`.
        """
        return self.root / "eval" / f"{data}-{split}.predictions.npz"

    def weights(self, role: str) -> Path:
        """The exported detector of a run with this role."""
        return self.teacher if role == "teacher" else self.student

    def stock_config(self, role: str) -> Path:
        """The config of that detector alone, for stock mmdet: student.py or teacher.py."""
        return self.weights(role).with_suffix(".py")


def teachers_root(cache: Path) -> Path:
    """Where teachers live: runs in the cache."""
    return cache / "teachers"
