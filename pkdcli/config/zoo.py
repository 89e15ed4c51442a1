"""mmdet's metafiles: weights and reported AP of its configs, read without importing mmdet or torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pkdcli.recipe.configs import config_path, is_own


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
