"""How an option is declared: as a field of a group, which is a frozen dataclass."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass, replace
from typing import Any

# Headings of the help pages that several groups have.
WHAT, HOW, LOCAL, WHERE = "What", "How", "Processes and machines", "Where and how to print"


@dataclass(frozen=True)
class Option:
    """One option, or one argument, of a command.

    Attributes:
        help: What it does, in a line or two.
        names: What is typed for it; by default `--` and the field's name. A flag that can be denied is `--yes/--no`.
        panel: The heading that it stands under.
        min: The least value of a number.
        above: A number has to be greater than this.
        max: The greatest value of a whole number.
        metavar: What stands for its value on the help page.
        names_of: A kind of recipes, whose names the shell completes.
        choices: The only words that it takes.
        repeatable: Several values are given by naming it again, and not with commas between them.
        folder: It can only be a folder.
        argument: It is typed without a name.
        origin: The option that this one is a form of, as a sweep's weights are of a run's weight.
    """

    help: str = ""
    names: tuple[str, ...] = ()
    panel: str | None = None
    min: int | None = None
    above: int | None = None
    max: int | None = None
    metavar: str | None = None
    names_of: str | None = None
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    folder: bool = False
    argument: bool = False
    origin: Option | None = None


def option(default: Any = MISSING, help: str = "", **settings: Any) -> Any:
    """A field of a group.

    Args:
        default: Its value where nothing is given; none is needed for an argument that has to be there.
        help: What it does.
        **settings: The other attributes of `Option`.
    """
    return dataclasses.field(default=default, metadata={"option": Option(help, **settings)})


def like(group: type, name: str, default: Any = MISSING, **changes: Any) -> Any:
    """A field whose option another group has declared.

    Args:
        group: That group.
        name: Of its field.
        default: Another default than there.
        **changes: Attributes of `Option` that differ here, such as the help.
    """
    there = group.__dataclass_fields__[name]
    here: Option = there.metadata["option"]
    if changes:
        here = replace(here, **changes, origin=here.origin or here)
    return dataclasses.field(default=there.default if default is MISSING else default, metadata={"option": here})


class Only(tuple):
    """The fields of a group that a command takes, as in `Annotated[OutputOptions, Only("runs", "json")]`."""

    def __new__(cls, *names: str) -> Only:
        return super().__new__(cls, names)
