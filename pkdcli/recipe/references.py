"""What a recipe may name outside itself: other recipes, files, Python modules.

A path in a recipe is relative to the file that names it. `pkdcli.recipe.library` hands that file's folder to pydantic
as the context of a validation, so that what comes out has absolute paths, wherever the command is typed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from pkdcli.recipe.configs import full_name
from pkdcli.recipe.modules.files import files_of, hash_of_module

NAME = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,63}")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_RECIPE = (".yaml", ".yml")


def is_path(name: str) -> bool:
    """Whether a recipe is named by its file and not by a name of its own."""
    return name.endswith(_RECIPE)


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("a name is lower-case letters, digits and . + _ -, at most 64 of them")
    return value


def _path(value: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get("folder")
    if not value or any(not character.isprintable() for character in value):
        raise ValueError("should be the path of a file")
    path = Path(value).expanduser()
    return value if folder is None else str(Path(folder) / path)


def _reference(value: str, info: ValidationInfo) -> str:
    return _path(value, info) if is_path(value) else _name(value)


def _detector(value: str, info: ValidationInfo) -> str:
    if is_path(value) or not value:
        return _reference(value, info)
    folder = (info.context or {}).get("folder")
    if value.endswith(".py") and folder is not None:
        path = Path(folder) / Path(value).expanduser()
        return str(path) if path.is_file() or full_name(value) is None else value
    return value if full_name(value) is not None or value.endswith(".py") else _name(value)


Name = Annotated[str, AfterValidator(_name)]
Reference = Annotated[str, AfterValidator(_reference)]
"""The name of a recipe that comes with pkd, or the path of one's own, which ends in `.yaml`."""
DetectorReference = Annotated[str, AfterValidator(_detector)]
"""The same of a detector, or the name of a config of mmdet's, or the path of one's own, which ends in `.py`."""
FilePath = Annotated[str, AfterValidator(_path)]


class Import(BaseModel):
    """A Python module that is imported before anything is built: it may enter types into mmdet's registries.

    Attributes:
        module: Its name, with dots.
        folder: Where it lies, if beside the recipe that names it; else it is looked for as any module is.
        sha256: Hash of its file, or of the Python files of its folder, and of what they import from beside them: a run
            is known by it.
    """

    model_config = ConfigDict(extra="forbid")

    module: str
    folder: str | None = None
    sha256: str | None = None


def _imports(value: Any) -> Any:
    """A list of modules, each by its name alone or as a resolved recipe has it."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("should be a list of names of modules, such as [my_hooks]")
    found = []
    for item in value:
        name = item.get("module") if isinstance(item, dict) else getattr(item, "module", item)
        if not isinstance(name, str) or not MODULE.fullmatch(name) or name.endswith(".py"):
            guess = Path(str(name)).with_suffix("").as_posix().strip("./").replace("/", ".")
            hint = f": write {guess}" if MODULE.fullmatch(guess) else ""
            raise ValueError(f"{name!r} is not the name of a module, such as my_hooks or package.hooks{hint}")
        found.append({"module": name} if isinstance(item, str) else item)
    return found


Imports = Annotated[list[Import], BeforeValidator(_imports)]


def located(imports: Sequence[Import], folder: Path) -> list[Import]:
    """The modules, with the place and the hash of those that lie in a folder; one that has a place keeps it.

    Args:
        imports: As a recipe names them.
        folder: The recipe's folder.
    """
    found = []
    for one in imports:
        sha256 = None if one.folder else hash_of_module(one.module, folder)
        found.append(one.model_copy(update={"folder": str(folder), "sha256": sha256}) if sha256 else one)
    return found


def is_there(one: Import) -> bool:
    """Whether a module can be found; nothing is imported for that, so of a package only the outermost is looked for."""
    if one.folder:
        return bool(files_of(one.module, Path(one.folder)))
    outermost = one.module.partition(".")[0]
    # Each finder, since `pip install --editable` adds one; what this process has imported is not to count.
    return any(finder.find_spec(outermost, None) is not None for finder in sys.meta_path)
