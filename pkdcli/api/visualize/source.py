"""A detector that a picture shows, and what a user says of where its weights come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkdcli.recipe.resolve import Request
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.find import find_run
from pkdcli.runs.paths import RunPaths

ZOO = "zoo"
"""The word for the zoo's COCO weights of a detector's config."""


@dataclass(frozen=True)
class Source:
    """A detector and its weights.

    Attributes:
        key: `teacher`, `student` or `distilled`.
        title: The name in figures.
        recipe: Of the detector alone, as its `student`.
        weights: A file or an address; None for random weights.
        source: Where the weights come from, in words.
    """

    key: str
    title: str
    recipe: Recipe
    weights: str | None
    source: str


@dataclass(frozen=True)
class WeightsQuery:
    """Which weights a user asks for.

    Attributes:
        request: Pair, scale, data, seed, as for a training.
        recipe: The distilled run's, with the facts of its data.
        teacher: A run, a checkpoint or `zoo`; None for what `pkd train` would take.
        student: The same; None for the baseline.
        distilled: A run or checkpoint to show as a third detector, or None.
        untrained: Random weights for whatever is not named.
        root: The runs folder.
        cache: The cache folder.
    """

    request: Request
    recipe: Recipe
    teacher: str | None
    student: str | None
    distilled: str | None
    untrained: bool
    root: Path
    cache: Path


def run_named(query: WeightsQuery, word: str | None) -> RunPaths | None:
    """The run that a word names; None for a file, the zoo or nothing.

    Args:
        query: Says where runs are.
        word: As it was typed, if it was.

    Raises:
        PkdError: It means nothing, or several runs.
    """
    return find_run(word, query.root) if word and word != ZOO else None
