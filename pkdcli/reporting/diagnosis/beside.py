"""What other runs say of one: the same with another weight, and the teacher's own training."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.recipe.identity import digest
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.reporting.curves import number
from pkdcli.runs.paths import RunPaths

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

LEARNED = 20.0
"""AP50 from which on a teacher has learned what it was shown: labels that contradict the pictures do not allow that."""
_SAME = ("comparable", "loss", "temperature", "seed", "role")
"""What the columns tell of runs that may differ in the weight alone; their recipes tell the rest."""


def by_weight(facts: Facts) -> list[tuple[float, float]]:
    """Weight and mAP of the finished runs in its folder that differ in the weight of the loss alone, and its own."""
    found, own = [], digest(facts.recipe)
    for one in facts.among if facts.result else ():  # what a run has before its end is no measure of its weight
        weight, mAP = number(one.get("weight")), number(one.get("mAP"))
        alike = one.get("state") == "done" and all(one.get(key) == facts.record.get(key) for key in _SAME)
        if weight is None or mAP is None or not alike:
            continue
        with suppress(PkdError):
            other = read_recipe(RunPaths(facts.paths.root.parent / str(one["run"])).recipe)
            loss = other.loss.model_copy(update={"weight": facts.recipe.loss.weight})
            if digest(other.model_copy(update={"loss": loss})) == own:
                found.append((weight, mAP))
    return sorted(found)


def taught_by_the_same_labels(facts: Facts) -> bool:
    """Whether the teacher was trained with this very data and finds objects in it: its labels can be learned."""
    recipe, metrics = facts.recipe, facts.result.get("teacher_metrics")
    AP50 = number(metrics.get("AP50")) if isinstance(metrics, dict) else None
    if not facts.distilled or AP50 is None or AP50 < LEARNED:
        return False
    if recipe.teacher_checkpoint is None:
        return recipe.trains_teacher
    with suppress(PkdError, OSError):
        home = read_recipe(RunPaths(Path(recipe.teacher_checkpoint).expanduser().parent).recipe)
        return home.data.fingerprint is not None and home.data.fingerprint == recipe.data.fingerprint
    return False
