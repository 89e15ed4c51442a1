"""What is found in a data set, and how bad it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SPOILS, ODD = "spoils", "odd"
"""How bad a fault is: a training would be spoilt or refused; or it is worth knowing."""

PLACES = 20
"""So many places of a fault are kept."""


@dataclass
class Fault:
    """One kind of fault in one split.

    Attributes:
        split: train, val or test; empty for what is between splits.
        kind: A short name, such as `leakage` or `unreadable`.
        weight: `SPOILS` or `ODD`.
        text: What is wrong, in words.
        places: The first files or annotations, with their ids.
        count: How many there are.
        remedy: What to do about it.
    """

    split: str
    kind: str
    weight: str
    text: str
    places: list[str] = field(default_factory=list)
    count: int = 1
    remedy: str = ""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def fault(split: str, kind: str, weight: str, text: str, places: Iterable[str], remedy: str) -> list[Fault]:
    """A fault of these places; none where there are none.

    Args:
        split: As in `Fault`.
        kind: The same.
        weight: The same.
        text: The same; `{n}` in it becomes their number.
        places: All of them.
        remedy: The same.
    """
    found: Sequence[str] = list(places)
    if not found:
        return []
    return [Fault(split, kind, weight, text.format(n=len(found)), list(found[:PLACES]), len(found), remedy)]
