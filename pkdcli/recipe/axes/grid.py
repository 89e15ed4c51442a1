"""`--grid KEY=A,B,C`: any key of a recipe as an axis, of a sweep or of a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

from pkdcli.errors import PkdError
from pkdcli.options import option

EXAMPLE = "Example: --grid loss.levels=index,stride"
_CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """Axes that have no option of their own.

    Attributes:
        grid: `KEY=A,B,C` each: a key of the recipe, as `--set` takes it, and its values.
    """

    grid: tuple[str, ...] = option(
        (),
        "Any key of the resolved recipe as an axis, as --set names it; a value with commas in quotes or brackets. "
        "Repeatable: every combination.",
        names=("--grid",),
        metavar="KEY=A,B,C",
        panel="Axes (lists with commas)",
        repeatable=True,
    )


@dataclass(frozen=True)
class GridAxis:
    """One key and its values.

    Attributes:
        key: Of the recipe, with dots.
        values: As `--set` takes them.
    """

    key: str
    values: tuple[str, ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """An assignment for each value, as `--set` takes it."""
        return tuple(f"{self.key}={value}" for value in self.values)


def axes(grid: Sequence[str]) -> list[GridAxis]:
    """The axes that were typed.

    Args:
        grid: `KEY=A,B,C` each.

    Raises:
        PkdError: No `=`, no value, a bracket that is not closed, a value or a key that stands twice.
    """
    found: list[GridAxis] = []
    for text in grid:
        key, equals, listed = text.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            raise PkdError(f"--grid: {text!r} should look like KEY=A,B,C.", EXAMPLE)
        values = _split(listed, key)
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise PkdError(f"--grid {key}: {', '.join(twice)} stands twice.", EXAMPLE)
        if key in [one.key for one in found]:
            raise PkdError(f"--grid {key} is given twice.", f"Give its values at once: {EXAMPLE[9:]}")
        found.append(GridAxis(key, tuple(values)))
    return found


def combinations(found: Sequence[GridAxis]) -> list[tuple[str, ...]]:
    """Every combination of values, as assignments; one empty one where there are no axes."""
    return list(product(*(one.sets for one in found)))


@contextmanager
def as_grid(found: Sequence[GridAxis]) -> Iterator[None]:
    """Have what is wrong with an assignment said of the option that it was typed behind."""
    try:
        yield
    except PkdError as error:
        message = error.message
        for one in found:
            message = message.replace(f"--set {one.key}:", f"--grid {one.key}:")
        raise PkdError(message, error.hint, error.code) from None


def _split(text: str, key: str) -> list[str]:
    """The values between commas; those inside quotes or brackets part nothing."""
    values, begin, closing = [], 0, []
    for place, letter in enumerate(text):
        if closing and letter == closing[-1]:
            closing.pop()
        elif letter in "'\"" and (not closing or closing[-1] not in "'\""):
            closing.append(letter)
        elif letter in _CLOSING and (not closing or closing[-1] not in "'\""):
            closing.append(_CLOSING[letter])
        elif letter == "," and not closing:
            values.append(text[begin:place])
            begin = place + 1
    if closing:
        raise PkdError(f"--grid {key}: {closing[-1]} is missing in {text!r}.", EXAMPLE)
    values = [value.strip() for value in (*values, text[begin:])]
    if not all(values):
        raise PkdError(f"--grid {key}: an empty value in {text!r}.", EXAMPLE)
    return values
