"""What is wrong in an annotation file, gathered so that one message says all of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError


class Findings:
    """Problems by kind, each with its count, its first few places and its remedy."""

    def __init__(self, limit: int = 5) -> None:
        self._limit = limit
        self._found: dict[str, tuple[list[str], list[int], str]] = {}

    def add(self, kind: str, place: str, hint: str) -> None:
        """Note one problem, whose place is named if it is among the first of its kind.

        Args:
            kind: What is wrong, in words without the place.
            place: Where, such as `images[3]`; empty where the kind says it.
            hint: What to do about this kind.
        """
        places, count, _ = self._found.setdefault(kind, ([], [0], hint))
        count[0] += 1
        if place and len(places) < self._limit:
            places.append(place)

    def add_all(self, kind: str, indices: Sequence[int], place: Callable[[int], str], hint: str) -> None:
        """Note a problem of many items.

        Args:
            kind: What is wrong with them.
            indices: The items.
            place: Gives the place of one of them, asked for the first few only.
            hint: What to do.
        """
        if len(indices):
            places, count, _ = self._found.setdefault(kind, ([], [0], hint))
            count[0] += len(indices)
            places += [place(int(index)) for index in indices[: self._limit - len(places)]]

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._found)

    def items(self) -> list[tuple[str, list[str], int, str]]:
        """Each kind of problem with its first places, its count and its remedy."""
        return [(kind, list(places), count, hint) for kind, (places, (count,), hint) in self._found.items()]

    def refuse(self, file: Path, where: str | None) -> None:
        """Raise one error for everything found so far.

        Args:
            file: The file in which it was found.
            where: The place that names the file, put before the message.

        Raises:
            PkdError: Something was found: all of it in one message, a line each.
        """
        if not self._found:
            return
        lines = []
        for kind, (places, (count,), _) in self._found.items():
            more = f" and {count - len(places)} more" if places and count > len(places) else ""
            lines.append(f"{kind}{': ' if places else ''}{', '.join(places)}{more}.")
        hint = " ".join(dict.fromkeys(hint for _, _, hint in self._found.values()))
        if len(lines) == 1:
            raise PkdError(f"{prefix(where)}{file}: {lines[0]}", hint)
        raise PkdError("\n  ".join([f"{prefix(where)}{file}: {len(lines)} problems:", *lines]), hint)


def prefix(where: str | None) -> str:
    """The beginning of a message about what stands at `where`."""
    return f"{where}: " if where else ""


def quoted(words: Iterable[str]) -> str:
    """Words between quotes, with commas."""
    return ", ".join(repr(word) for word in words)


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return {dict: "an object", list: "a list", str: "a string"}.get(type(value), "a number")


def short(value: Any) -> str:
    """A JSON value as it stands in the file, cut to 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
