"""What a search is asked for: ranges, and what it may cost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.options import like, number, option
from pkdcli.recipe.options import RunOptions

if TYPE_CHECKING:
    from pkdcli.experiment.tuning.space import Choice, Range, Space
    from pkdcli.recipe.axes.grid import GridAxis

SEARCH = "What to search, and what it may cost"
WEIGHTS = "1..100"
_OWN = {"loss.weight": "--weight", "loss.temperature": "--temperature"}


@dataclass(frozen=True, kw_only=True)
class TuneOptions(RunOptions):
    """What is searched.

    Attributes:
        weight: `LOW..HIGH`, or one number that all trials have.
        temperature: The same of losses that have one.
        budget: Time, steps or whole runs; None for 40 % of a full grid's steps.
        trials: So many trials; None for what the budget has room for.
        confirm_seeds: Further seeds on which the finalists are trained; none where empty.
    """

    loss: str = like(RunOptions, "loss", "mse")
    weight: str | None = option(
        None,
        "Loss weights to search, LOW..HIGH, by their logarithm (default 1..100); one number is kept as it is. Without "
        "it the loss's own, where something else is searched.",
        metavar="LOW..HIGH",
        panel=SEARCH,
    )
    temperature: str | None = option(
        None, "Temperatures of norm-kl to search, in the same way.", metavar="LOW..HIGH", panel=SEARCH
    )
    budget: str | None = option(
        None,
        "What the trials may take: 2h, 30m, 1900steps, 3runs. By default 40 % of the steps of a full grid of eight "
        "weights.",
        metavar="BUDGET",
        panel=SEARCH,
    )
    trials: int | None = option(None, "So many trials, of which two are trained to the end.", panel=SEARCH, min=2)
    confirm_seeds: tuple[int, ...] = option(
        (),
        "Train the best and the runner-up on these further seeds too, such as 1,2, and choose by the mean over them: "
        "apart from the budget.",
        metavar="SEEDS",
        panel=SEARCH,
    )


@dataclass(frozen=True)
class Searched:
    """What is searched, and what all trials have alike.

    Attributes:
        space: The axes.
        keys: Those of `--grid`.
        weight: Of all trials, where it is not searched; None for the loss's own.
        temperature: The same.
    """

    space: Space
    keys: list[GridAxis] = field(default_factory=list)
    weight: float | None = None
    temperature: float | None = None


def searched(options: TuneOptions, grid: tuple[str, ...]) -> Searched:
    """The axes of a search.

    Args:
        options: Its ranges.
        grid: `KEY=A,B,C` each.

    Raises:
        PkdError: A range that is none, or is written backwards; a key that has an option of its own; nothing to search.
    """
    from pkdcli.experiment.tuning.space import Choice, Range, Space
    from pkdcli.recipe.axes.grid import axes

    if options.loss == "none":
        raise PkdError("loss none is the baseline: it has nothing to search.", "Name a loss, such as --loss mse.")
    keys = axes(grid)
    for one in keys:
        if one.key in _OWN:
            own = _OWN[one.key]
            raise PkdError(f"--grid {one.key}: it has an option of its own.", f"Example: {own} {WEIGHTS}")
    ranges: list[Range | Choice] = []
    kept: dict[str, float | None] = {}
    for name in ("weight", "temperature"):
        text = getattr(options, name)
        if name == "weight" and text is None and options.temperature is None and not keys:
            text = WEIGHTS
        low, high = _range(text, f"--{name}")
        if low is not None and high is not None and low < high:
            ranges.append(Range(name, low, high))
        else:
            kept[name] = low
    space = Space((*ranges, *(Choice(one.key, one.values) for one in keys)))
    if not space.axes or space.size == 1:
        raise PkdError("there is nothing to search: one value of everything.", f"Example: --weight {WEIGHTS}")
    return Searched(space, keys, **kept)


def further_seeds(options: TuneOptions) -> tuple[int, ...]:
    """The seeds on which the finalists are trained after the search, none twice.

    Args:
        options: Of the search.

    Raises:
        PkdError: One of them is the search's own.
    """
    seeds = tuple(dict.fromkeys(options.confirm_seeds))
    if options.seed in seeds:
        rest = ",".join(str(one) for one in seeds if one != options.seed) or str(options.seed + 1)
        raise PkdError(
            f"--confirm-seeds: {options.seed} is the seed of the search itself, by which its finalists were chosen.",
            f"Type: --confirm-seeds {rest}",
        )
    return seeds


def _range(text: str | None, label: str) -> tuple[float | None, float | None]:
    """The ends of a range, equal for a single number; none of both where nothing was given."""
    if text is None:
        return None, None
    parts = re.split(r"\.\.\.?|:|–", text.strip())
    example = f"Example: {label} {WEIGHTS}"
    if len(parts) > 2 or not all(part.strip() for part in parts):
        raise PkdError(f"{label}: {text!r} is no range.", example)
    try:
        ends = [number(part.strip(), label, least=0) for part in parts]
    except PkdError:
        raise PkdError(f"{label}: {text!r} is no range of finite numbers of 0 or more.", example) from None
    if len(ends) == 1:
        return ends[0], ends[0]
    low, high = ends
    if low > high:
        raise PkdError(f"{label} {text}: the range is written backwards.", f"Type: {label} {high:g}..{low:g}")
    if low == 0:
        raise PkdError(
            f"{label} {text}: a range is searched by its logarithm, so it begins above 0.",
            f"Example: {label} {high / 100:g}..{high:g}",
        )
    return low, high
