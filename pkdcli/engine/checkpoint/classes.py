"""The names of classes in checkpoints: by them, and not by their places, labels of two data sets are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pkdcli.engine.checkpoint.read import read_checkpoint
from pkdcli.recipe.detectors.read import modules


def classes_of(path: str | Path) -> list[str] | None:
    """The class names that a checkpoint of mmengine or mmdet carries, in the order of its labels, or None.

    Raises:
        PkdError: As `read_checkpoint`.
    """
    return _names(_meta(path))


def told_by_mmdet(path: str | Path) -> bool:
    """Whether mmdet's own tools wrote a checkpoint, of which the names tell the classes but not their order.

    mmdet's CocoDataset numbers labels in the order of the categories of the file that it was trained on, and notes down
    the order of the config's `classes`.

    Raises:
        PkdError: As `read_checkpoint`.
    """
    meta = _meta(path)
    return "cfg" in meta and "run" not in meta


def _meta(path: str | Path) -> Mapping[Any, Any]:
    return _mapping(_mapping(read_checkpoint(path)).get("meta"))


def _names(meta: Mapping[Any, Any]) -> list[str] | None:
    for place in (_mapping(meta.get("dataset_meta")), meta):
        for key in ("classes", "CLASSES"):
            if isinstance(place.get(key), (list, tuple)) and place[key]:
                return [str(name) for name in place[key]]
    return None


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def in_order_of(theirs: Sequence[str], ours: Sequence[str]) -> list[str] | None:
    """The classes of a data set in the order of a checkpoint's labels, as the data set spells them.

    Args:
        theirs: The checkpoint's.
        ours: The data set's.

    Returns:
        None where they are not the same classes.
    """
    by_name = {same_name(name): name for name in ours}
    if len(theirs) != len(ours) or {same_name(name) for name in theirs} != set(by_name):
        return None
    return [by_name[same_name(name)] for name in theirs]


def among(theirs: Sequence[str], ours: Sequence[str]) -> list[str | None] | None:
    """What a checkpoint's labels are called in a data set that has some of its classes.

    Args:
        theirs: The checkpoint's.
        ours: The data set's.

    Returns:
        The data set's name of each label, None for classes that it has not. None where the checkpoint lacks one.
    """
    by_name = {same_name(name): name for name in ours}
    found = [by_name.get(same_name(name)) for name in theirs]
    known = [name for name in found if name is not None]
    return found if len(known) == len(set(known)) == len(ours) else None


def with_classes(model: dict[str, Any], number: int) -> None:
    """Give a detector's heads as many classes as a checkpoint has.

    Args:
        model: The mmdet model section of a detector alone, changed in place.
        number: Of classes.
    """
    for module in modules(model):
        if "num_classes" in module:
            module["num_classes"] = number


def same_name(name: str) -> str:
    """COCO's names as mmdet 1 and 2 wrote them: traffic_light, traffic light."""
    return str(name).replace("_", " ").strip().lower()
