"""mmdet's own configs and metafiles: architecture, weights and reported AP, read without importing mmdet or torch."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pkdcli.errors import ExitCode, PkdError, nearest
from pkdcli.places import cache_root


@dataclass(frozen=True)
class ZooEntry:
    """What mmdet's metafile says of a config.

    Attributes:
        weights: Address of the trained weights, or None.
        box_ap: Box AP on COCO val2017 in AP points, or None.
    """

    name: str
    weights: str | None
    box_ap: float | None


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


def config_path(config: str, where: str = "config") -> Path:
    """The file of a config: mmdet's own by its relative name, or a path of the user's.

    Raises:
        PkdError: There is no such config; names the nearest in the same folder.
    """
    path = Path(config).expanduser()
    path = path if path.is_absolute() else configs_root() / config
    if path.is_file():
        return path
    siblings = [f"{path.parent.name}/{other.name}" for other in path.parent.glob("*.py")]
    guess = nearest(config, siblings)
    raise PkdError(
        f"{where}: there is no mmdet config {config!r}.",
        f"Did you mean {guess!r}?" if guess else "Configs are named as in mmdet, such as gfl/gfl_r50_fpn_1x_coco.py.",
    )


@cache
def _read(path: Path) -> Any:
    return _config_class().fromfile(str(path))


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


def load_config(config: str, where: str = "config") -> dict[str, Any]:
    """An mmdet config as plain nested dicts; the caller's own copy."""
    path = config_path(config, where)
    try:
        content = _plain(_read(path).to_dict())
    except PkdError:
        raise
    except Exception as error:  # a config is Python: anything can go wrong in a user's own
        raise PkdError(f"{where}: can't read {path}: {type(error).__name__}: {error}.") from error
    missing = [key for key in ("model", "optim_wrapper", "train_cfg", "param_scheduler") if key not in content]
    if missing:
        raise PkdError(
            f"{where}: {path} has no {', '.join(missing)}.", "A detector's config is a whole one, as mmdet trains it."
        )
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


@cache
def entry(config: str) -> ZooEntry:
    """What mmdet's metafile beside a config says of it; an entry without weights where it says nothing."""
    path = config_path(config)
    name = path.stem
    metafile = path.parent / "metafile.yml"
    if metafile.is_file():
        content = yaml.safe_load(metafile.read_text(encoding="utf-8"))
        models = content.get("Models", []) if isinstance(content, dict) else content
        for model in models or []:
            if Path(model.get("Config", "")).stem == name:
                return ZooEntry(name, model.get("Weights"), _box_ap(model))
    return ZooEntry(name, None, None)


def _box_ap(model: dict[str, Any]) -> float | None:
    for result in model.get("Results", []):
        if result.get("Dataset") == "COCO" and "box AP" in result.get("Metrics", {}):
            return float(result["Metrics"]["box AP"])
    return None
