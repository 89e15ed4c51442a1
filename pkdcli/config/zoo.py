"""mmdet's metafiles: weights and reported AP of its configs, read without importing mmdet or torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pkdcli.recipe.configs import is_own
from pkdcli.recipe.detectors.metafile import said_of


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
    said = said_of(config)
    return ZooEntry(Path(config).stem, said.get("Weights"), _box_ap(said))


def _box_ap(model: dict[str, Any]) -> float | None:
    for result in model.get("Results", []):
        if result.get("Dataset") == "COCO" and "box AP" in result.get("Metrics", {}):
            return float(result["Metrics"]["box AP"])
    return None
