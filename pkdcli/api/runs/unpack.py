"""Runs from a file that another machine has packed: `pkdcli.unpack()` and `pkd unpack`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pkdcli.errors import PkdError
from pkdcli.folders import cache_root, runs_root
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.paths import RunPaths, teachers_root

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Split
    from pkdcli.runs.archives.contents import DataSet, Manifest


@dataclass(frozen=True)
class UnpackOptions:
    """What is unpacked, and where its data is here.

    Attributes:
        file: What `pkd archive` has written.
        data: Where data of one's own lies here: `NAME=FOLDER`, or `NAME=FILE.yaml`, its data recipe.
        teacher: Unpack the teachers' runs too.
        force: Write over runs, and teachers with other weights, that are here already.
    """

    file: Path = option(help="What `pkd archive` has written.", argument=True, metavar="FILE.tar.gz")
    data: tuple[str, ...] = option(
        (),
        "Where a data set lies here: the folder that has its files as the other machine's had, or its data recipe; "
        "repeatable.",
        metavar="NAME=FOLDER|FILE.yaml",
        repeatable=True,
    )
    teacher: bool = option(
        True, "Unpack the teachers, too; without, those that are here stay.", names=("--teacher/--no-teacher",)
    )
    force: bool = option(False, "Write over runs, and teachers with other weights, that are here already.")


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked.

    Attributes:
        runs: The folders of the runs.
        teachers: The folders of the teachers that were put into the cache.
        kept: Teachers that were here already, with the same weights or by `--no-teacher`.
        missing: Data sets that are not here.
        outside: Other files that the recipes name and that are not here.
        code: Folders of Python modules that runs brought along: they are imported when these go on.
    """

    runs: list[Path]
    teachers: list[Path]
    kept: list[Path] = field(default_factory=list)
    missing: list[DataSet] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    code: list[Path] = field(default_factory=list)


def unpack(options: UnpackOptions, output: Annotated[OutputOptions, Only("runs")]) -> Unpacked:
    """Put packed runs into the runs folder and their teachers into the cache, all of them or none.

    Report, evaluation and resuming work then as where they were made. Every file is held against the archive's list of
    sizes and hashes first; nothing outside of the two folders is written.

    Args:
        options: The file, and where data is here.
        output: Where the runs go.

    Returns:
        What was unpacked, and what is still missing.

    Raises:
        PkdError: A damaged or malicious file, runs that are here already, or data of another content.
    """
    from pkdcli.recipe.modules.copies import FOLDER
    from pkdcli.runs.archives.place import beside, place
    from pkdcli.runs.archives.unpack import extract, read_list

    file, runs, teachers = options.file.expanduser(), runs_root(output.runs), teachers_root(cache_root())
    manifest = read_list(file)
    kept = _kept(manifest, teachers, options)
    targets = {f"runs/{one}": runs / one for one in manifest.runs}
    targets |= {f"teachers/{one}": teachers / one for one in manifest.teachers if one not in kept}
    _check_free(targets, options.force)
    where = _places(manifest, options.data)
    with beside(runs) as staged, beside(teachers) as staged_teachers:
        extract(file, staged)
        if any((staged / "teachers").glob("*")):
            shutil.move(staged / "teachers", staged_teachers / "teachers")  # the cache may be another disk
        moves = []
        for name, target in targets.items():
            source = (staged_teachers if name.startswith("teachers/") else staged) / name
            _settle(RunPaths(source), manifest, where)
            moves.append((source, target))
        place(moves)
    missing = [one for one in manifest.data if _key(one) not in where and not _is_here(one)]
    return Unpacked(
        [runs / one for one in manifest.runs],
        [teachers / one for one in manifest.teachers if one not in kept],
        [teachers / one for one in kept],
        missing,
        [one for one in manifest.outside if not Path(one).is_file()],
        [target / FOLDER for target in targets.values() if (target / FOLDER).is_dir()],
    )


