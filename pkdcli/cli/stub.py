"""Writes the types of `import pkdcli` for type checkers and editors: `python -m pkdcli.cli.stub` makes __init__.pyi.

The functions are made from groups of options when they are first used, so no checker could read them; the stub is made
from the same groups, and a test holds the file to them.
"""

from __future__ import annotations

import textwrap
from dataclasses import MISSING
from importlib import import_module
from pathlib import Path

import pkdcli
from pkdcli.api.verbs import VERBS, Verb
from pkdcli.options import Field
from pkdcli.options.groups import Asked

FILE = Path(pkdcli.__file__).with_name("__init__.pyi")

HEAD = '''\
"""Made by `python -m pkdcli.cli.stub`: the functions of pkdcli with their keywords, which are the options' names."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pandas import DataFrame

from pkdcli.api.benchmark import Benchmark
from pkdcli.api.cancel import Cancelled
from pkdcli.api.doctor import Findings
from pkdcli.api.evaluate import Evaluation
from pkdcli.api.progress import Bars as Bars
from pkdcli.api.verify import Verification
from pkdcli.api.visualize.visualize import Figures
from pkdcli.errors import PkdError as PkdError
from pkdcli.experiment.execute import Experiment as Experiment
from pkdcli.launch.outcome import Watcher as Watcher
from pkdcli.runs.run import Run as Run
from pkdcli.runs.run_list import RunList as RunList

__version__: str
'''


def render() -> str:
    """The stub's text."""
    return HEAD + "".join(_function(name, verb) for name, verb in VERBS.items())


def _function(name: str, verb: Verb) -> str:
    asked = [one for group in verb.options() if (one := Asked.of(group)) is not None]
    fields = {field.name: field for one in asked for field in one.fields}
    lines = []
    if verb.positional and verb.many:
        field = fields.pop(verb.positional)
        lines.append(f"*{field.name}: {_type(field, single=True)},")
    elif verb.positional:
        lines.append(_parameter(fields.pop(verb.positional)))
    extra = [f"{key}: {kind} = None," for key, kind in verb.extra.items()]
    keywords = [*map(_parameter, fields.values()), *extra]
    if keywords and not verb.many:
        lines.append("*,")
    lines += keywords
    doc = (getattr(import_module(verb.module), name).__doc__ or "").split("\n\n")[0].strip()
    notes = [f"    {field.name}: {field.option.help}" for field in fields.values() if field.option.help]
    text = "\n".join([f'"""{doc}', *(["", "Args:", *notes] if notes else []), '"""'] if notes else [f'"""{doc}"""'])
    body = textwrap.indent(text, "    ")
    inner = textwrap.indent("\n".join(lines), "    ")
    signature = f"\n{inner}\n" if lines else ""
    return f"\ndef {name}({signature}) -> {verb.returns}:\n{body}\n    ...\n"


def _parameter(field: Field) -> str:
    default = "" if field.default is MISSING else f" = {_default(field)}"
    return f"{field.name}: {_type(field)}{default},"


def _default(field: Field) -> str:
    if field.several and field.default:
        return repr(",".join(map(str, field.default)) if field.listed else tuple(field.default))
    return "()" if field.several and field.default == () else repr(field.default)


def _type(field: Field, *, single: bool = False) -> str:
    kind = {Path: "str | os.PathLike[str]", str: "str"}.get(field.kind, field.kind.__name__)
    if field.kind is str and (field.option.names_of or field.option.argument):
        kind = "str | os.PathLike[str]"
    if field.option.argument and field.kind is str:
        kind = f"{kind} | Run"
    if field.several and not single:
        kind = f"Sequence[{kind}] | {kind}" + (" | str" if field.listed and field.kind is not str else "")
    return f"{kind} | None" if field.optional and not single else kind


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
