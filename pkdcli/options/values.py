"""Numbers, words and paths as users give them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError


def path(text: str, label: str, folder: bool = False) -> Path:
    """A file or a folder a user gave; Path("") would be the working folder.

    Args:
        text: What was typed.
        label: The option, for messages.
        folder: It can only be a folder.

    Raises:
        PkdError: An empty word, such as an unset variable leaves.
    """
    if not str(text):
        what = "a folder; . is the working folder" if folder else "a path"
        raise PkdError(f"{label}: an empty name.", f"Leave it out, or give {what}.")
    return Path(text)


def number(text: Any, label: str, *, above: float | None = None, least: float | None = None) -> float | None:
    """A finite number a user gave.

    Args:
        text: As it was typed, or a number; None where it was not given.
        label: The option, as `--weight` on the command line and as `weight` in Python.
        above: It has to be greater than this.
        least: It has to be this or more.

    Raises:
        PkdError: Not a number, not finite, or out of bounds.
    """
    if text is None:
        return None
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or (above is not None and value <= above) or (least is not None and value < least):
        raise no_number(text, label, above, least)
    return value


def no_number(value: Any, label: str, above: float | None, least: float | None) -> PkdError:
    """The error of something that is no number, or not one within the bounds.

    Args:
        value: What was given.
        label: The option, for messages: `--weight` or `weight`.
        above: A bound that is itself left out; None for none.
        least: A bound that is itself allowed; None for none.
    """
    example = f"{label} 10" if label.startswith("-") else f"{label}=10"
    searched = label.lstrip("-").startswith(("weight", "temperature")) and ".." in str(value)
    ranges = ". A range is what `pkd tune` searches: --weight 1..100" if searched else ""
    return PkdError(f"{label}: {value!r} is not a finite number{bound(above, least)}.", f"Example: {example}{ranges}")


def bound(above: float | None, least: float | None, most: float | None = None) -> str:
    """The bounds of a number in words, to follow "a number".

    Args:
        above: A bound that is itself left out; None for none.
        least: A bound that is itself allowed; None for none.
        most: The greatest allowed, beside `least`; None for none.
    """
    if above is not None:
        return f" above {above:g}"
    if least is None:
        return ""
    return f" of {least:g} or more" if most is None else f" from {least:g} to {most:g}"


def numbers(text: str | None, label: str, *, above: float | None = None, least: float | None = None) -> list[float]:
    """Finite numbers with commas between them.

    Args:
        text: What was typed; None where the option was not given.
        label: The option, for messages.
        above: A bound that is itself left out; None for none.
        least: A bound that is itself allowed; None for none.

    Raises:
        PkdError: A word that is no finite number within the bounds, or none at all.
    """
    values = [number(word, label, above=above, least=least) for word in words(text, label)]
    return [value for value in values if value is not None]


def whole_numbers(text: str | None, label: str) -> list[int]:
    """Whole numbers of zero or more, with commas between them.

    Args:
        text: What was typed; None where the option was not given.
        label: The option, for messages.

    Raises:
        PkdError: A word that is no whole number of zero or more, or none at all.
    """
    values = numbers(text, label, least=0)
    if any(value != int(value) for value in values):
        example = f"{label} 0,1,2" if label.startswith("-") else f"{label}=[0, 1, 2]"
        raise PkdError(f"{label}: {text!r} has a number that is not whole.", f"Example: {example}")
    return [int(value) for value in values]


def words(text: str | None, label: str) -> list[str]:
    """Words with commas between them; none where the option was not given.

    Args:
        text: What was typed; None where the option was not given.
        label: The option, for messages.

    Raises:
        PkdError: The option was given without a word.
    """
    found = [word.strip() for word in (text or "").split(",") if word.strip()]
    if text is not None and not found:
        raise PkdError(f"{label}: an empty list.", "Leave it out, or give some values with commas between them.")
    return found