def _kept(manifest: Manifest, teachers: Path, options: UnpackOptions) -> list[str]:
    """The teachers that are here and stay: they are the very same, or nobody wants the others."""
    from pkdcli.runs.store import sha256

    packed = {file.name: file.sha256 for file in manifest.files}
    kept = []
    for name in manifest.teachers:
        here = RunPaths(teachers / name)
        if not options.teacher:
            kept.append(name)
        elif here.teacher.is_file():
            theirs = packed.get(f"teachers/{name}/teacher.pth")
            if theirs is None or theirs == sha256(here.teacher):
                kept.append(name)
            elif not options.force:
                raise PkdError(
                    f"the teacher {name} is here already, with other weights than in {options.file}.",
                    "--no-teacher keeps the one that is here, and a run that goes on then learns from that; --force "
                    "takes the one in the file, for every run here that has this teacher.",
                )
    return kept


def _check_free(targets: dict[str, Path], force: bool) -> None:
    """Refuse to write over runs unasked, and over one that somebody is at in any case."""
    from pkdcli.runs.liveness import held_by

    there = [path for path in targets.values() if path.exists() or path.is_symlink()]
    for path in there:
        if who := held_by(RunPaths(path)):
            raise PkdError(f"{path.name} is here already and running: {who}.", f"Stop it first: pkd cancel {path.name}")
    if there and not force:
        listed = "".join(f"\n  {path}" for path in there)
        raise PkdError(
            f"{len(there)} of {len(targets)} runs are here already:{listed}",
            "Nothing was written. --force writes over them; --runs DIR names another folder.",
        )


def _key(data: DataSet) -> str:
    # What was joined lay in a cache: it is told by its parts.
    return str((data.name, {name: split.get("joined") or split for name, split in data.splits.items()}, data.map))


def _is_here(data: DataSet) -> bool:
    return all(Path(path).exists() for part in data.parts for path in part.values())


def _places(manifest: Manifest, words: tuple[str, ...]) -> dict[str, dict[str, Split]]:
    """Where each data set lies here, as far as that was said."""
    from pkdcli.api.runs.data_here import splits_at

    names = [one.name for one in manifest.data]
    found: dict[str, dict[str, Split]] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not equals or not place:
            raise PkdError(f"--data: {word!r} should look like NAME=FOLDER.", "Example: --data bccd=/data/bccd")
        if name not in names:
            hint = f"It needs: {', '.join(dict.fromkeys(names))}." if names else "It needs none but what pkd draws."
            raise PkdError(f"--data {word}: the archive needs no data set {name!r}.", hint)
        found |= {_key(one): splits_at(one, place) for one in manifest.data if one.name == name}
    return found


def _settle(paths: RunPaths, manifest: Manifest, where: dict[str, dict[str, Split]]) -> None:
    """Make a run that was just unpacked one of this machine: its folders, its data, and that nobody is at it."""
    from pkdcli.data.joined.make import joined
    from pkdcli.experiment.relocate import replace_paths, say_where
    from pkdcli.recipe.modules.copies import read_recipe
    from pkdcli.recipe.places import at
    from pkdcli.runs.archives.contents import DataSet
    from pkdcli.runs.status import INTERRUPTED, QUEUED, RUNNING, Status
    from pkdcli.runs.store import read_object, read_path, write_json

    data = read_recipe(paths.recipe).data
    own = DataSet.of(data)
    here = at(data, where[key]) if (key := _key(own)) in where else data
    say_where(paths, joined(here, cache_root()) if key in where or _is_here(own) else here)
    job, noted = read_object(paths.job), read_path(paths.job, "teacher")
    # How it was launched there says nothing of this machine.
    kept = {key: value for key, value in job.items() if key not in ("launcher", "queue")}
    home = str(teachers_root(cache_root()) / noted.name) if noted is not None else None
    write_json(paths.job, {**kept, "cache": str(cache_root()), "teacher": home})
    if noted is not None:
        replace_paths(paths, {str(noted): home})
    if read_object(paths.status).get("state") in (QUEUED, RUNNING):
        Status(paths).write(state=INTERRUPTED, phase=None, eta_s=None)
