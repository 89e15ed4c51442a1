"""Find recipes by name and read them safely.

A recipe is a YAML file whose name is its own: `recipes/pairs/gfl101-fcos50.yaml`. Nothing is listed by hand: what
lies in the folder exists. A user's own recipe is named by its path, which ends in `.yaml`. Plug-ins have folders of
recipes too (`pkdcli.recipe.sources`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pkdcli.errors import ExitCode, PkdError, unknown
from pkdcli.folders import recipes_root
from pkdcli.recipe import schema
from pkdcli.recipe.configs import beside
from pkdcli.recipe.detectors.given import config_names, config_of_word, detector_of, unknown_detector
from pkdcli.recipe.references import is_path, located
from pkdcli.recipe.schema.explain import explain
from pkdcli.recipe.sources import DEFAULTS, Source, source_of, sources

KINDS: dict[str, type[schema.Strict]] = {
    "pairs": schema.Pair,
    "detectors": schema.Detector,
    "losses": schema.Loss,
    "schedules": schema.Schedule,
    "datasets": schema.Data,
    "scales": schema.Scale,
    "tables": schema.TableRecipe,
    "launchers": schema.Launcher,
}
SINGULAR = {"pairs": "pair", "detectors": "detector", "losses": "loss", "schedules": "schedule", "datasets": "data set",
            "scales": "scale", "tables": "table", "launchers": "launcher"}  # fmt: skip

T = TypeVar("T", bound=BaseModel)


def names(kind: str) -> list[str]:
    """The names of all recipes of a kind (`pairs`, `losses`, ...) that have one, pkd's own and plug-ins', sorted."""
    return list(sources(kind))


def offered(kind: str, beginning: str = "") -> list[str]:
    """What the shell proposes for a kind: the names of recipes, and for detectors also of mmdet's configs.

    Args:
        kind: As for `load`.
        beginning: What is typed already: a config is proposed with its folder where that has been begun.
    """
    return names(kind) + (config_names(beginning) if kind == "detectors" else [])


def path_of(kind: str, name: str, where: str | None = None) -> Path:
    """The file of a recipe, given its name or (with `.yaml`) its own path.

    Args:
        kind: As for `load`.
        name: The recipe's name, or a path.
        where: File and key path of the recipe that names it, if one does.

    Raises:
        PkdError: There is no such recipe (names the nearest match and all allowed names), or it has no file.
    """
    source = find(kind, name, where)
    if source.path is None:
        raise PkdError(f"{SINGULAR[kind]} {name!r} has no file: it is the plug-in {source}.")
    return source.path


def find(kind: str, name: str, where: str | None = None) -> Source:
    """A recipe, given its name or (with `.yaml`) its own path.

    Args:
        kind: As for `load`.
        name: The recipe's name, or a path.
        where: File and key path of the recipe that names it, if one does.

    Raises:
        PkdError: There is no such recipe (names the nearest match and all allowed names), or several have the name.
    """
    if is_path(name):
        path = Path(os.path.normpath(Path(name).expanduser()))
        if not path.is_file():
            raise PkdError(
                f"{where + ': ' if where else ''}there is no recipe file {path}.",
                f"It should describe a {SINGULAR[kind]}." + (_relative(path, where) if where else ""),
            )
        return Source(path.stem, path)
    known = sources(kind)
    if name not in known:
        if name and (there := Path(name).expanduser()).exists():
            raise _no_recipe(kind, name, there, where)
        if kind == "detectors":
            raise unknown_detector(name, known, where)
        raise unknown(SINGULAR[kind], name, known, where)
    return source_of(SINGULAR[kind], known[name])


_DATA = """name: my-data
train: {images: images/train/, annotations: train.json}
val: {images: images/val/, annotations: val.json}"""


def _no_recipe(kind: str, name: str, there: Path, where: str | None) -> PkdError:
    """The error for a folder, or a file that is no YAML, in the place of a recipe."""
    what = "a folder" if there.is_dir() else "a file whose name does not end in .yaml"
    hint = f"Give the name or the YAML file of a {SINGULAR[kind]}"
    hint += f", which says where the images and annotations are:\n{_DATA}" if kind == "datasets" else "."
    return PkdError(f"{where + ': ' if where else ''}{name} is {what}.", hint)


def _relative(path: Path, where: str) -> str:
    """What to write where a file lies below the working folder and not beside the recipe that names it."""
    text = " A path in a recipe is relative to the recipe's own folder"
    folder = Path(where.partition(".yaml: ")[0].partition(".yml: ")[0]).parent
    with suppress(ValueError):
        here = Path.cwd() / path.relative_to(folder.absolute())
        if here.is_file():
            return f"{text}: write {os.path.relpath(here, folder.absolute())}."
    return f"{text}."


def load(kind: str, name: str, where: str | None = None) -> Any:
    """Read and check one recipe. What it names by a path has an absolute one in what is returned.

    Args:
        kind: `pairs`, `detectors`, `losses`, `schedules`, `datasets`, `scales`, `tables` or `launchers`.
        name: The recipe's name, or the path of a YAML file of the user's. Of a detector also the name of a config of
            mmdet's, or the path of one's own.
        where: File and key path of the recipe that names it, for errors.

    Raises:
        PkdError: Unknown name, unreadable file, or every problem of its content at once, each with its key path.
    """
    if kind == "detectors" and (config := config_of(name)) is not None:
        return detector_of(config, where or name)
    return read(kind, find(kind, name, where))


def config_of(detector: str) -> str | None:
    """The config that names a detector where no recipe does; None where it is a recipe, or nothing."""
    return None if is_path(detector) or detector in sources("detectors") else config_of_word(detector)


def read(kind: str, source: Source) -> Any:
    """Read and check a recipe that was found; as for `load`.

    Args:
        kind: As for `load`.
        source: The recipe.
    """
    path = source.path
    if path is None:
        return parse(KINDS[kind], DEFAULTS[kind](source.plugin), str(source))
    folder = path.resolve().parent
    recipe = parse(KINDS[kind], read_yaml(path), str(path), folder)
    own = path.parent == recipes_root() / kind
    if (own or source.plugin) and recipe.name != path.stem:
        raise PkdError(f"{path}: name: is {recipe.name!r}, but a recipe's name is its file's.")
    if own:
        return recipe
    update: dict[str, Any] = {}
    if kind == "detectors" and recipe.config_content is None:
        update["config"] = beside(recipe.config, folder, f"{path}: config")
    if getattr(recipe, "imports", None):
        update["imports"] = located(recipe.imports, folder)
    return recipe.model_copy(update=update) if update else recipe


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, read without running anything.

    Raises:
        PkdError: Unreadable, not YAML, or not a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise PkdError(f"can't read {path}: {reason}.", None, ExitCode.USAGE) from error
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise PkdError(f"{path}{where}: {problem}.", "A recipe is plain YAML: keys, values, lists.") from error
    except RecursionError as error:
        raise PkdError(f"{path}: nested too deeply to be a recipe.") from error
    if not isinstance(content, dict):
        raise PkdError(f"{path}: should be a mapping of keys to values.", "`pkd show NAME` prints one of any kind.")
    return content


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
    """The safe loader, which also refuses a key that stands twice instead of silently taking the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                mark = key_node.start_mark
                raise yaml.constructor.ConstructorError(None, None, f"the key {key_node.value!r} stands twice", mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def parse(model: type[T], content: dict[str, Any], where: str, folder: Path | None = None) -> T:
    """Check `content` against a schema class.

    Args:
        model: The class.
        content: What was read.
        where: The file, for errors.
        folder: What paths in it are relative to; None leaves them as they are.

    Raises:
        PkdError: Every problem at once, each as `key.path: what is wrong`, with the nearest allowed key.
    """
    try:
        return model.model_validate(content, context={"folder": folder})
    except ValidationError as error:
        raise PkdError(*explain(model, error, where)) from None


@cache
def load_all(kind: str) -> tuple[Any, ...]:
    """Every recipe of a kind that has a name, in their order; without those of plug-ins that can't be used."""
    found = []
    for candidates in sources(kind).values():
        own = [one for one in candidates if one.plugin is None]
        if own:
            found += [read(kind, one) for one in own]
        elif len(candidates) == 1:
            with suppress(PkdError):
                found.append(read(kind, candidates[0]))
    return tuple(found)


def losses_with_temperature() -> str:
    """The remedy where a temperature was given for a loss that has none."""
    return f"Losses with one: {', '.join(loss.name for loss in load_all('losses') if loss.temperature is not None)}."


def unavailable_losses() -> dict[str, str]:
    """mmrazor's other losses, by class name, each with the reason why no recipe can name it."""
    return read_yaml(recipes_root() / "losses-unavailable.yaml")
