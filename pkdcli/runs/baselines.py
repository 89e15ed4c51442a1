"""Which runs belong together: the baseline that a run is measured against, and the runs of one experiment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.runs.record import Record

_SAME = ("student", "schedule", "data", "scale", "batch", "seed")

_OF_AN_EXPERIMENT = ("pair", "student", "role", "loss", "weight", "temperature", "schedule", "data", "scale", "batch")


def add_experiments(records: Iterable[Record]) -> None:
    """Fill `experiment` of runs from before it was written down, where others look like more seeds of the same.

    It follows from the recipe, which is read for those few; where that can't be, the run stays by itself.
    """
    alike = defaultdict(list)
    for record in records:
        alike[tuple(record[key] for key in _OF_AN_EXPERIMENT)].append(record)
    for members in alike.values():
        if any(one["experiment"] is not None for one in members):
            for one in members:
                if one["experiment"] is None and not one["foreign"]:
                    one["experiment"] = _experiment(Path(one["path"]))


def _experiment(folder: Path) -> str | None:
    from pkdcli.recipe.identity import experiment
    from pkdcli.recipe.modules.copies import read_recipe

    try:
        return experiment(read_recipe(folder / "recipe.yaml"))
    except (PkdError, OSError):
        return None


def add_gains(records: list[Record]) -> None:
    """Fill `gain`, `baseline` and `baseline_mAP` of every distilled run that has a result and a baseline with one."""
    baselines = defaultdict(list)
    for record in records:
        if record["role"] == "baseline" and record["mAP"] is not None:
            baselines[tuple(record[key] for key in _SAME)].append(record)
    for record in records:
        if record["role"] in ("baseline", "teacher"):
            continue
        alike = baselines[tuple(record[key] for key in _SAME)]
        best = baseline_among(record, chain(*baselines.values()) if record["foreign"] else alike)
        if best is None:
            continue
        record["baseline"], record["baseline_mAP"] = best["run"], best["mAP"]
        if record["mAP"] is not None:
            record["gain"] = record["mAP"] - best["mAP"]


def baseline_among(record: Record, records: Iterable[Record]) -> Record | None:
    """The finished baseline that a run is measured against; None where there is none.

    Args:
        record: The run.
        records: Where to look: runs of any kind.
    """
    alike = [
        one
        for one in records
        if one["role"] == "baseline" and one["mAP"] is not None
        and all(one[key] == record[key] for key in _SAME if key != "seed") and _comparable(record, one)
    ]  # fmt: skip
    matching = [one for one in alike if one["seed"] == record["seed"]]
    if record["foreign"] and not matching and len(alike) == 1:
        matching = alike  # mmengine draws a seed for each run
    # Equal in every setting known to both; then the one asked for with the same pair, then by name.
    return min(
        matching, key=lambda b: (*(b[key] != record[key] for key in ("comparable", "pair")), b["run"]), default=None
    )


def _comparable(record: Record, baseline: Record) -> bool:
    # The AP of a few images says nothing beside that of all of them.
    if record["smoke"] != baseline["smoke"] or bool(record["foreign"]) != bool(baseline["foreign"]):
        return False
    return all(None in (record[key], baseline[key]) or record[key] == baseline[key] for key in ("comparable", "split"))
