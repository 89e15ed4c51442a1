"""What a search may try: ranges of weights and temperatures, and keys with a few values each."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

Params = Mapping[str, Any]
"""A value by the axis's name: a number of a range, the text of a choice."""

GRID = 8
"""A grid by hand has so many values a range, as the weights of Table 8 do."""

_STEPS = (1, 1.5, 2, 3, 5, 7)
_FINE = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)  # where those are used up
_HALF_DECADES = (1, 3)
_FEW = 4  # points that a range is looked at in first, at least


@dataclass(frozen=True)
class Range:
    """A positive number, searched by its logarithm.

    Trials take round values only: six a decade, about equally far apart by their logarithms, as those of resistors are
    (E6). Between neighbours there is less than between two seeds, and a run that somebody has made with such a value is
    used.

    Attributes:
        name: `weight` or `temperature`.
        low: The least value.
        high: The greatest.
    """

    name: str
    low: float
    high: float

    def ladder(self) -> list[float]:
        """The first values to try: half a decade apart, both ends among them."""
        for steps in (_HALF_DECADES, (1, 2, 5), _STEPS, _FINE):
            found = self._values(steps)
            if len(found) >= _FEW:
                break
        return found

    def nearest(self, value: float, without: Sequence[float] = ()) -> float | None:
        """The round value inside the range that is nearest by ratio; None where none is left.

        Args:
            value: Any positive number.
            without: Values that are not wanted.
        """
        free = self._round(lambda one: one not in without)
        return min(free, key=lambda one: (abs(math.log(one / value)), one), default=None)

    def gaps(self, tried: Mapping[float, float]) -> list[float]:
        """Round values amid the two gaps beside the best of those tried, that towards its better neighbour first.

        Args:
            tried: mAP, or anything that shall be high, by value.

        Returns:
            None to two; of two round values equally near the middle the greater: early in a run light weights look
            better than at its end.
        """
        values = sorted(tried)
        best = values.index(max(values, key=lambda one: tried[one]))
        beside = [values[place] for place in (best - 1, best + 1) if 0 <= place < len(values)]
        found: list[float] = []
        for other in sorted(beside, key=lambda one: -tried[one]):
            low, high = sorted((values[best], other))
            middle = math.sqrt(low * high)
            inside = self._round(lambda one, low=low, high=high: low < one < high)
            found += sorted(inside, key=lambda one: (round(abs(math.log(one / middle)), 9), -one))[:1]
        return found

    def _round(self, fits: Callable[[float], bool]) -> list[float]:
        """The round values that fit; finer ones where no coarse one does."""
        found = ([one for one in self._values(steps) if fits(one)] for steps in (_STEPS, _FINE))
        return next(filter(None, found), [])

    def _values(self, steps: Sequence[float]) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        round_ones = [float(f"{step * 10.0**power:.6g}") for power in powers for step in steps]
        inside = [one for one in round_ones if self.low < one < self.high]
        # An end that is all but a round value stands for it.
        inside = [one for one in inside if one / self.low > 1.2 and self.high / one > 1.2]
        return [self.low, *inside, self.high] if self.high > self.low else [self.low]


@dataclass(frozen=True)
class Choice:
    """A key of the recipe and its values.

    Attributes:
        name: The key, with dots.
        values: As `--set` takes them.
    """

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """All axes.

    Attributes:
        axes: None of them twice.
    """

    axes: tuple[Range | Choice, ...]

    @property
    def ranges(self) -> list[Range]:
        """Those that are ranges."""
        return [one for one in self.axes if isinstance(one, Range)]

    def axis(self, name: str) -> Range | Choice | None:
        """The axis of that name."""
        return next((one for one in self.axes if one.name == name), None)

    @property
    def size(self) -> int | None:
        """How many trials there can be; None where no small number bounds them."""
        return None if self.ranges else math.prod(len(one.values) for one in self.axes if isinstance(one, Choice))

    @property
    def grid(self) -> int:
        """How many runs a full grid by hand has."""
        return math.prod(GRID if isinstance(one, Range) else len(one.values) for one in self.axes)

    def first(self, most: int) -> int:
        """How many trials are made before anything is known.

        Args:
            most: No more than these.
        """
        wanted = max((len(one.ladder()) for one in self.ranges), default=self.size or 1)
        return min(most, wanted if len(self.axes) == 1 else max(wanted, 2 * len(self.axes)))

    def design(self, count: int, seed: int) -> list[dict[str, Any]]:
        """So many trials that are spread over the space, the same for the same seed.

        Args:
            count: How many; fewer where the space has fewer.
            seed: Decides which values of several axes meet.
        """
        if not self.ranges:
            every = [dict(zip([one.name for one in self.axes], values, strict=True))
                     for values in product(*(one.values for one in self.axes if isinstance(one, Choice)))]  # fmt: skip
            return every if len(every) <= count else random.Random(seed).sample(every, count)
        columns = []
        for number, one in enumerate(self.axes):
            values: list[Any] = one.ladder() if isinstance(one, Range) else list(one.values)
            column = _spread(values, count)
            if number:  # else the first values of all axes would meet, and so on
                random.Random(f"{seed}-{number}").shuffle(column)
            columns.append(column)
        rows = [dict(zip([one.name for one in self.axes], row, strict=True)) for row in zip(*columns, strict=True)]
        return [row for place, row in enumerate(rows) if row not in rows[:place]]

    def settled(self, params: Params, tried: Sequence[Params]) -> dict[str, Any] | None:
        """The trial nearest to what was suggested that has not been made; None where there is none beside it.

        Args:
            params: A suggestion; numbers inside their ranges.
            tried: The trials so far.
        """
        found = {
            one.name: one.nearest(params[one.name]) if isinstance(one, Range) else params[one.name] for one in self.axes
        }
        if found not in [dict(one) for one in tried]:
            return found
        for one in self.ranges:
            rest = {key: value for key, value in found.items() if key != one.name}
            taken = [other[one.name] for other in tried if rest.items() <= dict(other).items()]
            value = one.nearest(params[one.name], taken)
            if value is not None:
                return {**found, one.name: value}
        return None


def _spread(values: list[Any], count: int) -> list[Any]:
    """So many of some values: evenly chosen where there are more, in turn where there are fewer."""
    if len(values) <= count:
        return [values[place % len(values)] for place in range(count)]
    if count == 1:
        return [values[len(values) // 2]]
    return [values[round(place * (len(values) - 1) / (count - 1))] for place in range(count)]
