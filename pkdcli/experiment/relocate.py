"""Where a run's data lies, in the files of its directory: the recipe, and what people and other tools read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml

from pkdcli.recipe.library import read_yaml
from pkdcli.recipe.schema import Data
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_text


def as_yaml(content: Mapping[str, Any]) -> str:
    """The content of a recipe as YAML.

    Args:
        content: Plain data.
    """
    return yaml.dump(content, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=110)


class _Readable(yaml.SafeDumper):
    """The safe dumper, which writes what a detector's own config says line by line."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if value.endswith("\n") else None)


_Readable.add_representer(str, _text)


def say_where(paths: RunPaths, data: Data) -> bool:
    """Write into a run's files where its data lies now; the run's id and its numbers stay.

    Args:
        paths: The run.
        data: The same data, with the places of its splits.

    Returns:
        Whether that is elsewhere than the recipe said.

    Raises:
        PkdError: The recipe can't be read, or the folder can't be written.
    """
    try:
        said = paths.recipe.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False  # a run that has lost its recipe has nothing to be told
    places = [place for split in data.splits.values() for place in (split, *split.joined)]
    named = [path for place in places for path in (place.images, place.annotations)]
    if all(f": {path}\n" in said for path in named):  # the usual case, for which no YAML has to be read
        return False
    content = read_yaml(paths.recipe)
    section = content.get("data")
    if not isinstance(section, dict):
        return False
    moved: dict[str, str] = {}
    for name, split in data.splits.items():
        old, new = section.get(name), split.model_dump()
        if isinstance(old, dict) and old != new:
            moved |= _moved(old, new)
            section[name] = new
    if moved:
        write_text(paths.recipe, as_yaml(content))
        replace_paths(paths, moved)
    return bool(moved)


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """New places by old ones, of a split as the recipe has it, and of what it is joined of."""
    moved = {str(old[key]): new[key] for key in ("images", "annotations") if key in old}
    for before, now in zip(old.get("joined", ()), new.get("joined", ()), strict=False):
        moved |= _moved(before, now)
    return moved


def replace_paths(paths: RunPaths, moved: Mapping[str, str]) -> None:
    """Say the new places in the configs, which stock mmdet reads, and beside the images of samples.json.

    Args:
        paths: The run.
        moved: Files and folders as the run's files name them, with where they are now.
    """
    olds = "|".join(re.escape(old) for old in sorted(moved, key=len, reverse=True))
    whole = re.compile(rf"(?:{olds})(?=[\"'/\\])")  # and not the beginning of another name
    files = [paths.config, *(paths.stock_config(role) for role in ("distill", "teacher")), paths.samples]
    for file in [*files, *paths.root.glob("eval/*.samples.json")]:
        with suppress(OSError, UnicodeDecodeError):
            before = file.read_text(encoding="utf-8")
            quoted = _in_json if file.suffix == ".json" else _in_python
            after = whole.sub(lambda found, quoted=quoted: quoted(moved[found[0]]), before)
            if after != before:
                write_text(file, after)


def _in_json(path: str) -> str:
    return json.dumps(path, ensure_ascii=False)[1:-1]


def _in_python(path: str) -> str:
    return repr(path)[1:-1]
