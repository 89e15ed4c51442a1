"""Which detectors a picture shows: of a pair, with the weights of runs, of files, of the zoo, or random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pkdcli.api.evaluate import of_run
from pkdcli.config import zoo
from pkdcli.config.alone import alone
from pkdcli.config.teacher import teacher_recipe
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe import library
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.resolve import Request
from pkdcli.recipe.schema import Detector, Recipe
from pkdcli.recipe.sweep import baseline_of
from pkdcli.runs.baselines import baseline_among
from pkdcli.runs.collect import collect
from pkdcli.runs.find import find_run
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.record import Record

ZOO = "zoo"
"""The word for the zoo's COCO weights of a detector's config."""


ROLES = {"teacher": "teacher", "baseline": "baseline", "distill": "distilled"}


@dataclass(frozen=True)
class Source:
    """A detector and its weights.

    Attributes:
        key: `teacher`, `student` or `distilled`.
        title: The name in figures.
        recipe: Of the detector alone, as its `student`.
        weights: A file or an address; None for random weights.
        source: Where the weights come from, in words.
    """

    key: str
    title: str
    recipe: Recipe
    weights: str | None
    source: str


@dataclass(frozen=True)
class Wanted:
    """What a user asked for.

    Attributes:
        request: Pair, scale, data, seed, as for a training.
        recipe: The distilled run's, with the facts of its data.
        teacher: A run, a checkpoint or `zoo`; None for what `pkd train` would take.
        student: The same; None for the baseline.
        distilled: A run or checkpoint to show as a third detector, or None.
        untrained: Random weights for whatever is not named.
        root: The runs folder.
        cache: The cache folder.
    """

    request: Request
    recipe: Recipe
    teacher: str | None
    student: str | None
    distilled: str | None
    untrained: bool
    root: Path
    cache: Path


class NotTrained(PkdError):
    """Weights that are not there.

    Args:
        what: Each of them, in a sentence.
        commands: What makes them.
        near: Options that name others.
    """

    def __init__(self, what: Sequence[str], commands: Sequence[str], near: Sequence[str] = ()) -> None:
        lines = ["Type:", *(f"  {command}" for command in dict.fromkeys(commands))]
        lines += ["or take a baseline with other settings:", *(f"  {option}" for option in near)] if near else []
        message = "\n".join(dict.fromkeys(what))
        super().__init__(message, "\n".join([*lines, _OR]), ExitCode.MISSING)
        self.what, self.commands, self.near = what, commands, near


def together(errors: Sequence[NotTrained]) -> NotTrained:
    """All that is not there, as one error."""
    parts = [[item for error in errors for item in getattr(error, name)] for name in ("what", "commands", "near")]
    return NotTrained(*parts)


_OR = (
    "or name weights with --teacher and --student: a RUN, a CHECKPOINT file, or zoo for the COCO weights of mmdet's "
    "zoo; or draw random weights with --untrained."
)


def sources(wanted: Wanted) -> list[Source]:
    """The detectors to show, the teacher first.

    Raises:
        NotTrained: Weights that are not there, each with the command that makes them.
        PkdError: Weights of another detector or scale, or a word that names none.
    """
    found, missing = [], []
    for find in (_teacher, _student):
        try:
            found.append(find(wanted))
        except NotTrained as error:
            missing.append(error)
    if missing:
        raise together(missing)
    if wanted.distilled is not None:
        found.append(_named(wanted, "distilled", wanted.distilled, wanted.recipe.student, "--distilled"))
    return found


def _teacher(wanted: Wanted) -> Source:
    recipe = wanted.recipe
    if wanted.teacher is not None:
        return _named(wanted, "teacher", wanted.teacher, recipe.teacher, "--teacher")
    own = alone(teacher_recipe(recipe))
    title = recipe.teacher.title
    if wanted.untrained:
        return _random("teacher", title, own, wanted)
    # A student that learned from some teacher is shown beside that one.
    for paths in (_run(wanted, wanted.distilled), _run(wanted, wanted.student)):
        if paths and (paths.root / "job.json").is_file():
            given = library.parse(Recipe, library.read_yaml(paths.recipe), str(paths.recipe))
            if given.role == "distill" and given.teacher.name == recipe.teacher.name:
                theirs, weights = of_run(paths, "teacher")
                words = f"run {weights.parent.name}, teacher of {paths.run}"
                return Source("teacher", title, theirs, str(weights), words)
    paths = RunPaths(teachers_root(wanted.cache) / run_id(teacher_recipe(recipe)))
    if finished(paths):
        return Source("teacher", title, own, str(paths.teacher), f"run {paths.run}")
    address = teacher_recipe(recipe).weights
    if address:
        return Source("teacher", title, own, address, f"mmdet's zoo, {address.rpartition('/')[2]}")
    what = f"{title} is not trained on {recipe.data.name} at scale {recipe.scale.name}: there is no {paths.root}."
    raise NotTrained([what], [_command(wanted.request)])


def _student(wanted: Wanted) -> Source:
    recipe, request = wanted.recipe, wanted.request
    if wanted.student is not None:
        return _named(wanted, "student", wanted.student, recipe.student, "--student")
    title = recipe.student.title
    if wanted.untrained:
        return _random("student", title, alone(recipe), wanted)
    records = collect(wanted.root, warn=lambda _: None)
    distilled = _run(wanted, wanted.distilled)
    if distilled is not None:
        # The one that its gain is measured against.
        of = next((one["baseline"] for one in records if one["path"] == str(distilled.root)), None)
        if of is not None:
            return _baseline(title, RunPaths(wanted.root / of))
    own = recipe.schedule.name
    for schedule in (request.schedule, *(name for name in library.names("schedules") if name != own)):
        baseline = baseline_of(replace(request, schedule=schedule)).model_copy(update={"data": recipe.data})
        record = baseline_among(_columns(baseline), records)
        paths = record and RunPaths(Path(record["path"]))
        if paths and paths.student.is_file():
            return _baseline(title, paths)
    where = f"on {recipe.data.name} at scale {recipe.scale.name}, seed {request.seed}"
    what = f"there is no finished baseline of {title} {where}, in {wanted.root}."
    near = [f"--student {name}" for name in _near(records, recipe)]
    raise NotTrained([what], [_command(request, "--loss", "none")], near)


def _baseline(title: str, paths: RunPaths) -> Source:
    theirs, weights = of_run(paths, "student")
    return Source("student", title, theirs, str(weights), f"baseline run {paths.run}")


def _run(wanted: Wanted, word: str | None) -> RunPaths | None:
    """The run that a word names; None for a file, the zoo or nothing."""
    return find_run(word, wanted.root) if word and word != ZOO else None


def _columns(baseline: Recipe) -> Record:
    """What of a baseline's record decides whether it is the one."""
    return {
        "pair": baseline.pair,
        "student": baseline.student.name,
        "schedule": baseline.schedule.name,
        "data": baseline.data.name,
        "scale": baseline.scale.name,
        "batch": baseline.batch,
        "seed": baseline.seed,
        "comparable": comparable(baseline),
        "split": "val",
        "smoke": None,
        "foreign": None,
    }


