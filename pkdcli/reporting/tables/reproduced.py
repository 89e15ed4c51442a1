"""The lines of a table recipe with what their runs reached, what the paper says, and how the two agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

from pkdcli.recipe import library
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.schema import Recipe, TableRecipe
from pkdcli.recipe.table import Line
from pkdcli.reporting.published import join, rows_of_line
from pkdcli.runs.record import METRICS, Record

LINE_COLUMNS = (
    *("role", "pair", "teacher", "student", "schedule", "loss", "weight", "temperature", "data", "scale"),
    *("seeds", "n", "state"),
    *(key for name in METRICS for key in (name, f"{name}_std", f"paper_{name}", f"difference_{name}")),
    *("gain", "gain_std", "paper_gain", "sign", "rank", "paper_rank", "rank_correlation"),
    *("smoke", "error", "runs"),
)
"""The columns of `pkd reproduce --format csv`: AP in points; `rank` 1 is the best weight of its pair and schedule."""


@dataclass(frozen=True)
class Group:
    """The lines of one pair, schedule and loss, with the teacher and the student alone.

    Attributes:
        correlation: Spearman's, of our mAP and the paper's over the weights; None with fewer than two, or all equal.
    """

    teacher: Record
    baseline: Record
    lines: list[Record]
    correlation: float | None

    @property
    def records(self) -> list[Record]:
        """All of them, in the order of the paper's Table 7."""
        return [self.teacher, self.baseline, *self.lines]


def groups(
    table: TableRecipe, lines: Sequence[Line], found: Mapping[str, Record], literature: list[Record]
) -> list[Group]:
    """Fill in a table.

    Args:
        table: The table recipe.
        lines: Its lines; the facts of the data are known.
        found: Collected runs, teachers included, by run id; a run that is absent counts as not started.
        literature: Published numbers.
    """
    from pkdcli.config.teacher import teacher_recipe

    made = []
    # Rows are compared by identity: two equal ones are two groups.
    for _, members in groupby(lines, key=lambda line: id(line.row)):
        members = list(members)
        first = members[0]
        published = {"published_pair": first.row.published or first.recipe.pair, "table": table.published}
        teacher = _measured({0: teacher_recipe(first.recipe)}, found)
        baseline = _measured(first.baselines, found) | {"pair": first.recipe.pair}
        records = [_measured(line.runs, found) for line in members]
        for record, recipe in zip([teacher, baseline, *records], [first.recipe] * 2 + [m.recipe for m in members],
                                  strict=True):  # fmt: skip
            _add_paper(record, recipe, published, literature)
        for record, line in zip(records, members, strict=True):
            _add_gain(record, baseline, line, found)
        made.append(Group(teacher, baseline, records, _add_ranks(records)))
    return made


def not_comparable(recipe: Recipe) -> str | None:
    """Why a run's numbers can't be held against the paper's, in words; None where they can."""
    reasons = []
    if recipe.data.name != "coco":
        reasons.append(f"data {recipe.data.name}")
    if recipe.scale.name != "paper":
        reasons.append(f"scale {recipe.scale.name}")
    elif recipe.schedule not in library.load_all("schedules"):
        reasons.append(f"a changed schedule {recipe.schedule.name}")
    if recipe.max_iters or recipe.val_images:
        reasons.append("a smoke run")
    if recipe.scale.name == "paper" and not recipe.pretrained:
        reasons.append("no pretrained weights")
    return ", ".join(reasons) or None


