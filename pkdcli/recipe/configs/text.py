"""What a recipe keeps of a config of the user's own, and what of that a run's name is made of."""

from __future__ import annotations

import ast
import math
import pprint
from functools import lru_cache
from typing import Any

from pkdcli.errors import PkdError

SECTIONS = ("model", "optim_wrapper", "train_cfg", "param_scheduler")
"""What a run trained by the paper's settings is made of; the rest of a config changes no result."""
OWN = ("train_dataloader", "custom_hooks", "default_hooks", "auto_scale_lr", "find_unused_parameters", "sync_bn",
       "val_dataloader", "test_dataloader", "val_cfg", "test_cfg")  # fmt: skip
"""What besides a run is made of that is trained, and tested, by its config's own settings."""
KEPT = (*SECTIONS, "custom_imports", *OWN)
"""What is kept of a config."""

# Where files lie, how they are loaded and how often one looks: none of it changes a result.
_NO_RESULT = {"ann_file", "data_root", "data_prefix", "metainfo", "backend_args", "img_prefix", "seg_prefix",
              "num_workers", "persistent_workers", "pin_memory", "prefetch_factor"}  # fmt: skip
_ONLY_LOOK = {"timer", "logger", "visualization", "checkpoint", "sampler_seed"}


class _Infinite(float):
    """An infinite number that reads back as a literal."""

    def __repr__(self) -> str:
        return "1e999" if self > 0 else "-1e999"


class _NoLiteral(Exception):
    """A value that can't be written as a literal; `args` has its key path and type."""


def as_text(content: dict[str, Any], where: str, *, own: bool = False) -> str:
    """A config as `key = value` lines of Python literals, from which `from_text` reads it back, tuples included.

    Of what no run depends on, some is left out: other keys, and those with values that are no literals.

    Args:
        content: A whole config as nested dicts.
        where: File and key path that name it, for messages.
        own: A run is trained by the config's own settings, so that it depends on more of them.

    Raises:
        PkdError: A run depends on it.
    """
    lines = []
    for key, value in ((key, content[key]) for key in KEPT if key in content):
        try:
            literal = _literal(value, key)
        except _NoLiteral as error:
            if key in SECTIONS or (own and key in OWN):
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
def identity_of(text: str, *, own: bool = False) -> str:
    """What of a kept config a run's name is made of: what changes a result, one spelling each, and no path.

    Args:
        text: As `as_text` has written it.
        own: The run is trained by the config's own settings, so that its data pipeline, hooks and tests count too.
    """
    content = from_text(text)
    found = [(key, _sorted(content.get(key))) for key in SECTIONS]
    if own:
        found += [(key, _sorted(_of_result(key, content[key]))) for key in OWN if key in content]
    return repr(found)


def _of_result(key: str, value: Any) -> Any:
    """A section without what changes no result."""
    if key == "default_hooks":
        return {name: hook for name, hook in (value or {}).items() if name not in _ONLY_LOOK}
    if not key.endswith("_dataloader"):
        return value
    return _without(value, _NO_RESULT)


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    return [_without(item, keys) for item in value] if isinstance(value, (list, tuple)) else value


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return [(str(key), _sorted(value[key])) for key in sorted(value, key=str)]
    return [_sorted(item) for item in value] if isinstance(value, (list, tuple)) else value
