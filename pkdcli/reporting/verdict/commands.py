"""The commands that make what a verdict lacks: a baseline, or more seeds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from pkdcli.launch.options import LaunchOptions
from pkdcli.options import Field, OutputOptions, fields
from pkdcli.recipe.options import RecipeOptions, RunOptions, SweepOptions, TeacherOptions
from pkdcli.recipe.seeds import LIMIT, SeedOptions
from pkdcli.runs.record import Record, plain
from pkdcli.runs.store import read_object

_REPLACED = {"pair", "pairs", "teacher", "teachers", "student", "students", "loss", "losses", "weight", "weights",
             "temperature", "temperatures", "schedule", "schedules", "seed", "seeds", "baseline", "until_decided",
             "max_seeds", "dry_run", "json", "quiet"}  # fmt: skip
"""What stands in a command by what is known of the run, or has no place in the new one."""
_OF_THE_LOSS = {"init", "levels", "tap", "distill_until", "share_teacher"}
_SETS_OF_THE_LOSS = ("loss.", "teacher.", "init")


def baseline_command(method: Record, seed: int | None, unlike: Sequence[str] = ()) -> str:
    """What makes the baseline of a method's run.

    The options are those with which the run was asked for, as far as its folder tells; else they follow from its
    columns.

    Args:
        method: The run, as `runs.collect` gives it.
        seed: Of the baseline.
        unlike: The columns in which other baselines differ from it, which have to be said where no command is known.
    """
    words = ["pkd", "train", *_who(method), "--loss", "none"]
    typed = _typed(method)
    if typed is None:
        words += _from_columns(method, unlike)
    else:
        words += _schedule(method) + _rest(typed, method, alone=True)
    return shlex.join([*words, "--seed", plain(seed)])


def more_seeds_command(method: Record, known: Sequence[int] = (), most: int | None = None) -> str | None:
    """What adds seeds of a method and its baseline until it is decided; None for runs of another toolbox.

    Args:
        method: One of its runs.
        known: The seeds that it has, which are to be used.
        most: How many seeds that may take; None for as many as the command allows by itself.
    """
    words = _sweep(method)
    if words is None:
        return None
    if list(known) != list(range(len(known))):  # it begins with 0, 1, 2, ... by itself
        words += ["--seeds", ",".join(map(str, known))]
    words.append("--until-decided")
    if most is not None and most > LIMIT:
        words += ["--max-seeds", str(most)]
    return shlex.join(words)


def seeds_command(method: Record, seeds: Sequence[int]) -> str | None:
    """What runs a method and its baseline with some seeds; None for runs of another toolbox.

    Args:
        method: One of its runs.
        seeds: All of them, those that are there too.
    """
    words = _sweep(method)
    return None if words is None else shlex.join([*words, "--seeds", ",".join(map(str, seeds))])


def _sweep(method: Record) -> list[str] | None:
    """The words of a sweep of one method and its baseline."""
    if method["foreign"]:
        return None
    words = ["pkd", "sweep", *_who(method), "--loss", str(method["loss"])]
    for name in ("weight", "temperature"):
        if method[name] is not None:
            words += [f"--{name}s", plain(method[name])]
    typed = _typed(method)
    if typed is None:
        return words + _from_columns(method, ())
    return words + _schedule(method) + _rest(typed, method, alone=False)


def _who(method: Record) -> list[str]:
    """Pair, or the detectors that stand in its place: as they were typed, which may be the names of files."""
    typed = {field.name.removesuffix("s"): given[-1].rpartition("=")[2] for field, given in _typed(method) or ()}
    words = [] if method["pair"] is None else ["--pair", str(method["pair"])]
    for role in ("teacher", "student"):
        if method[role] and (role in typed or not words or words[0] != "--pair"):
            given = typed.get(role, ",")
            words += [f"--{role}", str(method[role]) if "," in given else given]
    return words


def _schedule(method: Record) -> list[str]:
    return [] if method["schedule"] in (None, "own") else ["--schedule", str(method["schedule"])]


def _from_columns(method: Record, unlike: Sequence[str]) -> list[str]:
    words = ["--scale", str(method["scale"]), *_schedule(method), "--data", str(method["data"])]
    for column, name in (("batch", "--batch-size"), ("epoch", "--epochs"), ("training", "--training")):
        if column in unlike and method[column] is not None:
            words += [name, plain(method[column])]
    return words


def _rest(typed: Sequence[tuple[Field, list[str]]], method: Record, *, alone: bool) -> list[str]:
    """The words of a command that stay, with those of the loss unless it is for the student alone."""
    words = []
    for field, given in typed:
        if field.name == "runs":  # where the run is now: it may have come from another folder, or another machine
            words += ["--runs", str(Path(str(method["path"])).absolute().parent)]
            continue
        value = given[1] if len(given) > 1 else given[0].partition("=")[2]
        of_the_loss = field.name in _OF_THE_LOSS or (field.name == "sets" and value.startswith(_SETS_OF_THE_LOSS))
        if field.name not in _REPLACED and not (alone and of_the_loss):
            words += given
    return words


def _typed(method: Record) -> list[tuple[Field, list[str]]] | None:
    """The options of the command that asked for a run; None where it is not known, or was no train or sweep."""
    text = read_object(Path(str(method["path"])) / "env.json").get("command") if method["path"] else None
    try:
        words = shlex.split(text) if isinstance(text, str) else []
        if words[:1] != ["pkd"] or words[1:2] not in (["train"], ["sweep"]):
            return None
        return list(_options(words[2:]))
    except ValueError:  # quotes that don't match, an option of another version
        return None


def _options(words: Sequence[str]) -> Iterator[tuple[Field, list[str]]]:
    """The options among a command's words, each with its own words.

    Raises:
        ValueError: A word that is no option.
    """
    groups = (RunOptions, SweepOptions, SeedOptions, RecipeOptions, TeacherOptions, LaunchOptions, OutputOptions)
    known = {word: field for group in groups for field in fields(group)
             for name in field.names for word in name.split("/")}  # fmt: skip
    rest = iter(words)
    for word in rest:
        name, given, _ = word.partition("=")
        if name not in known:
            raise ValueError(word)
        field = known[name]
        yield field, [word] if given or field.kind is bool else [word, next(rest, "")]
