"""What `pkd sweep --until-decided` shows: what it may cost, and the verdicts that came out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import typer

from pkdcli.api.reproduce import plan_rows
from pkdcli.api.until_decided import UntilDecided
from pkdcli.cli.plan import interruptible, say_notes, show_plan
from pkdcli.cli.progress.base import duration
from pkdcli.experiment.execute import Experiment, exit_code
from pkdcli.options import OutputOptions
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import teachers_root
from pkdcli.runs.store import read_json

if TYPE_CHECKING:
    from pkdcli.cli.progress.base import Watch


def carry_out_decided(found: UntilDecided, output: OutputOptions, watch: Watch) -> NoReturn:
    """Show the plan, or carry it out and show what was found; leaves with the command's exit code.

    Args:
        found: What is planned.
        output: How to print, and whether this is a dry run.
        watch: Shows progress.
    """
    if not output.quiet and not output.json:
        say_notes(found.whole)
    if output.dry_run:
        show_plan(found.whole, output)
        _show_cost(found, output)
        raise typer.Exit
    with interruptible():
        outcomes = found.execute(watch)
    if output.json:
        for one in found.used:
            if finished(one.paths):
                print(json.dumps({"event": "result", **(read_json(one.paths.result) or {})}))
        for row in found.rows():
            print(json.dumps({"event": "verdict", **row}))
    else:
        from pkdcli.reporting.formats import print_rich
        from pkdcli.reporting.tables.build import tables_of
        from pkdcli.reporting.verdict.tables import verdict_table

        tables, notes = tables_of(found.whole.runs, [one.run for one in found.used], mean=True)
        print_rich([*tables, verdict_table(found.verdicts, seed_by_seed=True)], notes)
    raise typer.Exit(exit_code(outcomes))


def _show_cost(found: UntilDecided, output: OutputOptions) -> None:
    """How much there is to do where the first look decides, and where the last one does not."""
    costs = {"least": _cost(found.least), "most": _cost(found.whole)}
    if output.json:
        seeds = {"seeds": list(found.seeds), "first_look": found.first}
        print(json.dumps({"event": "until_decided", **seeds, **costs}))
        return
    for word, count in (("least", found.first), ("most", len(found.seeds))):
        cost = costs[word]
        steps = "" if cost["steps"] is None else f", {cost['steps']} steps"
        time = "" if cost["seconds"] is None else f", about {duration(cost['seconds'])} by the speed of finished runs"
        print(f"At {word} {count} seeds: {cost['runs']} runs to do{steps}{time}.")


def _cost(experiment: Experiment) -> dict[str, float | None]:
    """What is still to do of an experiment; None where nothing is known of it."""
    rows = [row for row in plan_rows(experiment.planned, (experiment.runs, teachers_root(experiment.cache)))
            if row["state"] != "done"]  # fmt: skip
    known = {key: [row[key] for row in rows] for key in ("steps", "estimated_seconds")}
    sums = {key: None if None in values else sum(values) for key, values in known.items()}
    return {"runs": len(rows), "steps": sums["steps"], "seconds": sums["estimated_seconds"]}
