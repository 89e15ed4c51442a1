"""What the rules look at: a run's recipe, result and records, and its baseline where there is one."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.reporting.curves import Column, Curves, number, read_curves
from pkdcli.reporting.diagnosis.command import changed, data_of
from pkdcli.reporting.levels import level_name
from pkdcli.runs.collect import collect
from pkdcli.runs.find import word_of
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import Record, smoke
from pkdcli.runs.store import read_jsonl, read_object

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Recipe

_LEVEL = re.compile(r"level(\d+)\.")
LATE = 3
"""What holds at the end of a run is told by the last third of it: one measurement alone is noise."""
FULL = 0.5
"""A step is at full learning rate where it has at least this share of the highest: not in warm-up, nor decayed."""


@dataclass
class Facts:
    """One run.

    Attributes:
        paths: Its folder.
        recipe: What was asked for.
        result: What result.json says; empty where it is not finished.
        status: What status.json says.
        curves: Losses, learning rate and metrics over steps.
        losses: The records of kind `train`, in order.
        levels: Those of kind `levels`.
        updates: Those of kind `updates`; empty for runs of older releases.
        record: The run as a row of the report, with its baseline and gain.
        cache: The cache folder.
        among: The runs of the same folder.
        look: What `--look` measured; None where nobody has looked.
    """

    paths: RunPaths
    recipe: Recipe
    result: dict[str, Any]
    status: dict[str, Any]
    curves: Curves
    losses: list[Record]
    levels: list[Record]
    updates: list[Record]
    record: Record
    cache: Path
    among: Sequence[Record] = ()
    look: dict[str, Any] | None = None

    @property
    def distilled(self) -> bool:
        """Whether it has a teacher."""
        return self.recipe.role == "distill"

    @property
    def smoke(self) -> str | None:
        """How little a smoke run did."""
        asked = {"max_iters": self.recipe.max_iters, "val_images": self.recipe.val_images}
        return smoke(asked if self.recipe.max_iters else {})

    @property
    def mAP(self) -> float | None:
        """Of the last evaluation."""
        return number(self.record.get("mAP")) if self.record.get("mAP") is not None else _last(self.curves.val["mAP"])

    @property
    def student_levels(self) -> list[int]:
        """The levels that were measured, by their places in the student's neck."""
        return sorted({int(found[1]) for one in self.levels for key in one if (found := _LEVEL.match(key))})

    def level(self, level: int, name: str) -> Column:
        """One measure of a level over the records.

        Args:
            level: The level's place in the student's neck.
            name: `r`, `loss`, `grad_norm` and so on (`pkdcli.engine.train.hooks.diagnostics`).
        """
        return [number(one.get(f"level{level}.{name}")) for one in self.levels]

    def late_level(self, level: int, name: str) -> float | None:
        """What a measure of a level is at the end.

        Args:
            level: As for `level`.
            name: The same.
        """
        return late(self.level(level, name))

    def named(self, level: int) -> str:
        """A level's name in words: `P3 (stride 8)`."""
        return level_name({"path": str(self.paths.root)}, level)

    def update(self, part: str, name: str = "update") -> Column:
        """A measure of the weights' steps at full learning rate.

        Args:
            part: `backbone`, `neck`, `head` or `adapters`.
            name: `update`, `trained` or `norm`.
        """
        full = set(self.full_rate)
        whole = [one for one in self.updates if not full or one.get("iter") in full] or self.updates
        return [number(one.get(f"{part}.{name}")) for one in whole]

    def part(self, name: str) -> list[float]:
        """A loss by its own name, such as `loss_cls`, at full learning rate."""
        return self.at_full_rate([number(one.get(name)) for one in self.losses])

    @cached_property
    def full_rate(self) -> range:
        """The steps at full learning rate, by the records of the losses; empty where nothing is recorded."""
        known = [(step, lr) for step, lr in zip(self.curves.step, self.curves.lr, strict=True) if lr is not None]
        if not known:
            return range(0)
        highest = max(lr for _, lr in known)
        steps = [step for step, lr in known if lr >= FULL * highest]
        return range(steps[0], steps[-1] + 1)

    def at_full_rate(self, column: Column) -> list[float]:
        """The values of a column of losses at full learning rate.

        Args:
            column: Of `curves`, over its steps.
        """
        full = self.full_rate
        return [one for step, one in zip(self.curves.step, column, strict=True) if one is not None and step in full]

    def preprocessor(self, who: str) -> Mapping[str, Any] | None:
        """How images are normalised for a detector in this run; None where its config can't be built here.

        Args:
            who: `teacher` or `student`.
        """
        section = (self.model or {}).get("data_preprocessor") or {}
        return section.get(who) if self.distilled else section if who == "student" else None

    def own_preprocessor(self, who: str) -> Mapping[str, Any] | None:
        """The same as the detector's own config has it.

        Args:
            who: `teacher` or `student`.
        """
        from pkdcli.config.build import detector

        which = self.recipe.teacher if who == "teacher" else self.recipe.student
        with suppress(PkdError, OSError):
            return detector(self.recipe, which)["data_preprocessor"] if which is not None else None
        return None

    @cached_property
    def model(self) -> dict[str, Any] | None:
        """The model section as the run was built; None where it can't be built here."""
        from pkdcli.config.build import model_as_set

        with suppress(PkdError, OSError):
            return model_as_set(self.recipe)
        return None

    @cached_property
    def strides(self) -> list[tuple[int | None, int | None]]:
        """Strides of student and teacher at the levels that are compared; empty where configs do not tell them."""
        from pkdcli.config.build import detector
        from pkdcli.config.levels import pairing

        recipe = self.recipe
        if recipe.teacher is None:
            return []
        with suppress(PkdError, OSError):
            student, teacher = detector(recipe, recipe.student), detector(recipe, recipe.teacher)
            found = pairing(recipe.loss.levels, student, teacher, None, recipe.taps)
            ours, theirs = found.student.levels, found.teacher.levels
            return [(ours[s].stride, theirs[t].stride) for s, t in found.pairs]
        return []

    @cached_property
    def baseline(self) -> Curves | None:
        """The curves of the student trained alone, where that has been done with the same settings."""
        name = self.record.get("baseline")
        return read_curves(self.paths.root.parent / name) if name else None

    @property
    def data_file(self) -> str:
        """What names its data set on the command line."""
        return data_of(self.recipe, self._typed)

    @property
    def _typed(self) -> str | None:
        typed = read_object(self.paths.env).get("command")
        return typed if isinstance(typed, str) else None

    def command(self, **options: str | None) -> str:
        """The command that made this run, with some options changed.

        Args:
            **options: By their names, with underscores; None takes one away. `set:KEY` is the value of a `--set`.
        """
        return changed(self.recipe, self._typed, options)


