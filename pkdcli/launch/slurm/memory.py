"""How much memory a node should be asked for, where nobody has said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Launcher, Recipe

GIB = 2**30
PROCESS = 2.5  # GiB of a process with torch, CUDA's libraries, a student, a teacher and its pictures
LOADER = 0.5  # GiB of a process that loads pictures
ANNOTATIONS = 10  # times the size of the JSON, while it is read: COCO's 449 MB were measured as 3.9 GiB
_STEP = 4  # GiB; a suggestion is a round number


def suggested(recipes: Sequence[Recipe], launcher: Launcher) -> int:
    """GiB of a node for the largest of some runs, rounded up.

    Args:
        recipes: What is run there.
        launcher: How many processes a node has.
    """
    most = 0.0
    for recipe in recipes:
        processes = 1 if recipe.weights else launcher.per_node
        splits = [recipe.data.val] if recipe.weights else [recipe.data.train, recipe.data.val]
        annotations = max(_size(split.annotations) for split in splits) * ANNOTATIONS / GIB
        most = max(most, processes * (PROCESS + LOADER * recipe.workers + annotations))
    return _STEP * math.ceil(most / _STEP)


def said(recipes: Sequence[Recipe], launcher: Launcher) -> str | None:
    """What to say where no memory is asked for; None where some is.

    Args:
        recipes: Of the runs that are to be submitted.
        launcher: What is asked of the cluster.
    """
    # An exclusive node gives all its cores, but no more memory than the default.
    asked = launcher.memory or any(word.startswith("mem-per-") for word in launcher.options)
    if asked or not recipes:
        return None
    gib = suggested(recipes, launcher)
    return (
        "no memory is asked for, so a node gives the cluster's default, often a few GiB a core; from the size of the "
        f"data these runs want about {gib} GiB a node: --memory {gib}G"
    )


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
