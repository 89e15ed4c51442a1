"""What a resolved recipe takes from files of the user's own: what a detector's config says, and modules to import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pkdcli.recipe import library
from pkdcli.recipe.configs import as_text, config_path, is_own, read_config
from pkdcli.recipe.modules.files import files_of
from pkdcli.recipe.references import Import, located
from pkdcli.recipe.schema import Detector, Loss, LossUse, Modules, Recipe

Part = TypeVar("Part", Detector, LossUse)


def with_imports(detector: Detector, imports: Sequence[Import]) -> Detector:
    """A detector that needs some modules more, each once.

    Args:
        detector: Keeps those it has.
        imports: The modules that it needs too.
    """
    more = [one for one in imports if one not in detector.imports]
    return detector.model_copy(update={"imports": [*detector.imports, *more]}) if more else detector


def with_content(detector: Detector, *, own: bool = False) -> Detector:
    """A detector with what its config says written into it, where that is a file of the user's.

    Args:
        detector: Of a recipe that is being resolved.
        own: It is trained by the config's own settings.

    Raises:
        PkdError: It can't be read, or asks for modules that it can't ask for.
    """
    if detector.config_content is not None or not is_own(detector.config):
        return detector
    where = f"detector {detector.name}: config"
    path = config_path(detector.config, where)
    content = read_config(path, where)
    wanted = library.parse(Modules, {"imports": module_names(content.get("custom_imports"))}, f"{path}: custom_imports")
    detector = with_imports(detector, located(wanted.imports, path.resolve().parent))
    text = as_text(content, f"detector {detector.name}: {path}", own=own)
    return detector.model_copy(update={"config_content": text})


def loss_imports(loss: Loss, name: str) -> list[Import]:
    """The modules of a loss: those its recipe names, and its class's, beside the recipe or where pkd is typed.

    Args:
        loss: Its `type` is a registered name, or `module:Class`.
        name: What it was asked for by: a name or the path of a recipe.
    """
    module, colon, _ = loss.type.partition(":")
    if not colon or module in [one.module for one in loss.imports]:
        return loss.imports
    for folder in (library.path_of("losses", name).resolve().parent, Path.cwd()):
        if files_of(module, folder):
            return [*loss.imports, *located([Import(module=module)], folder)]
    return loss.imports


def with_set_imports(part: Part, before: Sequence[dict[str, Any]], folder: Path) -> Part:
    """A detector or loss with the place and the hash of the modules that `--set` gave it.

    Args:
        part: As it is after `--set`.
        before: Its modules as its recipe has them: they were looked for beside that recipe, and stay as they are.
        folder: Where the command is typed.
    """
    found = [one if one.model_dump() in before else located([one], folder)[0] for one in part.imports]
    return part if found == part.imports else part.model_copy(update={"imports": found})


def with_set_type(loss: LossUse, folder: Path) -> LossUse:
    """A loss with the module of the `module:Class` that `--set loss.type` gave it, if that lies in a folder.

    Args:
        loss: As it is after `--set`.
        folder: Where the command is typed.
    """
    module, colon, _ = loss.type.partition(":")
    if not colon or module in [one.module for one in loss.imports] or not files_of(module, folder):
        return loss
    return loss.model_copy(update={"imports": [*loss.imports, *located([Import(module=module)], folder)]})


def code_of(recipe: Recipe) -> list[str]:
    """What of a recipe is code of the user's own: a sentence for each config that was run to read it, and each module.

    Args:
        recipe: Resolved.
    """
    given = [one for one in (recipe.teacher, recipe.student) if one is not None and one.config_content is not None]
    found = [f"{one.config} is Python, and was run to read it." for one in given]
    found += [
        f"{one.module}, in {one.folder}, is Python, and will be imported by the run."
        for one in recipe.named_imports
        if one.folder
    ]
    return list(dict.fromkeys(found))


def custom_imports(config: dict[str, Any]) -> list[Any]:
    """What `--set config.custom_imports...` asks to import, taken out of the settings: pkd imports it as `imports`."""
    found: list[Any] = []
    for key in [key for key in config if key.split(".")[0] == "custom_imports"]:
        value = config.pop(key)
        if key != "custom_imports.allow_failed_imports":
            found += module_names(value)
    return found


def module_names(value: Any) -> list[Any]:
    """The modules of an mmengine config's `custom_imports`: a dict with `imports`, a list, or one name."""
    if isinstance(value, dict):
        value = value.get("imports")
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]