def facts_of(paths: RunPaths, cache: Path, look: dict[str, Any] | None = None) -> Facts:
    """Read what a run has recorded.

    Args:
        paths: The run.
        cache: The cache folder.
        look: What `--look` measured.

    Raises:
        PkdError: It was not trained, or has not begun.
    """
    recipe = read_recipe(paths.recipe)
    if recipe.weights is not None:
        raise PkdError(
            f"{paths.run} was not trained, only evaluated: there is nothing to diagnose.",
            "Name a student's run; `pkd status` lists them.",
        )
    kinds: dict[str, list[Record]] = {"train": [], "levels": [], "updates": []}
    for one in read_jsonl(paths.metrics):
        kind = one.get("kind")
        if isinstance(kind, str) and kind in kinds and type(one.get("iter")) is int:  # as the curves take them
            kinds[kind].append(one)
    curves = read_curves(paths.root)
    result, status = read_object(paths.result), read_object(paths.status)
    if not curves.step:
        raise _nothing(paths, result, status)
    record: Record = {}
    among: list[Record] = []
    with suppress(PkdError):  # the numbers of others are a help, and no more
        among = collect(paths.root.parent, lambda line: None)
        record = next((one for one in among if one["run"] == paths.run), {})
    return Facts(paths, recipe, result, status, curves, *kinds.values(), record, cache, among, look)


def _nothing(paths: RunPaths, result: Mapping[str, Any], status: Mapping[str, Any]) -> PkdError:
    """What is said of a run without a record of a step: it failed before one, its file is gone, or it has not begun."""
    if result:
        said = f"{paths.run} is finished, but {paths.metrics} tells of no step of it: there is nothing to diagnose."
        return PkdError(said, "Put that file back, or train the run again in another folder.", ExitCode.MISSING)
    error = status.get("error")
    why = error.get("message") if isinstance(error, dict) else None
    if status.get("state") == "failed":
        because = f": {why}" if isinstance(why, str) else "."
        said = f"{paths.run} failed before its first step was recorded{because}"
        hint = f"There is nothing to diagnose; see all of it: pkd logs {word_of(paths)}"
        return PkdError(said, hint, ExitCode.MISSING)
    said = f"{paths.run} has recorded no step yet: there is nothing to diagnose."
    return PkdError(said, f"See what it is at: pkd logs {word_of(paths)}", ExitCode.MISSING)


def late(column: Iterable[float | None]) -> float | None:
    """The median of the last third of what is known of a column; None where nothing is."""
    known = [one for one in column if one is not None]
    return statistics.median(known[-max(1, len(known) // LATE) :]) if known else None


def median(column: Iterable[float | None]) -> float | None:
    """The median of what is known of a column; None where nothing is."""
    known = [one for one in column if one is not None]
    return statistics.median(known) if known else None


def parts(values: Sequence[float], count: int) -> list[float]:
    """The means of equal parts of a sequence, in order; as many as there are values where these are fewer.

    Args:
        values: One or more.
        count: Parts.
    """
    count = min(count, len(values))
    edges = [round(len(values) * n / count) for n in range(count + 1)]
    return [statistics.fmean(values[a:b]) for a, b in itertools.pairwise(edges)]


def _last(column: Column) -> float | None:
    known = [one for one in column if one is not None]
    return known[-1] if known else None
