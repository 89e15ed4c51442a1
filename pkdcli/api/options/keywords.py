"""From the keywords of a function to its group of options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from pkdcli.options import sort_keywords

Group = TypeVar("Group")


def options_of(group: type[Group], given: Group | None, keywords: Mapping[str, Any]) -> Group:
    """The options that a function was called with.

    Args:
        group: Their dataclass.
        given: An instance of it, whose values are the defaults; None for the group's own.
        keywords: By the options' names. A run (`pkdcli.runs.run.Run`) stands for its folder, and a path for its text.

    Raises:
        PkdError: An unknown keyword, with the nearest one, or a value that its option does not take.
    """
    return sort_keywords([group if given is None else given], as_words(keywords))[0]


def as_words(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords with a run's folder in place of a `Run`, and a path's text in place of a path."""
    return {key: _as_word(value) for key, value in keywords.items()}


def _as_word(value: Any) -> Any:
    """What would be typed for a run or a path, or for each one of a list of them."""
    from pkdcli.runs.run import Run

    if type(value) in (list, tuple):
        return type(value)(_as_word(one) for one in value)
    if isinstance(value, Run):
        return str(value.path)
    return os.fspath(value) if isinstance(value, os.PathLike) else value
