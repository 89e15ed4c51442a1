"""Runs in one file, for another machine: `pkdcli.archive()` and `pkd archive`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pkdcli.destinations import check_destination
from pkdcli.errors import PkdError
from pkdcli.folders import cache_root
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, chosen
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import named_by

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Recipe
    from pkdcli.runs.archives.contents import DataSet, Manifest

_QUOTED = re.compile(r"""["'](/[^"'\n]+)["']""")


@dataclass(frozen=True)
class ArchiveOptions:
    """What is packed, and into which file.

    Attributes:
        names: The runs: ids, beginnings of these, or folders.
        output: The file; None for the run's id, or `runs`, with `.tar.gz` behind it.
        teacher: Pack the teachers' runs too.
        force: Write over a file that is there.
    """

    names: tuple[str, ...] = option(
        (), "Runs' ids, their beginnings, or folders.", argument=True, repeatable=True, metavar="RUN..."
    )
    output: Path | None = option(
        None, "The file; default: RUN.tar.gz here.", names=("--output", "-o"), metavar="FILE.tar.gz"
    )
    teacher: bool = option(
        True,
        "Pack the teacher with its weights, without which a run that is not finished can't go on to the same numbers.",
        names=("--teacher/--no-teacher",),
    )
    force: bool = option(False, "Write over a file that is there.")


@dataclass(frozen=True)
class Archived:
    """An archive that was written.

    Attributes:
        path: The file.
        size: Its bytes.
        runs: Ids of the runs in it.
        teachers: Ids of the teachers in it.
        data: Data of the user's own that is needed and not in it.
        outside: Other files that the recipes name and that are not in it.
        notes: What is to be said of it.
    """

    path: Path
    size: int
    runs: list[str]
    teachers: list[str]
    data: list[DataSet] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def archive(options: ArchiveOptions, output: Annotated[OutputOptions, Only("runs")]) -> Archived:
    """Pack what another machine needs of some runs: recipes, own configs and modules, weights, metrics, predictions.

    Of a run that is not finished its training states go along, so that it goes on there. The same runs make the same
    bytes. Data is not packed: `shapes` is drawn again, and one's own is named when the runs are unpacked.

    Args:
        options: Which runs, and the file.
        output: Where the runs are.

    Returns:
        What was written.

    Raises:
        PkdError: No such run, one at work or without a recipe, a file that is there already.
    """
    from pkdcli.experiment.prepare import restored
    from pkdcli.runs.archives.contents import Manifest
    from pkdcli.runs.archives.pack import write

    if not options.names:
        raise PkdError("give the runs to pack.", "`pkd status` lists them.")
    wanted = chosen(options.names, all_runs(output.runs))
    target = _target(options, wanted)
    runs: dict[str, RunPaths] = {}
    teachers: dict[str, RunPaths] = {}
    recipes: list[Recipe] = []
    notes = []
    for paths in wanted:
        _at_rest(paths)
        *teacher, own = restored(paths, cache_root())[0]
        _once(teachers if own.recipe.role == "teacher" else runs, paths)
        recipes.append(own.recipe)
        for one in teacher:
            if options.teacher and one.paths.exists:
                _at_rest(one.paths)
                _once(teachers, one.paths)
            else:
                why = "left out" if one.paths.exists else "not here"
                notes.append(f"its teacher is {why}: where {paths.run} is to go on, one has to be there: {one.run}")
    manifest = Manifest(
        _version(), sorted(runs), sorted(teachers), _own_data(recipes), sorted({*_outside(recipes)}, key=str)
    )
    order = [[among[name] for name in sorted(among)] for among in (runs, teachers)]
    with named_by("-o FILE.tar.gz"):
        packed: Manifest = write(target, manifest, *order)
    said, size = list(dict.fromkeys(notes)), target.stat().st_size
    return Archived(target, size, packed.runs, packed.teachers, packed.data, packed.outside, said)


def _version() -> str:
    from pkdcli import __version__

    return __version__


def _target(options: ArchiveOptions, wanted: Sequence[RunPaths]) -> Path:
    name = wanted[0].run if len(wanted) == 1 else "runs"
    target = (options.output or Path(f"{name}.tar.gz")).expanduser().absolute()
    if target.is_dir():
        raise PkdError(f"{target} is a folder.", f"Give a file: -o {target / name}.tar.gz")
    if target.exists() and not options.force:
        raise PkdError(f"{target} is there already.", "Give another with -o FILE, or write over it with --force.")
    check_destination(target, "-o")
    return target


def _once(among: dict[str, RunPaths], paths: RunPaths) -> None:
    """Add a run to those that are packed; two of one name can't both be."""
    known = among.setdefault(paths.run, paths)
    if _same_weights(known, paths):  # the cache was copied, say
        return
    if os.path.realpath(known.root) != os.path.realpath(paths.root):
        raise PkdError(
            f"{known.root} and {paths.root} have the same name.", "Pack them one at a time, into a file each."
        )


def _same_weights(one: RunPaths, other: RunPaths) -> bool:
    """Whether two teachers' runs have the very same weights."""
    from pkdcli.runs.store import sha256

    files = (one.teacher, other.teacher)
    return all(file.is_file() for file in files) and sha256(files[0]) == sha256(files[1])


def _at_rest(paths: RunPaths) -> None:
    """Refuse a run that somebody is at; write down of one that was killed that it was, as `pkd status` does."""
    from pkdcli.launch.run_state import reconcile
    from pkdcli.launch.status import query_all

    (found,) = query_all([paths])
    if found.state == "running" or (found.state == "queued" and found.job):
        raise PkdError(
            f"{paths.run} is {found.state}: {found.where or found.job or 'somewhere'}.",
            f"Wait for it, or have it save and stop: pkd cancel {paths.run}",
        )
    reconcile(found)


def _own_data(recipes: Sequence[Recipe]) -> list[DataSet]:
    """Data that is not drawn, each once."""
    from pkdcli.runs.archives.contents import DataSet

    found = {}
    for recipe in recipes:
        if recipe.data.generator is None:
            one = DataSet.of(recipe.data)
            found[str(one)] = one
    return [found[key] for key in sorted(found)]


def _outside(recipes: Sequence[Recipe]) -> Iterator[str]:
    """Files of this machine that recipes name besides data, teachers and modules, such as weights of a backbone."""
    for recipe in recipes:
        for part in (recipe.teacher, recipe.student):
            if part is not None:
                yield from filter(os.path.isfile, _QUOTED.findall(part.config_content or ""))
                yield from _files_in(part.set)
        yield from _files_in(recipe.config)
        yield from _files_in(recipe.loss.params)


def _files_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _files_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _files_in(one)
    elif isinstance(value, str) and os.path.isabs(value) and os.path.isfile(value):
        yield value
