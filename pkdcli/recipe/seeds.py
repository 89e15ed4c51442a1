"""The seeds of a sweep that adds them until it is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkdcli.errors import PkdError
from pkdcli.options import HOW, option

LIMIT = 10
"""Seeds at most, where nothing is said."""


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """Whether seeds are added, and how many.

    Attributes:
        until_decided: Add seeds, of methods and baseline alike, until each method is known to be better or worse.
        max_seeds: Add no more than so many; None for ten.
    """

    until_decided: bool = option(
        False,
        "Start with three seeds, or those given, and add one at a time, of baseline and methods alike, until each "
        "method is GO or NO-GO. It allows for all these looks: of methods that do nothing, 5 % are judged at most.",
        panel=HOW,
    )
    max_seeds: int | None = option(
        None, f"With --until-decided: stop at so many (default {LIMIT}).", panel=HOW, min=3, max=100
    )


def seeds_in_turn(given: Sequence[int], options: SeedOptions, fewest: int) -> tuple[list[int], int]:
    """The seeds of a sweep that adds them, in the order of their use, and how many come before the first look.

    It starts with those that are given, filled up to the fewest, and goes on with the numbers above.

    Args:
        given: The sweep's seeds.
        options: How many at most.
        fewest: Before the first look.

    Raises:
        PkdError: There are to be fewer than it starts with; or nothing is to be added.
    """
    if not options.until_decided:
        raise PkdError("--max-seeds: nothing adds seeds.", "Give --until-decided too, or leave it out.")
    start = list(dict.fromkeys(given))
    start += range(max(start) + 1, max(start) + 1 + fewest - len(start))
    most = max(LIMIT, len(start)) if options.max_seeds is None else options.max_seeds
    if most < len(start):
        start_with = f"--max-seeds {most}: it starts with {len(start)} seeds."
        raise PkdError(start_with, f"Give --max-seeds {len(start)} or more.")
    return start + list(range(max(start) + 1, max(start) + 1 + most - len(start))), len(start)
