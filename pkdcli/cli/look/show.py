"""`pkd show`: one recipe or one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pkdcli.cli.console import metrics_table, out
from pkdcli.cli.typer_options import spread
from pkdcli.errors import PkdError, nearest, unknown
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, named, run_at
from pkdcli.runs.paths import RunPaths

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Detector
    from pkdcli.runs.run import Run


@dataclass(frozen=True)
class ShowOptions:
    """What is shown.

    Attributes:
        name: A recipe's name, a run's id or its beginning, a run's folder, a file of one's own, or a config's name.
    """

    name: str = option(
        help="A recipe's name or a run's id (its beginning is enough); a run's folder, a recipe's file, or a "
        "detector's config (mmdet's by its name, a .py of your own).",
        argument=True,
        names_of="detectors",
    )


@spread
def command(options: ShowOptions, output: Annotated[OutputOptions, Only("runs")]) -> None:
    """Show a recipe as it stands in its file, or a run: its state, result and recipe.

    Of a detector also what was found: kind, levels, how it is trained, the zoo's AP. A config of mmdet's, or of your
    own, is shown as the recipe that it would have.

    [bold]Examples[/bold]

      pkd show gfl101-fcos50

      pkd show norm-kl

      pkd show rtmdet_tiny_8xb32-300e_coco

      pkd show runs/fcos50__baseline__2x__shapes-tiny__s0-0123abcd
    """
    name = options.name
    if recipes := _recipes(name):
        for where, text in recipes:
            print(f"# {where}")
            print(text, end="")
        return
    from pkdcli.api.runs import runs_of

    for run in runs_of(_runs(name, output.runs)):
        _show_run(run)


def _recipes(name: str) -> list[tuple[str, str]]:
    """The recipes that a word names, pkd's, a plug-in's or a file of one's own: where each is from, and its text."""
    from pkdcli.recipe.library import KINDS, config_of, names

    found = [_text_of(kind, name) for kind in KINDS if name in names(kind)]
    path = Path(name).expanduser()
    if not found and (config := config_of(name)) is not None and not run_at(path.parent):
        return [(config, _given(name))]
    if found or not path.is_file() or run_at(path.parent):
        return found
    if path.suffix not in (".yaml", ".yml"):
        raise PkdError(
            f"{path} is no recipe: those are YAML files.",
            "`pkd show` takes a recipe's name or file, or a run's id or folder; `pkd eval FILE` takes weights.",
        )
    found_out = _found_of_file(path)  # which says what is wrong with the file
    return [(str(path), path.read_text(encoding="utf-8") + found_out)]


def _text_of(kind: str, name: str) -> tuple[str, str]:
    """Where a recipe is from, and what stands in its file, or would: of a plug-in's defaults there is none."""
    from pkdcli.recipe.library import find, read

    source = find(kind, name)
    if source.path is None:
        import yaml

        content = read(kind, source).model_dump(mode="json", exclude_unset=True)
        return str(source), yaml.safe_dump(content, sort_keys=False)
    text = source.path.read_text(encoding="utf-8")
    if kind == "detectors":
        text += _found(read(kind, source))
    return str(source if source.plugin else source.path), text


def _given(name: str) -> str:
    """The recipe that a detector would have that is given by its config, and what was found out about it."""
    import yaml

    from pkdcli.recipe.library import load

    detector = load("detectors", name)
    shown = detector.model_dump(mode="json", include={"name", "title", "kind", "config", "lr", "mask"})
    return yaml.safe_dump(shown, sort_keys=False) + _found(detector)


def _found_of_file(path: Path) -> str:
    """What was found out about the detector of a recipe's file; nothing of a recipe of another kind."""
    from pkdcli.recipe.library import load, read_yaml

    content = read_yaml(path)
    return _found(load("detectors", str(path))) if {"config", "kind"} <= content.keys() else ""


def _found(detector: Detector) -> str:
    from pkdcli.config.found import found

    return "".join(f"# {what}: {said}\n" for what, said in found(detector).items())


def _runs(name: str, runs: Path | None) -> list[RunPaths]:
    """The runs that a word means: one by its folder or a file in it, or all whose ids begin so."""
    path = Path(name).expanduser()
    if (at := run_at(name) or (run_at(path.parent) if path.is_file() else None)) is not None:
        return [at]
    among = all_runs(runs)
    found = named(name, [paths.run for paths in among])
    if not found:
        from pkdcli.recipe.detectors.given import near_configs
        from pkdcli.recipe.library import KINDS, names

        known = [word for kind in KINDS for word in names(kind)] + [paths.run for paths in among]
        if not nearest(name, known) and (near := near_configs(name)):
            raise PkdError(f"unknown recipe or run {name!r}.", f"Did you mean mmdet's {' or '.join(map(repr, near))}?")
        raise unknown("recipe or run", name, known)
    return [paths for paths in among if paths.run in found]


def _show_run(run: Run) -> None:
    from pkdcli.cli.progress.base import describe

    print(f"{run.id}: {describe(run.status) if run.state == 'running' else run.state}")
    if run.reason:
        print(f"  {run.reason}")
    if result := run.result:
        rows = [(result.get("student_title") or run.id, run.metrics)]
        if result.get("teacher_metrics"):
            rows.insert(0, (result.get("teacher_title") or "teacher", result["teacher_metrics"]))
        out().print(metrics_table(rows))
    paths = run.paths
    weights = paths.teacher if paths.teacher.is_file() else paths.student
    for name, file in (
        ("recipe", paths.recipe),
        ("config", paths.config),
        ("log", paths.log),
        ("weights", weights),
    ):
        if file.is_file():
            print(f"  {name:8} {file}")
