"""Which runs train together: each image is loaded and shown to the teacher once (`pkdcli.engine.worker.group`)."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence

from pkdcli.config.data import train_dataloader, val_pipeline, wants_masks
from pkdcli.config.trackers import one_per_process
from pkdcli.experiment.plan import PlannedRun
from pkdcli.recipe.schema import Recipe

# What students that train together may differ in. Anything that is added to a recipe keeps them apart unless it is
# named here.
_OWN = {"role", "pair", "student", "loss", "init", "distill_until", "checkpoint_minutes", "checkpoint_iters"}
_OWN |= {"weights", "weights_sha256"}  # of the teacher, which has a key of its own


def groups(planned: Sequence[PlannedRun], jobs: int = 1, share: bool | None = None) -> list[list[PlannedRun]]:
    """The runs, those that train together side by side; the others are each a group of their own.

    Students train together if they have the same teacher, data, schedule, batch and seed, and there are two of them or
    more; a baseline that shares all but the teacher rides along. Where several jobs run at a time, a group is cut into
    so many parts that no slot stays empty for its sake.

    Args:
        planned: Runs to carry out.
        jobs: How many jobs run at a time.
        share: True: one student and its baseline are enough; False: nobody shares.
    """
    if share is False:
        return [[one] for one in planned]
    students: dict[tuple[str, str], list[PlannedRun]] = defaultdict(list)
    # Most trackers know one run a process.
    able = [one for one in planned if not any(map(one_per_process, one.recipe.trackers))]
    for one in able:
        if one.recipe.role == "distill":
            students[_common(one.recipe), _teacher(one)].append(one)
    with_baselines = {}
    waiting = [one for one in able if one.recipe.role == "baseline"]
    for (common, teacher), members in students.items():
        along = [one for one in waiting if _common(one.recipe) == common]
        if len(members) >= 2 or (share and along):
            with_baselines[common, teacher] = along + members
            waiting = [one for one in waiting if one not in along]
    found = []
    for members in with_baselines.values():
        parts = min(len(members), math.ceil(jobs / len(with_baselines)))
        found += [members[len(members) * n // parts : len(members) * (n + 1) // parts] for n in range(parts)]
    together = {one.run: group for group in found for one in group}
    order: dict[int, list[PlannedRun]] = {}
    for one in planned:
        group = together.get(one.run, [one])
        order.setdefault(id(group), group)
    return list(order.values())


def _common(recipe: Recipe) -> str:
    """What a student must have in common with others to see the same images in the same steps."""
    whole = recipe.model_dump(mode="json")
    whole = {key: value for key, value in whole.items() if key not in _OWN and not key.startswith("teacher")}
    # Modules may change what all in a process are built from.
    modules = [one.model_dump() for one in recipe.student.imports]
    whole |= {"masks": wants_masks(recipe), "modules": modules}
    if recipe.training == "own":  # each student's config has pictures of its own, and so may its batches be shown
        whole["pictures"] = [train_dataloader(recipe)["dataset"], val_pipeline(recipe)]
    return json.dumps(whole, sort_keys=True)


def _teacher(planned: PlannedRun) -> str:
    """What it must have in common with others to share their teacher."""
    whole = planned.recipe.model_dump(mode="json")
    whole = {key: value for key, value in whole.items() if key.startswith("teacher")}
    return json.dumps({**whole, "run": planned.teacher.run if planned.teacher else None}, sort_keys=True)
