"""How a value of an option is read: as it was typed, and as it was given in Python."""

from __future__ import annotations

import dataclasses
import operator
import os
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any

from pkdcli.errors import PkdError, unknown
from pkdcli.options.declare import Option
from pkdcli.options.values import bound, no_number, number, numbers, path, whole_numbers, words


@dataclass(frozen=True)
class Field:
    """A field of a group, with what its annotation says.

    Attributes:
        name: The keyword.
        kind: bool, int, float, str or Path; of each value where there are several.
        default: MISSING where a value has to be given.
        option: How it is declared.
        optional: None is a value too.
        several: It is a tuple of values.
        count: Of so many; None for any number.
    """

    name: str
    kind: type
    default: Any
    option: Option
    optional: bool = False
    several: bool = False
    count: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What is typed for it on the command line."""
        return self.option.names or ("--" + self.name.replace("_", "-"),)

    @property
    def keywords(self) -> list[str]:
        """What it may be called in Python: its own name, and those of the command line."""
        long = [name.split("/")[0].removeprefix("--").replace("-", "_") for name in self.names if name[:2] == "--"]
        return list(dict.fromkeys((self.name, *([] if self.option.argument else long))))

    @property
    def listed(self) -> bool:
        """Whether its values are typed as one word with commas between them."""
        return self.several and not self.option.repeatable and self.count is None

    def typed(self, value: Any) -> Any:
        """The value of what the command line was given, which has seen to whole numbers and flags itself.

        Raises:
            PkdError: Text that is not what the option takes.
        """
        if value is None:
            return () if self.several and not self.optional else None
        here = self.option
        label = (here.metavar or self.name) if here.argument else self.names[0].split("/")[0]
        if self.listed:
            value = self._split(value, label)
        elif self.kind is float:
            value = number(value, label, above=here.above, least=here.min)
        elif self.several:
            value = tuple(value)
        self._check_words(value, label)
        return value

    def taken(self, value: Any, label: str) -> Any:
        """The value of what was given in Python under the keyword `label`.

        Args:
            value: Of any type; None for the default where the option may be left out.
            label: What the user knows the option by: `--weight` or `weight`.

        Raises:
            PkdError: A value of another type, or one that the option does not take.
        """
        if value is None and self.optional:
            return None
        if not self.several:
            value = self._one(value, label)
        elif self.listed and isinstance(value, str):
            value = self._split(value, label)
        else:
            single = isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable)
            value = tuple(self._one(one, label) for one in ([value] if single else value))
            if self.listed and not value:
                words("", label)  # which says so
            if self.count not in (None, len(value)):
                raise PkdError(f"{label}: {len(value)} values given.", f"It takes {self.count}.")
        self._check_words(value, label)
        return value

    def _split(self, text: str, label: str) -> tuple[Any, ...]:
        if self.kind is float:
            return tuple(numbers(text, label, above=self.option.above, least=self.option.min))
        return tuple(whole_numbers(text, label) if self.kind is int else words(text, label))

    def _check_words(self, value: Any, label: str) -> None:
        if self.option.choices and value is not None:
            for word in value if self.several else [value]:
                if word not in self.option.choices:
                    raise unknown(label, word, self.option.choices)

    def _one(self, value: Any, label: str) -> Any:
        """A single value given in Python."""
        here, flag = self.option, isinstance(value, bool)
        # Whole numbers in a list are of 0 or more, however they are given.
        least = 0 if self.kind is int and self.listed and here.min is None else here.min
        if self.kind is bool:
            if flag:
                return value
            raise PkdError(f"{label}: {value!r} is not True or False.", f"Example: {label}=True")
        if self.kind is Path and isinstance(value, (str, os.PathLike)):
            return path(os.fspath(value), label, here.folder)
        if self.kind is str and (isinstance(value, str) or (here.names_of and isinstance(value, os.PathLike))):
            return os.fspath(value)
        if self.kind is int and not flag and hasattr(value, "__index__"):
            found = operator.index(value)
            if (least is None or found >= least) and (here.max is None or found <= here.max):
                return found
        if self.kind is float:
            if not flag and not isinstance(value, str) and hasattr(value, "__float__"):
                return number(value, label, above=here.above, least=here.min)
            raise no_number(value, label, here.above, here.min)
        what = {int: f"a whole number{bound(here.above, least, here.max)}", Path: "a path"}.get(self.kind, "a text")
        raise PkdError(f"{label}: {value!r} is not {what}.", f"Example: {label}={self._example()}")

    def _example(self) -> str:
        """Something that the option takes, for a hint."""
        default = None if self.default is MISSING else self.default
        default = default[0] if self.several and default else default
        if self.kind is int:
            return str(default if isinstance(default, int) else max(self.option.min or 0, 1))
        known = [*self.option.choices, *([default] if isinstance(default, str) else [])]
        return repr(known[0] if known else self.option.metavar or self.name)


@cache
def fields(group: type) -> tuple[Field, ...]:
    """The fields of a group: its own ones, and then those that it shares with others."""
    hints = typing.get_type_hints(group)
    own = vars(group).get("__annotations__", {})
    found = []
    for one in sorted(dataclasses.fields(group), key=lambda one: one.name not in own):
        parts = typing.get_args(hints[one.name])
        optional = NoneType in parts
        inner = next(part for part in parts if part is not NoneType) if optional else hints[one.name]
        several = typing.get_origin(inner) is tuple
        kinds = typing.get_args(inner) if several else (inner,)
        count = len(kinds) if several and kinds[-1] is not Ellipsis else None
        found.append(Field(one.name, kinds[0], one.default, one.metadata["option"], optional, several, count))
    return tuple(found)
