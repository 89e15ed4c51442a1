"""Writes the types of `import pkdcli` for type checkers and editors: `python -m pkdcli.cli.stub` makes __init__.pyi.

The functions are made from groups of options when they are first used, so no checker could read them; the stub is made
from the same groups, and a test holds the file to them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import MISSING
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
from typing import Literal, overload

from pandas import DataFrame

from pkdcli.api.benchmark import Benchmark
from pkdcli.api.compare import Comparison
from pkdcli.api.data.checking import Checked
from pkdcli.api.data.importing import Imported
from pkdcli.api.diagnosis.diagnose import Diagnosed
from pkdcli.api.doctor import Findings
from pkdcli.api.evaluate import Evaluation
from pkdcli.api.export.export import Exported
from pkdcli.api.predict.predict import Predictions
from pkdcli.api.profile.profile import Profile
from pkdcli.api.runs.archive import Archived
from pkdcli.api.runs.cancel import Cancelled
from pkdcli.api.runs.remove import Removed
from pkdcli.api.runs.unpack import Unpacked
from pkdcli.api.tune.plan import TunePlan
from pkdcli.api.tune.result import Tuned
from pkdcli.api.verify import Verification
from pkdcli.api.visualize.visualize import Figures
from pkdcli.errors import PkdError as PkdError
from pkdcli.experiment.bars import Bars as Bars
from pkdcli.experiment.execute import Experiment as Experiment
from pkdcli.launch.outcome import Watcher as Watcher
from pkdcli.runs.run import Run as Run
from pkdcli.runs.run_list import RunList as RunList

__version__: str
'''

PLANS = {"Run": "Experiment", "RunList": "Experiment", "Tuned": "TunePlan"}
"""What a verb that returns one of these returns with `dry_run=True`."""


def render() -> str:
    """The stub's text."""
    return HEAD + "".join(_function(name, verb) for name, verb in VERBS.items())


def _function(name: str, verb: Verb) -> str:
    """A verb; one that plans too, where it is asked to, has a second signature for that."""
    asked = [one for group in verb.options(name) if (one := Asked.of(group)) is not None]
    fields = {field.name: field for one in asked for field in one.fields}
    doc = (verb.target(name).__doc__ or "").split("\n\n")[0].strip()
    notes = [f"    {field.name}: {field.option.help}" for field in fields.values() if field.option.help]
    text = "\n".join([f'"""{doc}', "", "Args:", *notes, '"""']) if notes else f'"""{doc}"""'
    body = textwrap.indent(text, "    ")
    if "dry_run" not in fields or verb.returns not in PLANS:
        return f"\n{_signature(name, verb, fields, verb.returns)}\n{body}\n    ...\n"
    runs = _signature(name, verb, fields, verb.returns, "dry_run: Literal[False] = False,")
    plans = _signature(name, verb, fields, PLANS[verb.returns], "dry_run: Literal[True],")
    return f"\n@overload\n{runs}\n{body}\n    ...\n\n@overload\n{plans} ...\n"


def _signature(name: str, verb: Verb, fields: Mapping[str, Field], returns: str, dry_run: str | None = None) -> str:
    """`def name(...) -> returns:`, with `dry_run` in the place of that option's own form where one is given."""
    rest, lines = dict(fields), []
    if verb.positional and verb.many:
        field = rest.pop(verb.positional)
        lines.append(f"*{field.name}: {_type(field, single=True)},")
    elif verb.positional:
        lines.append(_parameter(rest.pop(verb.positional)))
    keywords = [dry_run if key == "dry_run" and dry_run else _parameter(field) for key, field in rest.items()]
    keywords += [f"{key}: {kind} = None," for key, kind in verb.extra.items()]
    if keywords and not verb.many:
        lines.append("*,")
    inner = textwrap.indent("\n".join([*lines, *keywords]), "    ")
    return f"def {name}({f'{chr(10)}{inner}{chr(10)}' if inner else ''}) -> {returns}:"


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
