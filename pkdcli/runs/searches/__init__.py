"""What a search of `pkd tune` leaves for reports: which runs are its trials, and where they were compared.

Beside the Optuna study, which takes a second to open and is its owner's alone. What the trials have reached stands in
their own folders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkdcli.runs.store import read_object, write_json

FOLDER = "tune"
"""Below the runs folder: studies, and these files."""
MEAN, AS_THEY_ARE = "rung", "val"
"""What trials are compared by before their end, as metrics.jsonl calls it: the mean of the weights over the last steps,
or, in searches that were begun before it was averaged, the weights of the very step."""


@dataclass(frozen=True)
class Search:
    """A search, finished or not.

    Attributes:
        name: The study's.
        rungs: Optimizer steps after which trials are compared, rising; the last is the whole run.
        ranges: (lowest, highest) of each axis that is a range of numbers, by its name.
        choices: The values of each other axis, as they are typed.
        trials: What is special about each trial by the axes' names, by the id of its run.
        compared: What they are compared by before their end.
        confirmed: The finalists' runs on further seeds: by the id of each that of its trial's run.
    """

    name: str
    rungs: tuple[int, ...]
    ranges: Mapping[str, tuple[float, float]]
    choices: Mapping[str, tuple[str, ...]]
    trials: Mapping[str, Mapping[str, Any]]
    compared: str = AS_THEY_ARE
    confirmed: Mapping[str, str] = field(default_factory=dict)


def keep_search(runs: Path, search: Search) -> None:
    """Write a search down, in the place of what was known of it.

    Args:
        runs: The runs folder.
        search: With the trials so far.

    Raises:
        PkdError: The file can't be written.
    """
    content = {
        "schema": 1,
        "name": search.name,
        "rungs": list(search.rungs),
        "ranges": {name: list(ends) for name, ends in search.ranges.items()},
        "choices": {name: list(values) for name, values in search.choices.items()},
        "trials": {run: dict(params) for run, params in search.trials.items()},
        "compared": search.compared,
    }
    if search.confirmed:
        content["confirmed"] = dict(search.confirmed)
    write_json(runs / FOLDER / f"{search.name}.json", content, durable=False)


def searches_in(runs: Path) -> list[Search]:
    """The searches whose trials are in a runs folder, by name; a file that is none is passed over."""
    try:
        files = sorted((runs / FOLDER).glob("*.json"))
    except OSError:
        return []
    return [found for file in files if (found := _read(file)) is not None]


def _read(file: Path) -> Search | None:
    content = read_object(file)
    try:
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in content["ranges"].items()}
        choices = {str(name): tuple(map(str, values)) for name, values in content["choices"].items()}
        trials = {str(run): _params(params, ranges, choices) for run, params in content["trials"].items()}
        rungs = tuple(map(int, content["rungs"]))
        compared = str(content.get("compared", AS_THEY_ARE))
        confirmed = {str(run): str(trial) for run, trial in content.get("confirmed", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return Search(file.stem, rungs, ranges, choices, trials, compared, confirmed) if rungs and trials else None


def _params(params: Mapping[str, Any], ranges: Iterable[str], choices: Iterable[str]) -> dict[str, Any]:
    numbers = {name: float(params[name]) for name in ranges}
    return {**numbers, **{name: str(params[name]) for name in choices}}
