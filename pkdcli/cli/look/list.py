"""`pkd list`: what there is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pkdcli.cli.typer_options import spread
from pkdcli.errors import PkdError, unknown
from pkdcli.options import Only, OutputOptions

# word: (folder of recipes, columns)
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pairs": ("pairs", ("name", "teacher", "student", "schedule", "init")),
    "detectors": ("detectors", ("name", "title", "kind", "config", "box AP on COCO")),
    "losses": ("losses", ("name", "title", "weight", "temperature")),
    "schedules": ("schedules", ("name", "epochs", "milestones", "multi_scale")),
    "data": ("datasets", ("name", "classes", "train", "val", "test")),
    "scales": ("scales", ("name", "image", "batch", "data")),
    "tables": ("tables", ("name", "title", "layout")),
    "launchers": ("launchers", ("name", "kind", "notes")),
    "runs": ("", ("run", "state", "mAP")),
}
UNAVAILABLE = "losses of mmrazor that no recipe can name"


@spread
def command(
    output: Annotated[OutputOptions, Only("runs", "json")],
    what: Annotated[
        str | None,
        typer.Argument(
            help="pairs, detectors, losses, schedules, data, scales, tables, launchers or runs; none: all but runs.",
            autocompletion=lambda incomplete: [kind for kind in KINDS if kind.startswith(incomplete)],
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Losses: also those of mmrazor that no recipe can name, and why. Runs: also failed and smoke runs, "
            "which --json always has.",
        ),
    ] = False,
) -> None:
    """List pairs, detectors, losses, schedules, data sets, scales, tables, launchers or runs.

    [bold]Examples[/bold]

      pkd list

      pkd list losses --all

      pkd list runs --json
    """
    if what is not None and what not in KINDS:
        raise unknown("kind of thing", what, KINDS)
    if everything and what not in (None, "losses", "runs"):
        raise PkdError(f"--all: there is no more to say of {what}.", "It belongs to: pkd list losses.")
    kinds = [what] if what else [kind for kind in KINDS if kind != "runs"]
    for kind in kinds:
        if kind == "runs":
            _list_runs(output, everything)
            continue
        _print(kind, [_row(kind, recipe) for recipe in _recipes(kind)], output.json)
        if everything and kind == "losses":
            from pkdcli.recipe.library import unavailable_losses

            _print(UNAVAILABLE, [{"name": name, "why": why} for name, why in unavailable_losses().items()], output.json)


def _recipes(kind: str) -> list[Any]:
    """The recipes of a kind, and of those of plug-ins that can't be used where they come from."""
    from pkdcli.recipe.library import load_all
    from pkdcli.recipe.sources import sources

    usable = list(load_all(KINDS[kind][0]))
    known = [recipe.name for recipe in usable]
    several = [found for found in sources(KINDS[kind][0]).values() if len(found) > 1 or found[0].name not in known]
    return usable + [one for found in several for one in found if one.plugin]


def _list_runs(output: OutputOptions, everything: bool) -> None:
    """The runs; in the table failed and smoke runs are only counted, unless they are asked for."""
    from pkdcli.api.runs import list_runs
    from pkdcli.reporting.select import hidden
    from pkdcli.runs.record import smoke

    found = list_runs(output.runs)
    failed = [one for one in found if one.state == "failed"]
    cut = [one for one in found if one not in failed and smoke(one.result)]
    away = [] if everything or output.json else [*failed, *cut]
    shown = [one for one in found if one not in away]
    rows = [{"run": one.id, "state": one.state, "mAP": one.metrics["mAP"]} for one in shown]
    if rows or not away:
        _print("runs", rows, output.json)
    if away:
        print("\n".join([*hidden(len(failed), "failed"), *hidden(len(cut), "smoke")]))


def _row(kind: str, recipe: Any) -> dict[str, Any]:
    from pkdcli.recipe.sources import Source, sources

    if isinstance(recipe, Source):
        return {"name": recipe.name, "from": f"{recipe.origin}; it can't be used: see pkd doctor"}
    row = {key: getattr(recipe, key, None) for key in KINDS[kind][1]}
    origins = [one.origin for one in sources(KINDS[kind][0])[recipe.name]]
    if len(origins) == 1 and origins[0] is not None:
        row["from"] = origins[0]
    if kind == "detectors":
        from pkdcli.config.zoo import entry

        row["box AP on COCO"] = entry(recipe.config).box_ap
    if kind == "pairs" and recipe.training == "own":
        row["schedule"] = "own"  # its student's config has the schedule
    if kind == "losses":
        rule = recipe.weight.default
        row["weight"] = "alpha by the teacher's kind" if rule == "by-teacher" else rule
        if recipe.name == "none":
            row["weight"] = None
        row["temperature"] = recipe.temperature.default if recipe.temperature else None
    if kind == "data":
        row["classes"] = len(recipe.classes) if recipe.classes else None
        for split in ("train", "val", "test"):
            found = recipe.splits.get(split)
            row[split] = ", ".join(part.annotations for part in found.parts) if found else None
    return row


def _print(kind: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        import json

        for row in rows:
            print(json.dumps({"list": kind, **row}, default=str))
        return
    from rich.markup import escape
    from rich.table import Table

    from pkdcli.cli.console import NO_RUNS, out

    table = Table(title=kind, title_justify="left", title_style="bold")
    columns = list(rows[0]) if kind == UNAVAILABLE else list(KINDS[kind][1])
    if any("from" in row for row in rows):  # of a plug-in
        columns.append("from")
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in ("mAP", "epochs") else "left")
    for row in rows:
        table.add_row(*(escape(_text(row.get(column))) for column in columns))
    out().print(table)
    if kind == "runs" and not rows:
        print(NO_RUNS)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}" if value >= 1 else f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(f"{item:g}" if isinstance(item, (int, float)) else str(item) for item in value)
    return str(value)
