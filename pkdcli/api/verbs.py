"""The verbs of pkdcli as functions with keywords: what `import pkdcli` offers, and the groups of options each takes.

A keyword is an option's name, as on the command line with underscores in place of dashes, and is checked by the same
`Option`. Where a command takes words without a name, the function takes them without a keyword.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import Parameter, signature
from types import NoneType, SimpleNamespace
from typing import Annotated, Any

from pkdcli.api.options.keywords import as_words
from pkdcli.options import Only, OutputOptions, sort_keywords
from pkdcli.recipe.configs import forget_own

Runs = Annotated[OutputOptions, Only("runs")]


@dataclass(frozen=True)
class Verb:
    """One function of the library.

    Attributes:
        module: Where it is, under the same name.
        returns: What it returns, as a type checker writes it.
        positional: The option that may be given without its keyword.
        many: It takes any number of these.
        extra: Other keywords, with their types.
        plain: It takes the keywords themselves, and they are checked as fields of these groups: dataclasses, or
            `module:class` of one that is imported when it is called. Empty where it takes groups.
    """

    module: str
    returns: str
    positional: str | None = None
    many: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    plain: tuple[Any, ...] = ()

    def target(self, name: str) -> Callable[..., Any]:
        """The function of that name, imported."""
        return getattr(import_module(self.module), name)

    def options(self, name: str) -> list[Any]:
        """The groups of options that the function of that name takes."""
        if self.plain:
            return [_imported(one) if isinstance(one, str) else one for one in self.plain]
        target = self.target(name)
        taken = [one for one in signature(target).parameters.values() if one.kind is Parameter.POSITIONAL_OR_KEYWORD]
        # Those of its parameters alone: what it returns may be known to type checkers only.
        written = SimpleNamespace(__annotations__={one.name: one.annotation for one in taken})
        hints = typing.get_type_hints(written, globalns=vars(import_module(self.module)), include_extras=True)
        return [_without_none(hint) for hint in hints.values()]


_WATCHER = {"watcher": "Watcher | None"}
_ON_IMAGE = {"on_image": "Callable[[int, int | None, str], None] | None"}
_ON_STEP = {"on_step": "Callable[[str, int | None, int | None], None] | None"}
_SAY = {"say": "Callable[[str], None] | None"}

VERBS: dict[str, Verb] = {
    "train": Verb("pkdcli.api.train", "Run", "pair", extra=_WATCHER),
    "sweep": Verb("pkdcli.api.sweep", "RunList", extra=_WATCHER),
    "tune": Verb("pkdcli.api.tune.tune", "Tuned", "pair", extra=_WATCHER),
    "reproduce": Verb("pkdcli.api.reproduce", "DataFrame", "table", extra=_WATCHER),
    "resume": Verb("pkdcli.api.runs.resume", "RunList", "names", many=True, extra=_WATCHER),
    "cancel": Verb("pkdcli.api.runs.cancel", "list[Cancelled]", "names", many=True),
    "evaluate": Verb("pkdcli.api.evaluate", "Evaluation", "target", extra=_SAY | _WATCHER),
    "report": Verb("pkdcli.api.report", "DataFrame | Path | str", extra=_SAY),
    "compare": Verb("pkdcli.api.compare", "Comparison", "names", many=True, extra=_WATCHER),
    "diagnose": Verb("pkdcli.api.diagnosis.diagnose", "Diagnosed", "name", extra=_WATCHER),
    "verify": Verb("pkdcli.api.verify", "Verification", "pair", extra=_WATCHER),
    "visualize": Verb("pkdcli.api.visualize.visualize", "Figures", "figure", extra=_WATCHER),
    "predict": Verb("pkdcli.api.predict.predict", "Predictions", "target", extra=_ON_IMAGE | _SAY | _WATCHER),
    "export": Verb("pkdcli.api.export.export", "Exported", "target", extra=_ON_STEP | _SAY | _WATCHER),
    "profile": Verb("pkdcli.api.profile.profile", "Profile", "names", many=True, extra=_SAY | _WATCHER),
    "benchmark": Verb("pkdcli.api.benchmark", "Benchmark", extra=_WATCHER),
    "data_check": Verb("pkdcli.api.data.checking", "Checked", "data", extra=_WATCHER),
    "data_import": Verb("pkdcli.api.data.importing", "Imported", "paths", many=True, extra=_WATCHER),
    "doctor": Verb("pkdcli.api.doctor", "Findings"),
    "archive": Verb("pkdcli.api.runs.archive", "Archived", "names", many=True),
    "unpack": Verb("pkdcli.api.runs.unpack", "Unpacked", "file"),
    "remove": Verb("pkdcli.api.runs.remove", "Removed", "names", many=True),
    "list_runs": Verb("pkdcli.api.runs", "RunList", plain=(Runs,)),
    "load_run": Verb("pkdcli.api.runs", "Run", "name", plain=("pkdcli.api.runs:LoadOptions", Runs)),
}


def function(name: str) -> Callable[..., Any]:
    """A verb as a function of keywords.

    Args:
        name: One of `VERBS`.
    """
    verb = VERBS[name]
    target = verb.target(name)

    def call(*given: Any, **keywords: Any) -> Any:
        forget_own()
        carried = {key: keywords.pop(key) for key in verb.extra if key in keywords}
        if given:
            keywords = {**_positional(name, verb, given), **keywords}
        groups = sort_keywords(verb.options(name), as_words(keywords))
        if "watcher" in verb.extra:
            given_one = carried.get("watcher")
            carried["watcher"] = _watcher() if given_one is None else given_one
        if "command" in signature(target).parameters:
            carried["command"] = _called(name, keywords)
        if verb.plain:
            return target(**{key: value for group in groups for key, value in vars(group).items() if key in keywords})
        return target(*groups, **carried)

    call.__name__ = call.__qualname__ = name
    call.__module__ = "pkdcli"
    call.__doc__ = target.__doc__
    return call


def _without_none(hint: Any) -> Any:
    """The group in `Group | None`; any other annotation as it is."""
    kinds = typing.get_args(hint)
    return next(one for one in kinds if one is not NoneType) if NoneType in kinds else hint


def _imported(path: str) -> type:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _positional(name: str, verb: Verb, given: tuple[Any, ...]) -> dict[str, Any]:
    if verb.positional is None or (len(given) > 1 and not verb.many):
        most = 0 if verb.positional is None else 1
        raise TypeError(f"pkdcli.{name}() takes {most} positional argument{'s' * (most != 1)}, {len(given)} were given")
    return {verb.positional: list(given) if verb.many else given[0]}


def _called(name: str, keywords: Mapping[str, Any]) -> str:
    """The call as it stands in a run's records."""
    return f"pkdcli.{name}({', '.join(f'{key}={value!r}' for key, value in keywords.items())})"


def _watcher() -> Any:
    from pkdcli.experiment.bars import default_watcher

    return default_watcher()
