"""What an option is, on the command line and in Python alike: a field of a group, declared once. No Typer here.

A group is a frozen dataclass whose fields are made with `option`, or with `like` where another group has the option
already. `pkdcli.cli.typer_options.spread` makes a command's parameters of groups, `sort_keywords` a function's
keywords; both read values by `Field`, so that both allow the same.
"""

from pkdcli.options.declare import HOW, LOCAL, WHAT, WHERE, Only, Option, like, option
from pkdcli.options.fields import Field, fields
from pkdcli.options.groups import Asked, given_in, sort_keywords
from pkdcli.options.output import OutputOptions
from pkdcli.options.values import number, numbers, path, whole_numbers, words

__all__ = [
    "HOW",
    "LOCAL",
    "WHAT",
    "WHERE",
    "Asked",
    "Field",
    "Only",
    "Option",
    "OutputOptions",
    "fields",
    "given_in",
    "like",
    "number",
    "numbers",
    "option",
    "path",
    "sort_keywords",
    "whole_numbers",
    "words",
]
