"""Which detectors `pkd profile` measures: of pairs, with random weights, and of finished runs with their teachers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkdcli.api.options.deploy import ProfileOptions
from pkdcli.errors import PkdError, nearest
from pkdcli.folders import cache_root
from pkdcli.launch.outcome import Watcher
from pkdcli.options import OutputOptions
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.find import all_runs, chosen, named, run_at
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import number_of
from pkdcli.runs.store import read_object


@dataclass
class Subject:
    """A detector that is measured.

    Attributes:
        role: `student` or `teacher`.
        of: The runs or the pair that it was named by, the first of them.
        title: Its name in tables.
        recipe: Of it alone.
        weights: The file; None for random ones.
        mAP: In AP points, where a run gives it.
        teacher: Place of its teacher among the subjects; None where there is none.
        paths: Run folders to keep its numbers in; for a teacher those of its students.
        size: `parameters`, `gflops`, `weights_mb`, `image`, once they are counted.
        rows: What was measured.
    """

    role: str
    of: str
    title: str
    recipe: Recipe
    weights: Path | None = None
    mAP: float | None = None
    teacher: int | None = None
    paths: list[RunPaths] = field(default_factory=list)
    size: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def row(self, measured: dict[str, Any]) -> dict[str, Any]:
        """A measurement with all that is known of the detector."""
        flops = self.size.get("flops")
        return {
            **{"detector": self.recipe.student.name, "role": self.role, "of": self.of, "mAP": self.mAP},
            **{key: self.size.get(key) for key in ("parameters", "gflops")},
            "gmacs": None if flops is None else flops / 2e9,
            **{key: self.size.get(key) for key in ("weights_mb", "image", "images")},
            **measured,
        }


def subjects(options: ProfileOptions, output: OutputOptions, watcher: Watcher) -> list[Subject]:
    """The detectors that are meant, each once.

    Args:
        options: Which.
        output: Where runs are.
        watcher: Told of data whose facts are looked up.

    Raises:
        PkdError: A word means neither a pair nor a run, or nobody has named any.
    """
    from pkdcli.recipe import library

    words = list(dict.fromkeys(options.names))
    if not words and options.teacher is None and options.student is None:
        raise PkdError("give a pair or a run.", "Examples: pkd profile gfl101-fcos50 --scale tiny, pkd profile RUN")
    pairs = [word for word in words if word in library.names("pairs") or word.endswith((".yaml", ".yml"))]
    runs = [word for word in words if word not in pairs]
    if (options.scale is not None or options.data is not None) and not (pairs or not words):
        raise PkdError("--scale and --data are for pairs.", "A run knows its own.")
    if runs and (options.teacher is not None or options.student is not None):
        raise PkdError("--teacher and --student are for pairs.", "A run knows its own.")
    found: list[Subject] = []
    for pair in pairs or ([] if words else [None]):
        _add_pair(found, pair, options, watcher)
    if runs:
        for paths in _runs(runs, output, library.names("pairs")):
            _add_run(found, paths)
    return found


def _runs(words: Sequence[str], output: OutputOptions, pairs: Sequence[str]) -> list[RunPaths]:
    among = [paths for paths in all_runs(output.runs) if paths.recipe.is_file()]
    for word in words:
        # A beginning that ends within the pair's name would mean every run of it, and a misspelt pair hours.
        if run_at(word) is None and ("__" not in word or not named(word, [paths.run for paths in among])):
            guess = nearest(word, [*pairs, *(paths.run for paths in among)])
            raise PkdError(
                f"there is no pair and no run {word!r}.",
                (f"Did you mean {guess}? " if guess else "") + "`pkd list` shows pairs and runs; see --runs DIR.",
            )
    return chosen(words, among)


def _add_pair(found: list[Subject], pair: str | None, options: ProfileOptions, watcher: Watcher) -> None:
    """Both detectors of a pair, with random weights."""
    from pkdcli.config.teacher import teacher_recipe
    from pkdcli.experiment.data import with_data
    from pkdcli.recipe.alone import alone
    from pkdcli.recipe.resolve import DEFAULT_PAIR, Request, resolve

    recipe = resolve(Request(
        pair=pair or DEFAULT_PAIR, teacher=options.teacher, student=options.student, scale=options.scale or "paper",
        data=options.data, pretrained=False,
    ))  # fmt: skip
    recipe = with_data([recipe], cache_root(), None, watcher, dry_run=True)[0]
    student = Subject("student", recipe.pair, recipe.student.title, alone(recipe), teacher=len(found) + 1)
    teacher = Subject("teacher", recipe.pair, recipe.teacher.title, alone(teacher_recipe(recipe)))
    found += [student, teacher]


def _add_run(found: list[Subject], paths: RunPaths) -> None:
    """A run's detector and its teacher; one that taught several is measured once."""
    from pkdcli.experiment.derived_recipes import of_run, recipe_of

    whole = recipe_of(paths)
    recipe, weights = of_run(paths, "student")
    result = read_object(paths.result)
    role = "teacher" if whole.role == "teacher" else "student"
    mAP = _mAP(result.get("metrics"))
    student = Subject(role, paths.run, recipe.student.title, recipe, weights, mAP, paths=[paths])
    found.append(student)
    if whole.teacher is None:
        return
    try:
        theirs, file = of_run(paths, "teacher")
    except PkdError:  # gone from the cache: its numbers need its shape alone
        from pkdcli.config.teacher import teacher_recipe
        from pkdcli.recipe.alone import alone

        theirs, file = alone(teacher_recipe(whole)), None
    key = (file, theirs.student.name)
    for place, other in enumerate(found):
        if other.role == "teacher" and file is not None and (other.weights, other.recipe.student.name) == key:
            student.teacher = place
            other.paths.append(paths)
            return
    student.teacher = len(found)
    name = file.parent.name if file else paths.run
    mAP = _mAP(result.get("teacher_metrics"))
    found.append(Subject("teacher", name, theirs.student.title, theirs, file, mAP, paths=[paths]))


def _mAP(metrics: Any) -> float | None:
    return number_of(metrics.get("mAP")) if isinstance(metrics, dict) else None
