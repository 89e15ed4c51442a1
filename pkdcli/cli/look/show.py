"""`pkd show`: one recipe or one run."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.cli import typer_options as o


def command(
    name: Annotated[str, typer.Argument(help="A recipe's name or a run's id (its beginning is enough).")],
    runs: o.Runs = None,
) -> None:
    """Show a recipe as it stands in its file, or a run: its state, result and recipe.

    [bold]Examples[/bold]

      pkd show gfl101-fcos50

      pkd show norm-kl
    """
    from pkdcli.errors import unknown
    from pkdcli.folders import runs_root
    from pkdcli.recipe.library import KINDS, names

    kinds = [kind for kind in KINDS if name in names(kind)]
    for kind in kinds:
        _show_recipe(kind, name)
    if kinds:
        return
    root = runs_root(runs)
    runs_there = [path for path in sorted(root.glob("*")) if (path / "status.json").is_file()]
    found = [path for path in runs_there if name and path.name.startswith(name)]
    if not found:
        known = [word for kind in KINDS for word in names(kind)]
        raise unknown("recipe or run", name, known + [path.name for path in root.glob("*") if path.is_dir()])
    for path in found:
        _show_run(path)


def _show_recipe(kind: str, name: str) -> None:
    """Print a recipe as its file has it, or as the defaults of a plug-in make it, behind where it comes from."""
    from pkdcli.recipe.library import find, read
    from pkdcli.recipe.sources import Source

    source: Source = find(kind, name)
    print(f"# {source.path if source.plugin is None else source}")
    if source.path is not None:
        print(source.path.read_text(encoding="utf-8"), end="")
        return
    import yaml

    print(yaml.safe_dump(read(kind, source).model_dump(mode="json", exclude_unset=True), sort_keys=False), end="")


def _show_run(path) -> None:
    from pkdcli.cli.console import metrics_table, out
    from pkdcli.cli.progress.choose import describe
    from pkdcli.runs.paths import RunPaths
    from pkdcli.runs.store import read_json

    paths = RunPaths(path)
    status, result = read_json(paths.status) or {}, read_json(paths.result)
    state = status.get("state", "unknown")
    print(f"{paths.run}: {describe(status) if state == 'running' else state}")
    if status.get("error"):
        print(f"  {status['error']['message']}")
    if result:
        rows = [(result["student_title"], result["metrics"])]
        if result.get("teacher_metrics"):
            rows.insert(0, (result["teacher_title"], result["teacher_metrics"]))
        out().print(metrics_table(rows))
    for name, file in (
        ("recipe", paths.recipe),
        ("config", paths.config),
        ("log", paths.log),
        ("weights", paths.student),
    ):
        if file.is_file():
            print(f"  {name:8} {file}")
