"""mmdet's own configs and metafiles: architecture, weights and reported AP, read without importing mmdet or torch."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pkdcli.recipe.configs import config_path, configs_root, from_text, is_own, read_config
from pkdcli.recipe.schema import Detector


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
def _read(path: Path) -> dict[str, Any]:
    return read_config(path, "config")


def load_config(config: str, where: str = "config") -> dict[str, Any]:
    """An mmdet config as plain nested dicts; the caller's own copy.

    Args:
        config: mmdet's own by its relative name, or the absolute path of a file.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: There is no such config, or it can't be read.
    """
    path = config_path(config, where)
    return copy.deepcopy(_read(path) if path.is_relative_to(configs_root()) else read_config(path, where))


def config_of(detector: Detector) -> dict[str, Any]:
    """A detector's config: of a config of one's own, what it said when the recipe was resolved. The caller's own copy.

    Raises:
        PkdError: It can't be read.
    """
    if detector.config_content is not None:
        return from_text(detector.config_content, f"detector {detector.name}: config_content")
    return load_config(detector.config, f"detector {detector.name}: config")


@cache
def entry(config: str) -> ZooEntry:
    """What mmdet's metafile beside a config says of it; an entry without weights where it says nothing."""
    if is_own(config) and not Path(config).expanduser().is_file():
        return ZooEntry(Path(config).stem, None, None)  # a run keeps what the file said
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
