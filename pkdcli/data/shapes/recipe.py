"""The recipe of the embedded data set, with the files that were drawn, or will be."""

from __future__ import annotations

from pathlib import Path

from pkdcli.data.shapes.dataset import CLASSES, VERSION
from pkdcli.errors import PkdError
from pkdcli.recipe.places import made_here
from pkdcli.recipe.schema import Data, Split


def drawn_in(data: Data, cache: Path) -> Data:
    """The embedded data set in its folder of the cache; of a resolved recipe, too, that has the paths of another cache.

    Args:
        data: As a recipe has it.
        cache: The cache folder.

    Raises:
        PkdError: The recipe lists other classes than are drawn.
    """
    root = cache / "data" / f"shapes-v{VERSION}"
    if data.classes is not None and data.classes != list(CLASSES):
        raise PkdError(
            f"data set {data.name}: classes: {', '.join(data.classes)} can't be chosen: shapes is used with all that "
            f"are drawn, {', '.join(CLASSES)}.",
            "Leave `classes` out. Or list them in a data recipe without `generator`, whose `train` is {images: "
            f"{root / 'images' / 'train'}, annotations: {root / 'annotations' / 'train.json'}}}, and `val` likewise.",
        )
    data = made_here(data, cache)
    return data.model_copy(update={name: _under(root, split) for name, split in data.splits.items()})


def _under(root: Path, split: Split) -> Split:
    return Split(images=str(root / split.images), annotations=str(root / split.annotations))
