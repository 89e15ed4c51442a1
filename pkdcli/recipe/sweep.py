"""A sweep: lists of losses, weights, temperatures, pairs, schedules and seeds become a list of recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.axes.grid import GridAxis, as_grid, combinations
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe


@dataclass(frozen=True)
class Grid:
    """The axes of a sweep; an empty axis means the default."""

    pairs: Sequence[str] = ()
    teachers: Sequence[str] = ()
    students: Sequence[str] = ()
    losses: Sequence[str] = ()
    weights: Sequence[float] = ()
    temperatures: Sequence[float] = ()
    schedules: Sequence[str] = ()
    seeds: Sequence[int] = ()
    baseline: bool = True
    keys: Sequence[GridAxis] = ()


def expand(base: Request, grid: Grid) -> list[Recipe]:
    """All runs of a sweep, baselines first within each (pair, schedule, seed), none of them twice.

    Temperatures apply to the losses that have one.

    Args:
        base: What all runs have in common.
        grid: What they differ in.

    Raises:
        PkdError: Temperatures for losses of which none has one, weights for none, two lists for one key, or whatever
            `resolve` refuses.
    """
    if grid.weights and set(grid.losses or [base.loss]) == {"none"}:
        raise PkdError("--weights: loss none is the baseline and takes no weight.", "Leave them out, or name a loss.")
    given = {"loss.weight": ("--weights", grid.weights), "loss.temperature": ("--temperatures", grid.temperatures),
             "seed": ("--seeds", grid.seeds)}  # fmt: skip
    for axis in grid.keys:
        option, values = given.get(axis.key, ("", ()))
        if values:
            raise PkdError(f"{option} and --grid {axis.key} list the same key twice.", "Leave out one of the two.")
    with as_grid(grid.keys):
        found = [
            recipe
            for sets in combinations(grid.keys)
            for recipe in _expand(replace(base, sets=(*base.sets, *sets)), grid)
        ]
    unique: dict[str, Recipe] = {}
    for recipe in found:
        # Pairs that share a student share its baseline; the run's name tells.
        unique.setdefault(run_id(recipe), recipe)
    return list(unique.values())


def _expand(base: Request, grid: Grid) -> list[Recipe]:
    """The runs of one combination of keys."""
    losses = list(grid.losses) or [base.loss]
    hot = {name for name in losses if name != "none" and library.load("losses", name).temperature is not None}
    if grid.temperatures and not hot:
        raise PkdError(f"--temperatures: {', '.join(losses)} has no temperature.", library.losses_with_temperature())
    recipes: list[Recipe] = []
    for who in _detectors(base, grid):
        for schedule in grid.schedules or [base.schedule]:
            for seed in grid.seeds or [base.seed]:
                here = replace(base, **who, schedule=schedule, seed=seed, weight=None, temperature=None)
                if grid.baseline and "none" not in losses:
                    recipes.append(baseline_of(here))
                for loss in losses:
                    if loss == "none":
                        recipes.append(baseline_of(here))
                        continue
                    for weight in grid.weights or [base.weight]:
                        for temperature in (grid.temperatures if loss in hot else None) or [base.temperature]:
                            recipes.append(resolve(replace(here, loss=loss, weight=weight, temperature=temperature)))
    return recipes


def _detectors(base: Request, grid: Grid) -> Iterator[dict[str, str | None]]:
    """Which pair, and which detectors in place of the pair's, in every combination."""
    for pair in grid.pairs or [base.pair]:
        for teacher in grid.teachers or [base.teacher]:
            for student in grid.students or [base.student]:
                yield {"pair": pair, "teacher": teacher, "student": student}


def baseline_of(request: Request) -> Recipe:
    """The student of a request alone; what was set for its loss and teacher is left out."""
    sets = tuple(text for text in request.sets if not text.split("=")[0].startswith(("loss.", "teacher.", "init")))
    none = {"weight": None, "temperature": None, "init": None, "levels": None, "tap": (), "distill_until": None}
    return resolve(replace(request, loss="none", sets=sets, **none))
