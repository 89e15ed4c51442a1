"""The verbs of pkdcli as functions with keywords: what `import pkdcli` offers, and the groups of options each takes.

A keyword is an option's name, as on the command line with underscores in place of dashes, and is checked by the same
`Option`. Where a command takes words without a name, the function takes them without a keyword.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any

from pkdcli.api.options.keywords import as_words
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import Only, OutputOptions, sort_keywords
from pkdcli.recipe.options import RecipeOptions, RunOptions, SweepOptions, TableOptions, TeacherOptions

Runs = Annotated[OutputOptions, Only("runs")]
Planned = Annotated[OutputOptions, Only("runs", "dry_run")]


@dataclass(frozen=True)
class Verb:
    """One function of the library.

    Attributes:
        module: Where it is.
        returns: What it returns, as a type checker writes it.
        groups: The options it takes: dataclasses, or `module:class` of one that is imported when it is called.
        positional: The option that may be given without its keyword.
        many: It takes any number of these.
        extra: Other keywords, with their types.
        plain: The function takes the keywords themselves, not groups of them.
    """

    module: str
    returns: str
    groups: tuple[Any, ...]
    positional: str | None = None
    many: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    plain: bool = False

    def options(self) -> list[Any]:
        """The groups, imported."""
        return [_imported(one) if isinstance(one, str) else one for one in self.groups]


_WATCHER = {"watcher": "Watcher | None"}
_SAY = {"say": "Callable[[str], None] | None"}
_LOOK = "pkdcli.api.options:"

VERBS: dict[str, Verb] = {
    "train": Verb(
        "pkdcli.api.train",
        "Run",
        (
            RunOptions,
            RecipeOptions,
            Annotated[TeacherOptions, Only("pretrained", "teacher_checkpoint")],
            LaunchOptions,
            Planned,
        ),
        "pair",
        extra=_WATCHER,
    ),
    "sweep": Verb(
        "pkdcli.api.sweep",
        "RunList",
        (SweepOptions, RecipeOptions, TeacherOptions, LaunchOptions, Planned),
        extra=_WATCHER,
    ),
    "reproduce": Verb(
        "pkdcli.api.reproduce",
        "DataFrame",
        (
            TableOptions,
            RecipeOptions,
            Annotated[TeacherOptions, Only("pretrained", "share_teacher")],
            LaunchOptions,
            Planned,
        ),
        "table",
        extra=_WATCHER,
    ),
    "resume": Verb(
        "pkdcli.api.resume",
        "RunList",
        ("pkdcli.api.resume:ResumeOptions", Annotated[LaunchOptions, Only("wait")], Runs),
        "names",
        many=True,
        extra=_WATCHER,
    ),
    "cancel": Verb(
        "pkdcli.api.cancel", "list[Cancelled]", ("pkdcli.api.cancel:CancelOptions", Runs), "names", many=True
    ),
    "evaluate": Verb("pkdcli.api.evaluate", "Evaluation", (_LOOK + "EvalOptions",), "target", extra=_SAY | _WATCHER),
    "report": Verb(
        "pkdcli.api.report", "DataFrame | Path | str", ("pkdcli.api.report:ReportOptions",), extra=_SAY
    ),
    "verify": Verb("pkdcli.api.verify", "Verification", (_LOOK + "VerifyOptions",), "pair", extra=_WATCHER),
    "visualize": Verb(
        "pkdcli.api.visualize.visualize", "Figures", (_LOOK + "VisualizeOptions",), "figure", extra=_WATCHER
    ),
    "benchmark": Verb("pkdcli.api.benchmark", "Benchmark", (_LOOK + "BenchmarkOptions",), extra=_WATCHER),
    "doctor": Verb("pkdcli.api.doctor", "Findings", ()),
    "list_runs": Verb("pkdcli.api.runs", "RunList", (Runs,), plain=True),
    "load_run": Verb("pkdcli.api.runs", "Run", ("pkdcli.api.runs:LoadOptions", Runs), "name", plain=True),
}


def function(name: str) -> Callable[..., Any]:
    """A verb as a function of keywords.

    Args:
        name: One of `VERBS`.
    """
    verb = VERBS[name]

    def call(*given: Any, **keywords: Any) -> Any:
        carried = {key: keywords.pop(key) for key in verb.extra if key in keywords}
        if given:
            keywords = {**_positional(name, verb, given), **keywords}
        groups = sort_keywords(verb.options(), as_words(keywords))
        if "watcher" in verb.extra:
            given_one = carried.get("watcher")
            carried["watcher"] = _watcher() if given_one is None else given_one
        if verb.module in _PLANNED:
            carried["command"] = _called(name, keywords)
        target = getattr(import_module(verb.module), name)
        if verb.plain:
            return target(**{key: value for group in groups for key, value in vars(group).items() if key in keywords})
        return target(*groups, **carried)

    call.__name__ = call.__qualname__ = name
    call.__module__ = "pkdcli"
    call.__doc__ = getattr(import_module(verb.module), name).__doc__
    return call


_PLANNED = ("pkdcli.api.train", "pkdcli.api.sweep", "pkdcli.api.reproduce", "pkdcli.api.resume")


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
