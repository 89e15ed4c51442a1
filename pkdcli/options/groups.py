"""Which options a command or a function takes, and how its keywords become instances of groups."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from typing import Any

from pkdcli.errors import PkdError, unknown
from pkdcli.options.declare import Only
from pkdcli.options.fields import Field, fields

# What the user has named, by the group's `id`: the groups themselves are plain values, equal whatever was named.
_named: dict[int, frozenset[str]] = {}


@dataclass(frozen=True)
class Asked:
    """A group as a command asks for it: the fields that it takes, with its own defaults.

    Attributes:
        group: The dataclass.
        fields: Those that are taken; the others keep their defaults.
        base: What they differ from, if not from the group's defaults.
    """

    group: type
    fields: tuple[Field, ...]
    base: Any = None

    @classmethod
    def of(cls, asked: Any, base: Any = None) -> Asked | None:
        """What an annotation asks for: a group, `Annotated` with `Only`, or an instance of one; None for another.

        Args:
            asked: The annotation.
            base: An instance of the group, whose values are the defaults.
        """
        only = next((one for one in getattr(asked, "__metadata__", ()) if isinstance(one, Only)), None)
        group = getattr(asked, "__origin__", asked) if only is not None else asked
        if dataclasses.is_dataclass(group) and not isinstance(group, type):
            group, base = type(group), group
        if not dataclasses.is_dataclass(group):
            return None
        every = {one.name: one for one in fields(group)}
        chosen = [every[name] for name in (every if only is None else only)]
        if base is not None:
            chosen = [replace(one, default=getattr(base, one.name)) for one in chosen]
        return cls(group, tuple(chosen), base)

    def make(self, values: Mapping[str, Any], given: Iterable[str] = ()) -> Any:
        """An instance with these values of its fields.

        Args:
            values: By field.
            given: The fields that the user has named; `given_in` tells them.
        """
        made = self.group(**values) if self.base is None else replace(self.base, **values)
        _named[id(made)] = frozenset(given)
        weakref.finalize(made, _named.pop, id(made), None)
        return made


def given_in(group: Any) -> frozenset[str]:
    """The fields of a group that the user has named, even where the value is the default.

    Args:
        group: As `Asked.make` or `sort_keywords` made it; of another one the fields that are not at their defaults.
    """
    found = _named.get(id(group))
    if found is not None:
        return found
    return frozenset(one.name for one in fields(type(group)) if getattr(group, one.name) != one.default)


def sort_keywords(groups: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[Any, ...]:
    """The keywords of a function as instances of groups.

    Args:
        groups: Dataclasses; instances whose values are the defaults; or either annotated with `Only` some fields.
        keywords: By the fields' names, or by those of the command line.

    Raises:
        PkdError: An unknown keyword, with the nearest one; a value that its option does not take; one that is missing.
    """
    asked = [one for group in groups if (one := Asked.of(group)) is not None]
    places = {word: (one, field) for one in asked for field in one.fields for word in field.keywords}
    given: dict[str, str] = {}
    values: dict[type, dict[str, Any]] = {one.group: {} for one in asked}
    for word, value in keywords.items():
        if word not in places:
            raise unknown("keyword", word, places)
        one, field = places[word]
        if field.name in given:
            raise PkdError(f"{given[field.name]} and {word} name the same thing twice.", "Leave out one of the two.")
        given[field.name] = word
        values[one.group][field.name] = field.taken(value, word)
    for field in (field for one in asked for field in one.fields):
        if field.default is MISSING and field.name not in given:
            raise PkdError(f"{field.name} is missing.", f"{field.name}: {field.option.help}")
    return tuple(one.make(values[one.group], values[one.group]) for one in asked)
