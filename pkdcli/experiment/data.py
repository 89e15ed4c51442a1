"""The data of an experiment: drawn or checked once, before anything is planned on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.experiment.prove import check
from pkdcli.launch.outcome import Watcher
from pkdcli.recipe.schema import Data, Launcher, Recipe

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
    from pkdcli.data.prepare import facts, prepare

    if dry_run:
        return facts(data, cache, watcher.on_warning)
    try:
        with _said_if_slow(data.name, watcher):
            drawn = partial(watcher.on_data, data.name)
            return prepare(data, cache, drawn, watcher.on_warning)
    except PkdError as error:
        if error.hint and "{tiny}" in error.hint:
            error.hint = error.hint.replace("{tiny}", watcher.at_scale_tiny())
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
