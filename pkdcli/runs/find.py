"""The runs a user means: the only place that finds a run by its name, the beginning of it, or its folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from pkdcli.errors import PkdError, nearest
from pkdcli.folders import cache_root, runs_root
from pkdcli.runs.paths import MARKS, RunPaths, teachers_root
from pkdcli.runs.store import read_path

LISTED = 10  # names of an error at most


def all_runs(runs: Path | None) -> list[RunPaths]:
    """Every run, the teachers in the cache first.

    Args:
        runs: The runs folder; None for the default.
    """
    return [*runs_in(teachers_root(cache_root())), *runs_in(runs_root(runs))]


def runs_in(root: Path) -> list[RunPaths]:
    """The runs directly below a folder, by name; none where there is no such folder."""
    return [
        RunPaths(root / name)
        for name in (sorted(os.listdir(root)) if root.is_dir() else [])
        if not name.startswith(".") and any(os.path.isfile(os.path.join(root, name, mark)) for mark in MARKS)
    ]


def named(word: str, names: Iterable[str]) -> list[str]:
    """The names that a word means: the one that it is, or else all that begin so; none for an empty word.

    Args:
        word: An id, its beginning, or a path that ends in one of these.
        names: The ids of the runs among which to look.
    """
    names = list(names)
    for wanted in dict.fromkeys((word, Path(word).name if "/" in word else word)):
        found = [name for name in names if name == wanted] or [name for name in names if name.startswith(wanted)]
        if wanted and found:
            return found
    return []


def one_named(word: str, names: Iterable[str], where: str = "", none: str | None = None) -> str:
    """The one name that a word means.

    Args:
        word: As for `named`.
        names: As for `named`.
        where: The option that the word was given to, such as `--compare`, for the error.
        none: What the error says where the word means no run and might have meant something else.

    Raises:
        PkdError: It means none of them, with the nearest, or several, with their names.
    """
    names = list(names)
    found = named(word, names)
    if not found:
        raise none_named(word, names, where, none)
    if len(found) > 1:
        listed = "".join(f"\n  {name}" for name in found[:LISTED]) + ("\n  ..." if len(found) > LISTED else "")
        begin = f"{where}: " if where else ""
        raise PkdError(f"{begin}{len(found)} runs begin with {word!r}:{listed}", "Give more of its name.")
    return found[0]


def none_named(word: str, names: Iterable[str], where: str = "", none: str | None = None) -> PkdError:
    """The error for a word that means no run; the arguments are those of `one_named`.

    Args:
        word: As for `one_named`, and so the rest.
        names: The ids of the runs among which it was looked for.
        where: The option that the word was given to.
        none: What the error says where the word might have meant something else.
    """
    names, name = list(names), Path(word).name
    guess = nearest(name, names) or nearest(name, _beginnings(name, names))
    hint = f"Did you mean {guess}? " if guess else ""
    message = none or f"no run begins with {word!r}."
    hint += "`pkd status` lists the runs; see --runs DIR."
    return PkdError(f"{where}: {message}" if where else message, hint)


def _beginnings(word: str, names: Iterable[str]) -> list[str]:
    """The beginnings of names that have as many parts as a word: people seldom type a whole id."""
    parts = word.count("__") + 1
    return list(dict.fromkeys("__".join(name.split("__")[:parts]) for name in names))


def chosen(words: Sequence[str], among: Iterable[RunPaths]) -> list[RunPaths]:
    """The runs that some words mean, each once; every run without words.

    Args:
        words: Ids, beginnings of ids, or the folders of runs, wherever they are.
        among: The runs to choose from, as `all_runs` gives them.

    Raises:
        PkdError: A word means no run; with the nearest.
    """
    among = list(among)
    if not words:
        return among
    found: dict[Path, RunPaths] = {}
    for word in words:
        at = run_at(word)
        names = named(word, [one.run for one in among]) if at is None else []
        if at is None and not names:
            raise none_named(word, [one.run for one in among])
        matching = [at] if at is not None else [one for one in among if one.run in names]
        found |= {one.root: one for one in matching}
    return list(found.values())


def only(word: str, among: Iterable[RunPaths], none: str | None = None) -> RunPaths:
    """The one run that a word means.

    Args:
        word: An id, its beginning, or the folder of a run, wherever it is.
        among: The runs to choose from, as `all_runs` gives them.
        none: As for `one_named`.

    Raises:
        PkdError: It means no run, with the nearest, or several.
    """
    if (at := run_at(word)) is not None:
        return at
    among = list(among)
    names = [one.run for one in among]
    if os.sep in word and Path(word).expanduser().is_dir() and not named(word, names):
        raise _no_run(Path(word))
    name = one_named(word, names, none=none)
    return next(one for one in among if one.run == name)


def _no_run(folder: Path) -> PkdError:
    """What is said of a folder that is no run's; the work directory of a stock training has numbers, and no more."""
    if any(folder.expanduser().glob("*/vis_data")):
        said = f"{folder} is a work directory of mmengine, not a run of pkd: it has no recipe.yaml."
        return PkdError(said, f"Its numbers beside those of runs: pkd report --import {shlex.quote(str(folder))}")
    said = f"{folder} is a folder, but no run's: it has none of {', '.join(MARKS)}."
    return PkdError(said, "`pkd status` lists the runs; see --runs DIR.")


def word_of(paths: RunPaths) -> str:
    """What names a run in a command that is typed here: its id where runs are looked for, else its folder, quoted."""
    known = (runs_root(), teachers_root(cache_root()))
    if paths.root.parent.resolve() in [one.resolve() for one in known]:
        return paths.run
    return shlex.quote(str(paths.root))


def find_run(word: str, root: Path) -> RunPaths | None:
    """The run that a word means where a file of weights would do as well; None for such a file.

    Args:
        word: A run's id, its beginning or its folder, or the path of a file.
        root: The runs folder.

    Raises:
        PkdError: It means no run and no file, or several runs.
    """
    if not word:
        raise PkdError("give a run or a checkpoint file: this is an empty word.", "`pkd list runs` shows the runs.")
    if Path(word).expanduser().is_file():
        return None
    among = [paths for paths in runs_in(root) if paths.recipe.is_file()]
    return only(word, among, none=f"there is no run and no checkpoint file {word!r}.")


def run_at(word: str | Path) -> RunPaths | None:
    """The run whose folder a path is; None where it is no run's.

    A word without a slash is a folder here only if a run is in it: an id that is typed in the runs folder.
    """
    if not str(word):
        return None
    paths = RunPaths(Path(os.path.abspath(Path(word).expanduser())))
    return paths if paths.exists else None


def teacher_of(paths: RunPaths) -> RunPaths | None:
    """The run that provides a run's teacher, as its job.json says; None where it says of none.

    Where that folder has gone, since runs or cache were moved, it is the one of its name in the present cache.
    """
    noted = read_path(paths.job, "teacher")
    if noted is None:
        return None
    moved = RunPaths(teachers_root(cache_root()) / noted.name)
    return moved if moved.exists and not RunPaths(noted).exists else RunPaths(noted)
