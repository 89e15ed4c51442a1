"""Python modules of the user's own: the copy that a run keeps of them, which stands in where they are not as they were.

They are copied and never run here.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pkdcli.folders import cache_root
from pkdcli.recipe.library import parse, read_yaml
from pkdcli.recipe.modules.files import has_hash, needed_files
from pkdcli.recipe.places import made_here
from pkdcli.recipe.references import Import
from pkdcli.recipe.schema import Recipe

FOLDER = "modules"
"""Where a run directory has its copy of them."""


def keep(recipe: Recipe, run: Path) -> None:
    """Copy the modules that lie beside recipes, and what they import from there, into a run directory.

    So the run can go on where they have changed or are gone, and on another machine.

    Args:
        recipe: The run's.
        run: The run directory.

    Raises:
        OSError: They can't be written.
    """
    target = run.absolute() / FOLDER
    for one in recipe.named_imports:
        if one.folder is None or Path(one.folder) == target:
            continue
        for file in needed_files(one.module, Path(one.folder)):
            copy = target / file.relative_to(one.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def read_recipe(path: Path) -> Recipe:
    """The recipe of a run, from its directory: drawn data is that of the present cache, wherever it lay before.

    Modules that are not as they were are the run's own copies.

    Args:
        path: The run's recipe.yaml.

    Raises:
        PkdError: It is absent or damaged.
    """
    recipe = parse(Recipe, read_yaml(path), str(path))
    recipe = recipe.model_copy(update={"data": made_here(recipe.data, cache_root())})
    folder = path.absolute().parent / FOLDER
    if not folder.is_dir():
        return recipe
    update = {"imports": _from_copies(recipe.imports, folder)}
    for part in ("teacher", "student", "loss"):
        section = getattr(recipe, part)
        if section is not None and section.imports:
            update[part] = section.model_copy(update={"imports": _from_copies(section.imports, folder)})
    return recipe.model_copy(update=update)


def copies_used(recipe: Recipe, run: Path) -> list[str]:
    """The names of modules that are a run's own copies, since those beside its recipe are not as they were.

    Args:
        recipe: As `read_recipe` gives it.
        run: The run directory.
    """
    folder = run.absolute() / FOLDER
    return list(dict.fromkeys(one.module for one in recipe.named_imports if one.folder and Path(one.folder) == folder))


def _from_copies(imports: Sequence[Import], folder: Path) -> list[Import]:
    found = []
    for one in imports:
        lies_there = one.folder is not None and has_hash(one.module, Path(one.folder), one.sha256)
        stands_in = one.folder is not None and not lies_there and has_hash(one.module, folder, one.sha256)
        found.append(one.model_copy(update={"folder": str(folder)}) if stands_in else one)
    return found
