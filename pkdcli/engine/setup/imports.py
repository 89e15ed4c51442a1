"""Import the modules of the user's own that a recipe names: they enter hooks, backbones and losses into the registries.

They are code, and run with the rights of whoever runs pkd. Nothing is imported that a recipe does not name.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from pkdcli.config.build import imports_of
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.modules.files import files_of, has_hash
from pkdcli.recipe.references import Import
from pkdcli.recipe.schema import Recipe


def import_for(recipe: Recipe) -> None:
    """Import what a recipe asks for, before anything is built from it.

    Raises:
        PkdError: A module is not there, has changed since the recipe was resolved, or fails.
    """
    for one in imports_of(recipe):
        import_one(one)


def import_one(one: Import) -> None:
    """Import a module, from beside its recipe or as any other.

    Raises:
        PkdError: As for `import_for`.
    """
    if one.folder is not None:
        _unchanged(one)
        if one.folder not in sys.path:
            sys.path.append(one.folder)
    try:
        module = importlib.import_module(one.module)
    except Exception as error:
        raise _explained(one, error) from error
    file = getattr(module, "__file__", None)
    if one.folder is not None and file and not _is_of(one, Path(file).resolve()):
        raise PkdError(
            f"imports: {one.module}: {Path(one.folder)} has a module of this name, but {file} was imported.",
            "Give it another name.",
        )


def _is_of(one: Import, file: Path) -> bool:
    """Whether the file that was imported lies in the module's folder, or is a copy of what does."""
    if file.is_relative_to(Path(one.folder).resolve()):
        return True
    place = file.parent if file.name == "__init__.py" else file.with_suffix("")
    parts = one.module.split(".")
    root = place.parents[len(parts) - 1]
    return one.sha256 is not None and place == root.joinpath(*parts) and has_hash(one.module, root, one.sha256)


def _unchanged(one: Import) -> None:
    files = files_of(one.module, Path(one.folder))
    if not files:
        raise PkdError(
            f"imports: {one.module}: there is no such module in {one.folder}.",
            "Put it back, or correct the folder in the run's recipe.yaml.",
        )
    if not has_hash(one.module, Path(one.folder), one.sha256):
        place = files[0] if len(files) == 1 else files[0].parent
        raise PkdError(
            f"imports: {one.module}: {place} has changed since this run was made.",
            "Type the command that made the run again, for a run with the module as it is now; or put the module back.",
        )


def _explained(one: Import, error: Exception) -> PkdError:
    """The error with module, file and line: the last line of code that is not the import system's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if frame.filename != __file__]
    where = f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}, line {error.lineno}: "
    hint = None
    if isinstance(error, ModuleNotFoundError) and error.name and one.module.split(".")[0] == error.name:
        hint = "Put it beside the recipe that names it, or install it where the run's process is."
    text = str(error.msg if isinstance(error, SyntaxError) else error).strip().splitlines()
    said = f"{type(error).__name__}: {text[0] if text else 'no message'}"
    return PkdError(f"imports: {one.module}: {where}{said}.", hint, ExitCode.USAGE)
