"""A run once more, from the recipe.yaml that it left, on this machine."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.recipe.library import load, names
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.recipe.own import with_content
from pkdcli.recipe.places import at
from pkdcli.recipe.references import located
from pkdcli.recipe.resolve import load_data
from pkdcli.recipe.schema import Data, Part, Recipe, Split
from pkdcli.recipe.schema.kinds import Accepted
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import sha256


@dataclass(frozen=True)
class Changes:
    """What may be other than when the recipe was written, without another word changed in it.

    Attributes:
        seed: Another seed: another run of the same experiment; None for the recipe's.
        data: Name or file of the data recipe that says where the same data lies now; None for where it lay.
        teacher_checkpoint: Where the same teacher's weights lie now.
        accept_all: Train even where the check of the data refuses.
        fields: Fields of the recipe that change no number, such as `workers`.
    """

    seed: int | None = None
    data: str | None = None
    teacher_checkpoint: Path | None = None
    accept_all: bool = False
    fields: dict[str, Any] | None = None


def recipe_file(given: Path) -> Path:
    """The recipe.yaml that somebody means by its path or by the folder of its run.

    Raises:
        PkdError: There is none.
    """
    given = given.expanduser()
    file = given / "recipe.yaml" if given.is_dir() else given
    if not file.is_file():
        what = f"{given} has no recipe.yaml" if given.is_dir() else f"there is no file {given}"
        raise PkdError(f"--recipe: {what}.", "Give the recipe.yaml of a run, or the run's folder; pkd status has runs.")
    return file


def read(file: Path, changes: Changes) -> Recipe:
    """The recipe in a file, checked like any other, with what has changed.

    Args:
        file: A run's recipe.yaml, or an edited copy. Paths in it are relative to its own folder.
        changes: What is other here.

    Raises:
        PkdError: It can't be read or is no resolved recipe, or something in it is wrong: with file and key path.
    """
    recipe = read_recipe(file)
    _check_loss(recipe, str(file))
    folder = file.absolute().parent
    update: dict[str, Any] = {**(changes.fields or {}), "imports": located(recipe.imports, folder)}
    for part in ("teacher", "student", "loss"):
        section = getattr(recipe, part)
        if section is not None:
            section = section.model_copy(update={"imports": located(section.imports, folder)})
            update[part] = section if part == "loss" else _with_config(section, recipe, part, file)
    if changes.seed is not None:
        update["seed"] = changes.seed
    recipe = recipe.model_copy(update=update)
    recipe = recipe.model_copy(update={"data": _data(recipe.data, changes, file)})
    return _with_weights(recipe, changes, file)


def check_same(recipe: Recipe, found: Recipe, file: Path) -> None:
    """Refuse another data set than the recipe was made on: that would be another run under its name.

    Args:
        recipe: As it was read.
        found: The same with the facts of the data that is there.
        file: It, for the message.

    Raises:
        PkdError: The annotations have another content.
    """
    noted, there = recipe.data.fingerprint, found.data.fingerprint
    if noted is not None and there is not None and noted != there:
        raise PkdError(
            f"{file}: data.fingerprint: is {noted}, but the annotations of {found.data.name} have {there}: they are "
            f"not those that the run was made on.\n  {found.data.train.annotations}",
            "Give the data as it was with --data FILE.yaml; or, for another run on what is there now, write "
            "`fingerprint: null` into a copy of the recipe and give that.",
        )


def _check_loss(recipe: Recipe, where: str) -> None:
    """What a loss allows is said by its own recipe, as far as there is one of its name."""
    loss = recipe.loss
    if loss.name == "none" or loss.name not in names("losses"):
        return
    rule = load("losses", loss.name).temperature
    if rule is None and loss.temperature is not None:
        raise PkdError(f"{where}: loss.temperature: loss {loss.name} has no temperature.", "Write null.")
    if rule is not None and loss.temperature is None:
        raise PkdError(f"{where}: loss.temperature: loss {loss.name} needs one.", f"The default is {rule.default:g}.")
    if rule is not None and not rule.minimum <= loss.temperature <= rule.maximum:
        raise PkdError(
            f"{where}: loss.temperature: {loss.temperature:g} is not a temperature of {loss.name}.",
            f"Give a number from {rule.minimum:g} to {rule.maximum:g}.",
        )


def _with_config(section: Any, recipe: Recipe, part: str, file: Path) -> Any:
    """A detector with what its config says: as the recipe has it, or read where that was taken out of it."""
    try:
        return with_content(section, own=part == "student" and recipe.training == "own")
    except PkdError as error:
        error.message = f"{file}: {part}: {error.message}"
        raise


def _data(data: Data, changes: Changes, file: Path) -> Data:
    if changes.accept_all:
        from typing import get_args

        data = data.model_copy(update={"accept": list(get_args(Accepted))})
    if changes.data is not None:
        there = load_data(changes.data)
        absent = [name for name in data.splits if name not in there.splits]
        if absent:
            raise PkdError(
                f"--data {changes.data}: it has no split {absent[0]}, which the data of {file} has.",
                f"Name the same splits: {', '.join(data.splits)}.",
            )
        return at(data, there.splits)
    if data.generator is not None:
        return data
    folder = file.absolute().parent

    def placed(one: Part) -> Part:
        return Part(images=str(folder / one.images), annotations=str(folder / one.annotations))

    return at(
        data,
        {
            name: Split(**dict(placed(split)), joined=[placed(one) for one in split.joined])
            for name, split in data.splits.items()
        },
    )


def _with_weights(recipe: Recipe, changes: Changes, file: Path) -> Recipe:
    """The recipe with the file of the teacher's weights where that is now, which is the one that it was made with."""
    key = "teacher_checkpoint" if recipe.role != "teacher" else "weights"
    given = changes.teacher_checkpoint
    if given is not None and getattr(recipe, key) is None:
        raise PkdError(
            f"--teacher-checkpoint: {file} was made with no such file.",
            f"Leave it out, or write `{key}: {given}` into a copy of the recipe, which is another run then.",
        )
    path = Path(given or getattr(recipe, key) or "").expanduser()
    if getattr(recipe, key) is None or (given is None and recipe.weights_sha256 is None and key == "weights"):
        return recipe  # none was given, or an address of the zoo
    path = path if given is not None else file.absolute().parent / path
    if given is not None and not path.is_file():
        raise PkdError(f"--teacher-checkpoint: there is no file {path}.", "Give the file of its weights.")
    if path.is_file() and recipe.weights_sha256 is not None and sha256(path) != recipe.weights_sha256:
        raise PkdError(
            f"{file}: weights_sha256: {path} is another file than the run was made with.",
            "Give the right one with --teacher-checkpoint FILE; or, for another run with this one, write "
            "`weights_sha256: null` into a copy of the recipe.",
        )
    return recipe.model_copy(update={key: str(path.absolute())})


def missing_weights(recipe: Recipe, teacher: RunPaths | None, file: Path) -> PkdError | None:
    """The error where the teacher's weights are nowhere; None where its own run has them, or their file is there.

    Args:
        recipe: As `read` gives it.
        teacher: The run that provides the teacher.
        file: The recipe's.
    """
    from pkdcli.runs.liveness import finished

    path = recipe.teacher_checkpoint
    if path is None or Path(path).is_file() or (teacher is not None and finished(teacher)):
        return None
    again = f"pkd train --recipe {shlex.quote(str(file))} --teacher-checkpoint FILE"
    return PkdError(
        f"{file}: teacher_checkpoint: there is no file {path}.",
        f"Where it lies now (the same file: its SHA-256 is {recipe.weights_sha256}): {again}",
    )
