"""The configs of detectors: which file, and what is in it. Read without mmdet or torch.

A config of mmdet's own is known by its name. One's own is a program that can change: what it says is kept in the
resolved recipe, as literals, so that a run is made of what the file said when the run was asked for.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import os
import pprint
import warnings
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pkdcli.errors import ExitCode, PkdError, nearest
from pkdcli.folders import cache_root

SECTIONS = ("model", "optim_wrapper", "train_cfg", "param_scheduler")
"""What a run is made of; the rest of a config changes no result."""
KEPT = (*SECTIONS, "custom_imports", "custom_hooks", "train_dataloader", "val_dataloader", "test_dataloader")
"""What is kept of a config."""


@cache
def configs_root() -> Path:
    """The folder of mmdet's configs, found without importing mmdet.

    Raises:
        PkdError: mmdet is not installed (exit code 3).
    """
    spec = importlib.util.find_spec("mmdet")
    root = Path(spec.submodule_search_locations[0]) / ".mim" / "configs" if spec else None
    if root is None or not root.is_dir():
        raise PkdError("mmdet's configs are not installed.", "pip install mmdet==3.3.0", ExitCode.MISSING)
    return root


def is_own(config: str) -> bool:
    """Whether a config is a file of the user's."""
    return Path(config).expanduser().is_absolute()


def beside(config: str, folder: Path, where: str) -> str:
    """A config as a recipe in `folder` names it: the absolute path of a file relative to it, or the name of mmdet's.

    Args:
        config: As the recipe names it.
        folder: The recipe's folder.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: It can be no config of mmdet's, whose names have a folder, and there is no such file.
    """
    path = folder / Path(config).expanduser()
    if path.is_file():
        return str(Path(os.path.normpath(path)))
    if is_own(config) or "/" not in config or config.startswith("."):
        raise PkdError(
            f"{where}: there is no file {Path(os.path.normpath(path))}.",
            "A path in a recipe is relative to the recipe's own folder; a config of mmdet's is named with its own, as "
            "gfl/gfl_r50_fpn_1x_coco.py is.",
        )
    return config


def config_path(config: str, where: str = "config") -> Path:
    """The file of a config: mmdet's own by its relative name, or a path of the user's.

    Args:
        config: mmdet's own by its relative name, or the absolute path of a file.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: There is no such config; names the nearest in the same folder.
    """
    path = Path(config).expanduser()
    path = path if path.is_absolute() else configs_root() / config
    if path.is_file():
        return path
    if is_own(config):
        raise PkdError(f"{where}: there is no file {path}.", "Put it back, or correct the path.")
    siblings = [f"{path.parent.name}/{other.name}" for other in path.parent.glob("*.py")]
    guess = nearest(config, siblings)
    raise PkdError(
        f"{where}: there is no mmdet config {config!r}.",
        f"Did you mean {guess!r}?" if guess else "Configs are named as in mmdet, such as gfl/gfl_r50_fpn_1x_coco.py; "
        "the path of one's own is relative to the recipe that names it.",
    )


@cache
def _config_class() -> Any:
    """mmengine's Config, imported such that yapf, which it imports, does not write into the user's home."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(cache_root())
    try:
        from mmengine.config import Config
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before
    return Config


def read_config(path: Path, where: str) -> dict[str, Any]:
    """A whole config as plain nested dicts. Modules that it asks to import are not imported here.

    Args:
        path: The file.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: It can't be read, or lacks a section.
    """
    from pkdcli.compat import quiet_setuptools

    try:
        with warnings.catch_warnings():
            quiet_setuptools()  # `_base_ = ["mmdet::..."]` makes mmengine import pkg_resources
            content = _plain(_config_class().fromfile(str(path), import_custom_modules=False).to_dict())
    except PkdError:
        raise
    except Exception as error:  # a config is Python: anything can go wrong in a user's own
        raise PkdError(f"{where}: can't read {path}: {type(error).__name__}: {error}.") from error
    missing = [key for key in SECTIONS if key not in content]
    if missing:
        raise PkdError(
            f"{where}: {path} has no {', '.join(missing)}.", "A detector's config is a whole one, as mmdet trains it."
        )
    if isinstance(content["param_scheduler"], dict):  # a single one may stand without its list
        content["param_scheduler"] = [content["param_scheduler"]]
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


class _Infinite(float):
    """An infinite number that reads back as a literal."""

    def __repr__(self) -> str:
        return "1e999" if self > 0 else "-1e999"


class _NoLiteral(Exception):
    """A value that can't be written as a literal; `args` has its key path and type."""


def as_text(content: dict[str, Any], where: str) -> str:
    """A config as `key = value` lines of Python literals, from which `from_text` reads it back, tuples included.

    Of what no run depends on, some is left out: other keys, and those with values that are no literals.

    Args:
        content: A whole config as nested dicts.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: A run depends on it.
    """
    lines = []
    for key, value in ((key, content[key]) for key in KEPT if key in content):
        try:
            literal = _literal(value, key)
        except _NoLiteral as error:
            if key in SECTIONS:
                path, kind = error.args
                raise PkdError(
                    f"{where}: {path}: a {kind} can't be kept in a recipe.",
                    "Write numbers, text, lists, tuples and dicts; name classes by their type's name.",
                ) from None
            continue
        lines.append(f"{key} = {pprint.pformat(literal, width=100, sort_dicts=False)}")
    return "\n".join(lines) + "\n"


def _literal(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return {key: _literal(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_literal(item, f"{path}.{index}") for index, item in enumerate(value))
    if isinstance(value, float) and math.isinf(value):
        return _Infinite(value)
    if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    raise _NoLiteral(path, type(value).__name__)


def from_text(text: str, where: str = "config_content") -> dict[str, Any]:
    """What `as_text` has written; nothing in it is run. The caller's own copy.

    Args:
        text: As `as_text` has written it.
        where: File and key path that hold it, for messages.

    Raises:
        PkdError: It is something else.
    """
    try:
        found = {}
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
                raise ValueError(f"line {statement.lineno} is no `key = value`")
            found[statement.targets[0].id] = ast.literal_eval(statement.value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise PkdError(f"{where}: not a config as pkd keeps it: {error}.") from error
    return found


@lru_cache(maxsize=256)
def identity_of(text: str) -> str:
    """What of a kept config a run's name is made of: the sections that change a result, one spelling each."""
    content = from_text(text)
    return repr([(key, _sorted(content.get(key))) for key in SECTIONS])


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return [(str(key), _sorted(value[key])) for key in sorted(value, key=str)]
    return [_sorted(item) for item in value] if isinstance(value, (list, tuple)) else value