def _near(records: Sequence[Record], recipe: Recipe, most: int = 3) -> list[str]:
    same = {"role": "baseline", "student": recipe.student.name, "data": recipe.data.name, "scale": recipe.scale.name}
    found = [one["run"] for one in records if one["mAP"] is not None and all(one[k] == v for k, v in same.items())]
    return found[:most]


def _command(request: Request, *more: str) -> str:
    words = ["pkd train --pair", request.pair]
    words += [] if request.scale == "paper" else ["--scale", request.scale]
    words += ["--data", request.data] if request.data else []
    words += ["--seed", str(request.seed)] if request.seed else []
    return " ".join([*words, *more])


def _random(key: str, title: str, recipe: Recipe, wanted: Wanted) -> Source:
    return Source(key, f"{title} (untrained)", recipe, None, f"random weights, seed {wanted.request.seed}")


def _named(wanted: Wanted, key: str, word: str, which: Detector, option: str) -> Source:
    """A detector with the weights that a user names.

    Raises:
        PkdError: There is no such thing, or it is of another detector or scale.
    """
    recipe = alone(wanted.recipe.model_copy(update={"student": which}))
    titles = {"distilled": f"{which.title}, distilled"}
    title = titles.get(key, which.title)
    if word == ZOO:
        return _of_zoo(key, title, recipe, option)
    paths = find_run(word, wanted.root) if key != "teacher" else _teacher_run(word, wanted)
    if paths is None:
        path = Path(word).expanduser().absolute()
        return Source(key, title, recipe, str(path), f"checkpoint {path}")
    given = library.parse(Recipe, library.read_yaml(paths.recipe), str(paths.recipe))
    model = "teacher" if key == "teacher" and given.role == "distill" else "student"
    theirs, weights = of_run(paths, model)
    for what, ours, other in (
        ("detector", which.name, theirs.student.name), ("scale", wanted.recipe.scale.name, theirs.scale.name)
    ):  # fmt: skip
        if ours != other:
            hint = f"Add --scale {other}." if what == "scale" else f"Name a run of {which.title}, or another --pair."
            raise PkdError(f"{option}: {paths.run} is of {what} {other}, not {ours}.", hint)
    if key == "distilled" or (key == "student" and given.role == "distill"):
        title = f"{which.title}, {given.loss.name}"
    of = "teacher of run" if model == "teacher" else f"{ROLES[given.role]} run"
    return Source(key, title, theirs, str(weights), f"{of} {paths.run}")


def _teacher_run(word: str, wanted: Wanted) -> RunPaths | None:
    """A teacher's own run in the cache, or a run whose teacher is meant."""
    try:
        return find_run(word, teachers_root(wanted.cache))
    except PkdError:
        return find_run(word, wanted.root)


def _of_zoo(key: str, title: str, recipe: Recipe, option: str) -> Source:
    if recipe.scale.rules:
        raise PkdError(
            f"{option} zoo: the zoo's weights are of detectors at scale paper, not {recipe.scale.name}.",
            "Leave out --scale, or name a run or a checkpoint.",
        )
    address = zoo.entry(recipe.student.config).weights
    if address is None:
        raise PkdError(f"{option} zoo: mmdet's zoo has no weights of {recipe.student.config}.", "Name a checkpoint.")
    return Source(key, title, recipe, address, f"mmdet's zoo, {address.rpartition('/')[2]}")
