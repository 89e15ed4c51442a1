"""Pictures and label files as labelling tools write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_files import boxes_of, voc_xml
from PIL import Image

import pkdcli
from pkdcli.api.data.importing import Imported


@pytest.fixture
def picture(tmp_path) -> Callable[..., Path]:
    """Save a picture of its own content; returns its path."""

    def save(name: str, width: int = 100, height: int = 50, root: Path | None = None, **how: Any) -> Path:
        path = (root or tmp_path / "source") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(abs(hash(name)) % 2**32)
        pixels = rng.integers(0, 256, (5, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(path, **how)
        return path

    return save


@pytest.fixture
def voc(tmp_path, picture) -> Path:
    """Ten pictures of 100 x 50 with a cat or a dog on each, in VOC's layout."""
    root = tmp_path / "source"
    (root / "Annotations").mkdir(parents=True)
    for number in range(10):
        picture(f"JPEGImages/p{number}.jpg")
        things = [(("cat", "dog")[number % 2], (1 + number, 2, 40 + number, 41))]
        text = voc_xml(f"p{number}.jpg", (100, 50), things)
        (root / "Annotations" / f"p{number}.xml").write_text(text)
    return root


@pytest.fixture
def take(tmp_path, monkeypatch):
    """Import a folder; returns what was made and, by file name, the boxes of all splits."""
    monkeypatch.chdir(tmp_path)

    def take(path: Path, **keywords: Any) -> tuple[Imported, dict[str, list[dict[str, Any]]]]:
        found = pkdcli.data_import(path, output=tmp_path / "made", force=True, **keywords)
        return found, boxes_of(found)

    return take
