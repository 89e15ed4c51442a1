"""Which detectors a picture shows: of a pair, with the weights of runs, of files, of the zoo, or random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pkdcli.api.visualize.named_weights import named
from pkdcli.api.visualize.not_trained import NotTrained, command_for, together
from pkdcli.api.visualize.source import Source, WeightsQuery, run_named
from pkdcli.config.teacher import teacher_recipe
from pkdcli.experiment.derived_recipes import of_run, recipe_of
from pkdcli.recipe import library
from pkdcli.recipe.alone import alone
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.schema import Recipe
from pkdcli.recipe.sweep import baseline_of
from pkdcli.runs.baselines import baseline_among
from pkdcli.runs.collect import collect
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.record import Record


def sources(query: WeightsQuery) -> list[Source]:
    """The detectors to show, the teacher first.

    Raises:
        NotTrained: Weights that are not there, each with the command that makes them.
        PkdError: Weights of another detector or scale, or a word that names none.
    """
    found, missing = [], []
    for find in (_teacher, _student):
        try:
            found.append(find(query))
        except NotTrained as error:
            missing.append(error)
    if missing:
        raise together(missing)
    if query.distilled is not None:
        found.append(named(query, "distilled", query.distilled, query.recipe.student, "--distilled"))
    return found


def _teacher(query: WeightsQuery) -> Source:
    recipe = query.recipe
    if query.teacher is not None:
        return named(query, "teacher", query.teacher, recipe.teacher, "--teacher")
    own = alone(teacher_recipe(recipe))
    title = recipe.teacher.title
    if query.untrained:
        return _random("teacher", title, own, query)
    # A student that learned from some teacher is shown beside that one.
    for paths in (run_named(query, query.distilled), run_named(query, query.student)):
        if paths and (paths.root / "job.json").is_file():
            given = recipe_of(paths)
            if given.role == "distill" and given.teacher.name == recipe.teacher.name:
                theirs, weights = of_run(paths, "teacher")
                words = f"run {weights.parent.name}, teacher of {paths.run}"
                return Source("teacher", title, theirs, str(weights), words)
    paths = RunPaths(teachers_root(query.cache) / run_id(teacher_recipe(recipe)))
    if finished(paths):
        return Source("teacher", title, own, str(paths.teacher), f"run {paths.run}")
    address = teacher_recipe(recipe).weights
    if address:
        return Source("teacher", title, own, address, f"mmdet's zoo, {address.rpartition('/')[2]}")
    what = f"{title} is not trained on {recipe.data.name} at scale {recipe.scale.name}: there is no {paths.root}."
    raise NotTrained([what], [command_for(query.request)])


def _student(query: WeightsQuery) -> Source:
    recipe, request = query.recipe, query.request
    if query.student is not None:
        return named(query, "student", query.student, recipe.student, "--student")
    title = recipe.student.title
    if query.untrained:
        return _random("student", title, alone(recipe), query)
    records = collect(query.root, warn=lambda _: None)
    distilled = run_named(query, query.distilled)
    if distilled is not None:
        # The one that its gain is measured against.
        of = next((one["baseline"] for one in records if one["path"] == str(distilled.root)), None)
        if of is not None:
            return _baseline(title, RunPaths(query.root / of))
    own = recipe.schedule.name
    for schedule in (request.schedule, *(name for name in library.names("schedules") if name != own)):
        baseline = baseline_of(replace(request, schedule=schedule)).model_copy(update={"data": recipe.data})
        record = baseline_among(_columns(baseline), records)
        paths = record and RunPaths(Path(record["path"]))
        if paths and paths.student.is_file():
            return _baseline(title, paths)
    where = f"on {recipe.data.name} at scale {recipe.scale.name}, seed {request.seed}"
    what = f"there is no finished baseline of {title} {where}, in {query.root}."
    near = [f"--student {name}" for name in _near(records, recipe)]
    raise NotTrained([what], [command_for(request, "--loss", "none")], near)


def _baseline(title: str, paths: RunPaths) -> Source:
    theirs, weights = of_run(paths, "student")
    return Source("student", title, theirs, str(weights), f"baseline run {paths.run}")


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


def _random(key: str, title: str, recipe: Recipe, query: WeightsQuery) -> Source:
    return Source(key, f"{title} (untrained)", recipe, None, f"random weights, seed {query.request.seed}")
