"""The data of an experiment: drawn or checked once, before anything is planned on it."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.experiment.plan import PlannedRun
from pkdcli.experiment.prove import check
from pkdcli.launch.outcome import Watcher
from pkdcli.recipe.schema import Data, Launcher, Recipe
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths

SLOW_SECONDS = 3.0  # after which it is said what is being done with a data set


def with_data(
    recipes: Sequence[Recipe],
    cache: Path,
    launcher: Launcher | None,
    watcher: Watcher,
    *,
    dry_run: bool = False,
    training: bool = False,
) -> list[Recipe]:
    """The recipes with the facts of their data, which is drawn or checked once.

    Args:
        recipes: Of any number of runs; data sets that several share are prepared once.
        cache: Where drawn data and the results of checks are kept.
        launcher: Where the runs will be carried out; None for this process.
        watcher: Told of data that is being drawn, or of a check that takes long.
        dry_run: Do without data that is not there.
        training: Refuse what would spoil a training, such as images that are trained on and measured on.

    Raises:
        PkdError: Data that is wrong, a module of the user's that is not there, or a job without the GPU it needs.
    """
    from pkdcli.config.data import check_sides
    from pkdcli.data.prepare import thinnest

    check(recipes, launcher)
    known: dict[str, Data] = {}
    for recipe in recipes:
        key = recipe.data.model_dump_json()
        if key not in known:
            known[key] = _prepared(recipe.data, cache, watcher, dry_run)
    recipes = [recipe.model_copy(update={"data": known[recipe.data.model_dump_json()]}) for recipe in recipes]
    for recipe in recipes:
        check_sides(recipe, thinnest(recipe.data, cache))
    if training:
        for data in known.values():
            refuse_spoilt(data, cache)
    return recipes


def files_of_runs(planned: Sequence[PlannedRun], cache: Path, watcher: Watcher) -> None:
    """Make sure that what unfinished runs learn from is there, before they go on; drawn data is drawn again.

    Args:
        planned: Runs from their directories.
        cache: The cache folder.
        watcher: Told of data that is being drawn.

    Raises:
        PkdError: Data of the user's own is not where the run's recipe says, with how to say where it is.
    """
    from pkdcli.data.prepare import present

    known = set()
    for one in planned:
        data = one.recipe.data
        if finished(one.paths) or (key := data.model_dump_json()) in known:
            continue
        known.add(key)
        try:
            present(data, cache, partial(watcher.on_data, data.name))
        except PkdError as error:
            if data.generator is None:
                error.message = f"{one.run}: {error.message}"
                error.hint = elsewhere(one.paths)
            raise


def elsewhere(paths: RunPaths) -> str:
    """The remedy where a run's data is not where its recipe says.

    Args:
        paths: The run.
    """
    return (
        "That is where it lay when the run was made. Say where it lies now, by the data recipe there, and the run "
        f"stays the same: pkd train --recipe {shlex.quote(str(paths.root))} --data FILE.yaml"
    )


_REMEDIES = {
    "leakage": "Take the images out of one of the two splits: `pkd data check {data} --fix OUT` writes annotations "
    "without them.",
    "outside": "Boxes are in the pixels of their own picture: check that images and annotations belong together.",
}


def refuse_spoilt(data: Data, cache: Path) -> None:
    """Refuse to train on data whose numbers would mean little.

    Args:
        data: With the facts of its check.
        cache: Where the check is kept.

    Raises:
        PkdError: Images shared by splits, or boxes most of which leave their pictures, unless the recipe accepts it.
    """
    from pkdcli.data.prepare import spoils

    found = spoils(data, cache)
    if not found:
        return
    words = ", ".join(found)
    hint = " ".join(_REMEDIES[word].format(data=data.name) for word in found)
    raise PkdError(
        f"data set {data.name}: a training on it would be spoilt.\n" + "\n".join(found.values()),
        f"{hint} If it is meant so, add --allow-bad-data, or write `accept: [{words}]` into the data recipe.",
    )


def _prepared(data: Data, cache: Path, watcher: Watcher, dry_run: bool) -> Data:
    from pkdcli.data.absent import AbsentData
    from pkdcli.data.prepare import facts, prepare

    if dry_run:
        return facts(data, cache, watcher.on_warning)
    try:
        with _said_if_slow(data.name, watcher):
            drawn = partial(watcher.on_data, data.name)
            return prepare(data, cache, drawn, watcher.on_warning)
    except AbsentData as error:
        if error.scales_down:
            tiny = watcher.at_scale_tiny()
            error.hint = f"{error.hint}\nWithout COCO, the same experiment runs on this machine in minutes:\n  {tiny}"
        raise


@contextmanager
def _said_if_slow(name: str, watcher: Watcher) -> Iterator[None]:
    """Say that a data set is being checked, if that takes longer than a moment."""
    timer = threading.Timer(SLOW_SECONDS, lambda: watcher.on_data(name, None, None))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
