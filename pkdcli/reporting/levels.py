"""The levels of a student's neck by name: `P3 (stride 8)`."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from pkdcli.runs.record import Record

_STUDENT = re.compile(r"^student:.*?(?=^[^\s#-]|\Z)", re.MULTILINE | re.DOTALL)


def level_name(record: Record, level: int) -> str:
    """The name of a level by its stride; `level 0` where the stride can't be told from the run's recipe.

    Args:
        record: The run.
        level: The place of the level in the student's neck, from 0.
    """
    config = _config_of(record["path"]) if record.get("path") else None
    strides = _strides(config) if config else ()
    stride = strides[level] if level < len(strides) else None
    return f"P{stride.bit_length() - 1} (stride {stride})" if stride else f"level {level}"


@cache
def _config_of(folder: str) -> str | None:
    try:
        text = (Path(folder) / "recipe.yaml").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    # The student's part of a recipe is that of a hundred others, and reading YAML takes long.
    student = _STUDENT.search(text)
    return (_config_in(student[0]) if student else None) or _config_in(text)


@cache
def _config_in(text: str) -> str | None:
    import yaml

    try:
        recipe: Any = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        kept = recipe["student"].get("config_content")
        return kept if isinstance(kept, str) else str(recipe["student"]["config"])
    except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError):
        return None


@cache
def _strides(config: str) -> tuple[int | None, ...]:
    from pkdcli.config.levels import neck_levels
    from pkdcli.errors import PkdError
    from pkdcli.recipe.configs import from_text
    from pkdcli.recipe.detectors.read import load_config

    if "\n" in config:  # what one's own said, which is kept in the recipe as literals
        with suppress(PkdError, KeyError, TypeError, AttributeError):
            return tuple(level.stride for level in neck_levels(from_text(config)["model"], "student"))
        return ()
    path = PurePosixPath(config)
    # A config is a program: of those that a run directory names only mmdet's own are read.
    if path.is_absolute() or ".." in path.parts or "~" in config:
        return ()
    try:
        return tuple(level.stride for level in neck_levels(load_config(config)["model"], "student"))
    except PkdError:
        return ()
