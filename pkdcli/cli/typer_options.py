"""From groups of options to what Typer reads: a command's parameters."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from functools import partial
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from pkdcli.launch.options import LaunchOptions
from pkdcli.options import WHAT, WHERE, Asked, Field, OutputOptions, fields, path, words
from pkdcli.recipe.options import RunOptions

_BY_THE_USER = ("COMMANDLINE", "ENVIRONMENT", "PROMPT")


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes options instead of groups of them, for Typer.

    Args:
        command: Takes groups: dataclasses whose fields are options, annotated with `Only` where it takes some of them.
            A default, an instance of the group, gives the options other defaults. Parameters of other types stay.

    Returns:
        A function of all the options, which calls the command with the groups. Its `options` are the fields by name.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    flat: list[Parameter] = []
    groups: dict[str, Asked] = {}
    options: dict[str, Field] = {}
    for parameter in inspect.signature(command).parameters.values():
        base = None if parameter.default is Parameter.empty else parameter.default
        asked = Asked.of(hints[parameter.name], base)
        if asked is None:
            kept = parameter.replace(annotation=hints[parameter.name], kind=Parameter.KEYWORD_ONLY)
            flat.append(kept)
            continue
        groups[parameter.name] = asked
        for field in asked.fields:
            if field.name in options:
                raise TypeError(f"{command.__module__}: two groups have the option {field.name!r}")
            options[field.name] = field
            flat.append(_parameter(field))

    def flattened(*, context: typer.Context | None = None, **given: Any) -> None:
        made = {
            name: asked.make({f.name: f.typed(given.pop(f.name)) for f in asked.fields}, _typed(asked, context))
            for name, asked in groups.items()
        }
        command(**given, **made)

    # What is printed, and where, is the last heading of every help page.
    flat.sort(key=lambda one: one.name in options and options[one.name].option.panel == WHERE)
    flat.append(Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context))
    flattened.__doc__, flattened.__name__, flattened.__module__ = command.__doc__, command.__name__, command.__module__
    flattened.__signature__ = inspect.Signature(flat)
    flattened.__annotations__ = {one.name: one.annotation for one in flat}
    flattened.options = options
    return flattened


def _typed(asked: Asked, context: typer.Context | None) -> list[str]:
    """The fields of a group that were typed, and are not just at their defaults."""
    if context is None:
        return []
    sources = {one.name: context.get_parameter_source(one.name) for one in asked.fields}
    return [name for name, source in sources.items() if source is not None and source.name in _BY_THE_USER]


def _parameter(field: Field) -> Parameter:
    """The parameter of an option, with what Typer is to know of it."""
    default: Any = field.default
    if default is MISSING:
        default = Parameter.empty
    elif field.listed:
        default = ",".join(map(str, default)) or None
    elif field.several:
        default = list(default or ()) or None if field.count is None else default
    elif field.kind is float and default is not None:
        default = f"{default:g}"
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation(field, default))


def annotation(field: Field, default: Any = None) -> Any:
    """An option's type, as Typer shall read it, annotated with its names, its help and its bounds.

    Args:
        field: The option.
        default: Its default, as Typer shall show it.
    """
    option, typed = field.option, field.kind
    if field.listed or typed is float:  # read by the field, whose messages say what it takes
        typed = str
    elif field.several:
        typed = list[field.kind] if field.count is None else tuple[(field.kind,) * field.count]
    told: dict[str, Any] = {"help": option.help or None, "rich_help_panel": option.panel, "metavar": option.metavar}
    if field.kind is int and not field.listed:
        told |= {"min": option.min, "max": option.max}
    if field.kind is Path:  # Typer would take an empty word for the working folder
        label = option.metavar if option.argument else field.names[0]
        told["parser"] = partial(path, label=label, folder=option.folder)
        told["parser"].__name__ = "path"  # which the help page shows for its type
    if option.names_of or option.choices:
        told["autocompletion"] = _complete(option.names_of, option.choices, field.listed)
    said = typer.Argument(**told) if option.argument else typer.Option(*field.names, **told)
    said.declared = option  # by which a test tells that no option is declared twice
    return Annotated[typed | None if default is None else typed, said]


def _complete(kind: str | None, choices: Sequence[str] = (), listed: bool = False) -> Callable[[str], list[str]]:
    """What the shell proposes: the names of a kind of recipes, or the only words there are."""

    def complete(incomplete: str) -> list[str]:
        from pkdcli.recipe.library import offered

        before, comma, word = incomplete.rpartition(",") if listed else ("", "", incomplete)
        return [before + comma + name for name in choices or offered(kind, word) if name.startswith(word)]

    return complete


def alias(group: type, name: str, default: Any = MISSING) -> Any:
    """The annotation of one option of a group, for a command that takes it by itself.

    Args:
        group: The group that has the option.
        name: Of its field.
        default: Another default than there.
    """
    field = next(field for field in fields(group) if field.name == name)
    return annotation(field, field.default if default is MISSING else default)


Pair, Loss, ScaleName, DataName, Seed, Set = (
    alias(RunOptions, name) for name in ("pair", "loss", "scale", "data", "seed", "sets")
)
Runs, DryRun, Json, Quiet = (alias(OutputOptions, name) for name in ("runs", "dry_run", "json", "quiet"))
Wait = alias(LaunchOptions, "wait")
_WHAT, _WHERE = WHAT, WHERE
__all__ = ["alias", "annotation", "spread", "words"]