def spearman(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None with fewer than two pairs or a constant side.

    Args:
        ours: Numbers.
        theirs: As many others.
    """
    if len(ours) < 2:
        return None
    a, b = _mean_ranks(ours), _mean_ranks(theirs)
    mean = (len(a) + 1) / 2
    product = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    norm = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return product / norm if norm else None


def _mean_ranks(values: Sequence[float]) -> list[float]:
    return [sum(other > value for other in values) + (values.count(value) + 1) / 2 for value in list(values)]


def _measured(recipes: Mapping[int, Recipe], found: Mapping[str, Record]) -> Record:
    """The identity of an experiment, and the mean and standard deviation of its metrics over its finished seeds."""
    recipe = next(iter(recipes.values()))
    runs = {seed: run_id(one) for seed, one in recipes.items()}
    known = {seed: found[run] for seed, run in runs.items() if run in found}
    done = [record for record in known.values() if record["mAP"] is not None]
    record: Record = {
        "role": recipe.role,
        "pair": recipe.pair if recipe.role != "teacher" else None,
        "teacher": recipe.student.name if recipe.role == "teacher" else recipe.teacher and recipe.teacher.name,
        "teacher_title": recipe.teacher.title if recipe.teacher else None,
        "student": None if recipe.role == "teacher" else recipe.student.name,
        "student_title": recipe.student.title,
        "schedule": recipe.schedule.name,
        "loss": recipe.loss.name,
        "weight": recipe.loss.weight,
        "temperature": recipe.loss.temperature,
        "data": recipe.data.name,
        "scale": recipe.scale.name,
        "seeds": " ".join(str(seed) for seed in recipes) if recipe.role != "teacher" else str(recipe.seed),
        "n": len(done),
        "state": "done",
        "smoke": next((one["smoke"] for one in done if one["smoke"]), None),
        "error": None,
        "runs": " ".join(runs.values()),
        "unfinished": [],
        **dict.fromkeys(("gain", "gain_std", "paper_gain", "sign", "rank", "paper_rank", "rank_correlation")),
    }
    for name in METRICS:
        values = [one[name] for one in done]
        whole = bool(values) and None not in values
        record |= _mean_of(name, values if whole else [])
    for seed, run in runs.items():
        one = known.get(seed, {"mAP": None, "state": "not started", "error": None})
        if one["mAP"] is None:
            state = "not started" if one["state"] == "queued" else one["state"]
            record["unfinished"].append((run, state, one["error"]))
    if record["unfinished"]:
        _, record["state"], record["error"] = record["unfinished"][0]
    return record


def _mean_of(name: str, values: Sequence[float]) -> dict[str, Any]:
    return {name: fmean(values) if values else None, f"{name}_std": stdev(values) if len(values) > 1 else None}


def _add_paper(record: Record, recipe: Recipe, published: Mapping[str, Any], literature: list[Record]) -> None:
    """The paper's numbers, and our difference from them where it means something."""
    wanted = record | {"pair": published["published_pair"]}
    rows = rows_of_line(literature, published["table"], wanted) if published["table"] else []
    joined: Record = {"mAP": None, "scale": None, "data": None, "split": None, "smoke": None}
    join(joined, rows)
    record["paper_notes"] = joined["paper_notes"]
    for name in METRICS:
        ours, theirs = record[name], joined[f"paper_{name}"]
        record[f"paper_{name}"] = theirs
        known = ours is not None and isinstance(theirs, float) and not_comparable(recipe) is None
        record[f"difference_{name}"] = ours - theirs if known else None


def _add_gain(record: Record, baseline: Record, line: Line, found: Mapping[str, Record]) -> None:
    """The gain over the baseline, seed by seed, and whether its sign is the paper's."""
    gains = []
    for seed, recipe in line.runs.items():
        ours, alone = (found.get(run_id(one), {}).get("mAP") for one in (recipe, line.baselines[seed]))
        if ours is not None and alone is not None:
            gains.append(ours - alone)
    record |= _mean_of("gain", gains)
    theirs, alone = record["paper_mAP"], baseline["paper_mAP"]
    if isinstance(theirs, float) and isinstance(alone, float):
        record["paper_gain"] = round(theirs - alone, 6)
    # The AP of a smoke run says nothing, so neither does its sign.
    if record["gain"] is not None and record["paper_gain"] is not None and not record["smoke"]:
        same = _sign(record["gain"]) == _sign(record["paper_gain"])
        record["sign"] = "same" if same else "different"


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _add_ranks(records: list[Record]) -> float | None:
    """Rank the weights of a group by our mAP and by the paper's, each where all are known; the ranks' correlation."""
    if len(records) < 2:
        return None
    ranked = {}
    for key, rank in (("mAP", "rank"), ("paper_mAP", "paper_rank")):
        values = [record[key] for record in records]
        worth = key != "mAP" or not any(record["smoke"] for record in records)
        if worth and all(isinstance(value, (int, float)) for value in values):
            ranked[key] = values
            for record in records:
                record[rank] = 1 + sum(value > record[key] for value in values)
    correlation = spearman(ranked["mAP"], ranked["paper_mAP"]) if len(ranked) == 2 else None
    for record in records:
        record["rank_correlation"] = correlation
    return correlation
