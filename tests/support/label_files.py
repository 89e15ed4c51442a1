"""Files of labelling tools, and what an import made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pkdcli.api.data.importing import Imported

Corners = Sequence[Any]


def voc_xml(name: str, size: tuple[int, int], things: Sequence[tuple[str, Corners]], more: str = "") -> str:
    """The text of a VOC file; `more` stands inside each object."""
    objects = "".join(
        f"<object><name>{label}</name>{more}<bndbox>"
        + "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
        + "</bndbox></object>"
        for label, corners in things
    )
    width, height = size
    return (
        f"<annotation><folder>x</folder><filename>{name}</filename><size><width>{width}</width>"
        f"<height>{height}</height><depth>3</depth></size>{objects}</annotation>"
    )


def boxes_of(found: Imported) -> dict[str, list[dict[str, Any]]]:
    """By file name, the annotations with the names of their classes in place of numbers."""
    boxes: dict[str, list[dict[str, Any]]] = {}
    for split in found.images:
        coco = json.loads((found.recipe.parent / "annotations" / f"{split}.json").read_text())
        names = {one["id"]: one["name"] for one in coco["categories"]}
        files = {one["id"]: one["file_name"] for one in coco["images"]}
        boxes |= {name: [] for name in files.values()}
        for one in coco["annotations"]:
            kept = {key: value for key, value in one.items() if key not in ("id", "image_id", "category_id")}
            boxes[files[one["image_id"]]].append({"class": names[one["category_id"]], **kept})
    return boxes


def passed(found: Imported) -> dict[str, str]:
    """Why each file was passed over, by its name."""
    return {one.file: one.why for one in found.passed}
