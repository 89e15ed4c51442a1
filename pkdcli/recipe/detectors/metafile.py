"""What mmdet's metafiles say of its configs, read without importing mmdet or torch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pkdcli.recipe.configs import config_path


@cache
def said_of(config: str) -> dict[str, Any]:
    """The entry of a config in the metafile beside it, as mmdet wrote it; empty where there is none.

    Args:
        config: mmdet's own by its relative name, or the absolute path of a file.
    """
    path = config_path(config)
    metafile = path.parent / "metafile.yml"
    if not metafile.is_file():
        return {}
    for model in _models(metafile):
        if Path(model.get("Config", "")).stem == path.stem:
            return model
    return {}


@cache
def _models(metafile: Path) -> list[dict[str, Any]]:
    content = yaml.load(metafile.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return (content.get("Models") if isinstance(content, dict) else content) or []
