"""The runs that a word means: those that can be measured, and those that are left out, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.recipe.identity import experiment
from pkdcli.runs.find import LISTED
from pkdcli.runs.paths import RunPaths

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Recipe
    from pkdcli.reporting.compare.scored import Scored


NO_PARTNER = "it has no partner of the same seed."


@dataclass(frozen=True)
class LeftOut:
    """A run of a group that is in no number.

    Attributes:
        run: Its id.
        seed: Its seed; None where its recipe can't be read.
        why: What is wrong, with its name.
        hint: What to do about it, such as `pkd resume RUN`.
        partner: The run of the same seed in the other group, which is left out with it; None where there is none.
        of: Whose it is, `a` or `b`.
        alone: It was measured, and no run of the other group has its seed.
    """

    run: str
    seed: int | None
    why: str
    hint: str = ""
    partner: str | None = None
    of: str = ""
    alone: bool = False

    @property
    def reason(self) -> str:
        """What is wrong and what to do, in a line."""
        return " ".join(f"{self.why} {self.hint}".split())

    @property
    def text(self) -> str:
        """The line below a table."""
        partner = f" With it goes its partner of the same seed, {self.partner}." if self.partner else ""
        return f"Left out: {self.reason}{partner}"


def measurable(
    word: str, runs: Sequence[RunPaths], score: Callable[[RunPaths], Scored]
) -> tuple[list[Scored], list[LeftOut]]:
    """Measure the runs that a word means; of several those that can't be are left out.

    Args:
        word: What somebody has called them by.
        runs: Those that it means.
        score: Measures one, or raises what is wrong with it.

    Returns:
        Those that were measured, one at least, and those that could not be.

    Raises:
        PkdError: They are runs of several recipes, or none of them can be measured.
    """
    recipes = {one: recipe for one in runs if (recipe := _recipe(one)) is not None}
    one_recipe(word, [(one.run, recipe) for one, recipe in recipes.items()])
    found, left, errors = [], [], []
    for one in runs:
        try:
            found.append(score(one))
        except PkdError as error:
            why = error.message if one.run in error.message else f"{one.run}: {error.message}"
            recipe = recipes.get(one)
            left.append(LeftOut(one.run, recipe and recipe.seed, why, error.hint or ""))
            errors.append(error)
    if found:
        return found, left
    if len({error.hint for error in errors}) == 1:  # one run, or the same is wrong with all
        raise errors[0]
    listed = "".join(f"\n  {one.reason}" for one in left[:LISTED]) + "\n  ..." * (len(left) > LISTED)
    raise PkdError(
        f"none of the {len(left)} runs that {word!r} means can be compared:{listed}",
        "One of them is enough to go on with; those that are not finished are left out.",
        errors[0].code,
    )


def one_recipe(word: str, runs: Sequence[tuple[str, Recipe]]) -> None:
    """Make sure that runs differ in their seeds alone.

    Args:
        word: What somebody has called them by.
        runs: Their ids and recipes.

    Raises:
        PkdError: They are of several recipes, with two of the runs.
    """
    for run, recipe in runs[1:]:
        if experiment(recipe) != experiment(runs[0][1]):
            raise several(word, runs[0][0], run)


def several(word: str, first: str, other: str) -> PkdError:
    """The error for a word that means runs of several recipes, or two of one seed.

    Args:
        word: What somebody has called them by.
        first: One of the runs.
        other: Another.
    """
    return PkdError(
        f"{word!r} means runs that differ in more than their seeds: {first} and {other}.",
        "Give more of the name, so that it means one run, or one recipe's runs of several seeds.",
    )


def _recipe(paths: RunPaths) -> Recipe | None:
    from pkdcli.recipe.modules.copies import read_recipe

    try:
        return read_recipe(paths.recipe)
    except PkdError:  # said when it is measured
        return None
