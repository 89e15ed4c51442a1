"""The runs as `pkd eval --split` has measured them, in place of the numbers that they ended with."""

from __future__ import annotations

from pathlib import Path

from pkdcli.runs.baselines import add_gains
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import METRICS, Record, classes_of, number_of
from pkdcli.runs.store import read_object

SPLITS = ("val", "test")

_NAMED = 10
"""So many runs that were never evaluated get a line of their own."""


def on_split(records: list[Record], split: str) -> tuple[list[Record], list[str]]:
    """The finished runs with their numbers on a split, their gains over baselines on the same split, and notes.

    Args:
        records: All runs; they are left as they are.
        split: `test`, say.

    Returns:
        The runs that were evaluated there, and a sentence on each data set without that split, and on each finished run
        that was never evaluated on it, with the command to type.
    """
    found, todo, without = [], [], {}
    for record in records:
        if record["mAP"] is None or record["foreign"] or not record["path"]:
            continue
        paths = RunPaths(Path(record["path"]))
        result = read_object(paths.evaluation(record["data"], split))
        if not isinstance(result.get("metrics"), dict):
            if _has_split(paths, split):
                todo.append(record["run"])
            else:
                without.setdefault(record["data"], 0)
                without[record["data"]] += 1
            continue
        teacher = read_object(paths.evaluation(f"teacher-{record['data']}", split)).get("metrics")
        one = dict(record) | {"split": split, "gain": None, "baseline": None, "baseline_mAP": None}
        for prefix, metrics in (("", result["metrics"]), ("teacher_", teacher)):
            for name in METRICS:
                one[prefix + name] = number_of(metrics.get(name)) if isinstance(metrics, dict) else None
        one["classes"] = classes_of(result)
        found.append(one)
    add_gains(found)
    notes = [
        f"Data set {data} has no split {split!r}: name one in its recipe ({count} run{'s' * (count != 1)} on it)."
        for data, count in without.items()
    ]
    notes += [f"Not evaluated on {split}: {run}. Type: pkd eval {run} --split {split}" for run in todo[:_NAMED]]
    if len(todo) > _NAMED:
        notes.append(f"{len(todo) - _NAMED} more were not evaluated on {split}: for each, pkd eval RUN --split {split}")
    return found, notes


def _has_split(paths: RunPaths, split: str) -> bool:
    """Whether the data set of a run has such a split, by its recipe; yes where that can't be read."""
    import yaml

    try:
        text = paths.recipe.read_text(encoding="utf-8")
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["data"]
        return data.get(split) is not None
    except (OSError, ValueError, yaml.YAMLError, LookupError, AttributeError, TypeError):
        return True
