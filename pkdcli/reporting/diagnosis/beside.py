"""What other runs say of one: the same with another weight, and the teacher's own training."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.errors import PkdError
from pkdcli.recipe.identity import digest
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.reporting.curves import number
from pkdcli.runs.paths import RunPaths

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Recipe
    from pkdcli.reporting.diagnosis.facts import Facts

LEARNED = 20.0
"""AP50 from which on a teacher has learned what it was shown: labels that contradict the pictures do not allow that."""
_SAME = ("loss", "temperature", "role", "schedule", "data", "student")
"""What the columns tell of runs that may differ in weight and seed alone; their recipes tell the rest."""


def by_weight(facts: Facts) -> dict[float, list[float]]:
    """The mAP of the finished runs in its folder that differ in weight and seed alone, by weight; its own is there."""
    if not facts.result:  # what a run has before its end is no measure of its weight
        return {}
    rows = [one for one in facts.among if one.get("state") == "done" and number(one.get("mAP")) is not None]
    rows = [one for one in rows if all(one.get(key) == facts.record.get(key) for key in _SAME)]
    if len(rows) < 2:
        return {}
    found: dict[float, list[float]] = {}
    own = _but_for_weight(facts.recipe, facts.recipe)
    for one in rows:
        weight, mAP = number(one.get("weight")), number(one.get("mAP"))
        with suppress(PkdError):
            other = read_recipe(RunPaths(facts.paths.root.parent / str(one["run"])).recipe)
            if weight is not None and mAP is not None and _but_for_weight(other, facts.recipe) == own:
                found.setdefault(weight, []).append(mAP)
    return found


def _but_for_weight(recipe: Recipe, as_of: Recipe) -> str:
    """The identity that a recipe would have with the weight and the seed of another."""
    loss = recipe.loss.model_copy(update={"weight": as_of.loss.weight})
    return digest(recipe.model_copy(update={"loss": loss, "seed": as_of.seed}))


def taught_by_the_same_labels(facts: Facts) -> bool:
    """Whether the teacher was trained with this very data and finds objects in it: its labels can be learned."""
    recipe, metrics = facts.recipe, facts.result.get("teacher_metrics")
    AP50 = number(metrics.get("AP50")) if isinstance(metrics, dict) else None
    if not facts.distilled or AP50 is None or AP50 < LEARNED:
        return False
    if recipe.teacher_checkpoint is None:
        return recipe.trains_teacher
    home = home_of(facts)
    return home is not None and home.data.fingerprint is not None and home.data.fingerprint == recipe.data.fingerprint


def home_of(facts: Facts) -> Recipe | None:
    """The recipe of the run whose weights the teacher has, where its file lies in the folder of one."""
    file = facts.recipe.teacher_checkpoint
    with suppress(PkdError, OSError):
        return read_recipe(RunPaths(Path(file).expanduser().parent).recipe) if file is not None else None
    return None


def teachers_input(facts: Facts) -> Mapping[str, Any] | None:
    """How images were normalised in the training of the teacher's weights, which may have set it otherwise."""
    from pkdcli.config.build import model_as_set

    home = home_of(facts)
    with suppress(PkdError, OSError):
        section = model_as_set(home).get("data_preprocessor") if home is not None else None
        return section.get("student", section) if section else None
    return None
