"""`pkd bench`: what this machine makes of a pair, against mmrazor and the plain formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pkdcli.api.options import MEASURE, BenchmarkOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions


@spread
def command(
    options: BenchmarkOptions,
    output: Annotated[OutputOptions, Only("quiet")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=MEASURE)] = False,
) -> None:
    """Measure on this machine: losses, launches on a GPU, steps, shared teachers, evaluation, loading, start-up.

    What is compared takes turns in one process, after a warm-up; seconds are medians, a ratio is the median of those of
    each round, with its quartiles. Pictures are drawn and weights random, except for [bold]experiment[/bold], which
    takes many minutes; --suggest uses a trained teacher where there is one. Measured only where --only names them:
    experiment, coco (annotations as large as COCO's), report (of as many runs as --report-runs says), compare (of two
    runs) and predictions (whole runs with and without their detections kept, which takes many minutes too).

    [bold]Examples[/bold]

      pkd bench

      pkd bench --pair gfl101-fcos50 --scale paper --image 256x320 --only step,group

      pkd bench --suggest --scale paper

      pkd bench --only eval --eval-images 5000 --repeat 1 --json

      pkd bench --only launches --scale paper --image 192x320
    """
    import sys

    from pkdcli.api.benchmark import planned
    from pkdcli.cli.console import tell
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.errors import ExitCode

    watch = watcher(json=False, quiet=output.quiet or json)
    found = planned(options, watch)
    try:
        found.measure(None if json else show, watch)
    except KeyboardInterrupt:
        tell("stopped; the sections above are whole.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:
        if json:
            from json import dumps

            print(dumps({"schema": 1, "command": sys.argv[1:], **found.record()}, indent=1))
    if not json:
        print(in_words(found.machine) + ("; processor time" if options.clock == "cpu" else ""))


def show(section: Mapping[str, Any]) -> None:
    """Print a section as a table: times, ratios and numbers, and what was to be reached."""
    from rich.table import Table

    from pkdcli.cli.console import out

    table = Table(title=section["title"], title_justify="left", title_style="bold")
    table.add_column("", overflow="fold")
    for name in ("median", "from", "to", "to reach", "reached"):
        table.add_column(name, justify="right")
    for timing in section["timings"]:
        seconds = timing["seconds"]
        table.add_row(timing["name"], *(duration(s) for s in (timing["median"], min(seconds), max(seconds))), "", "")
    if section["timings"] and (section["ratios"] or section["numbers"]):
        table.add_section()
    for ratio in section["ratios"]:
        values = (f"{ratio[key]:.3f}" for key in ("value", "low", "high"))
        table.add_row(ratio["name"], *values, *_bound(ratio))
    for number in section["numbers"]:
        value = f"{number['value']:.3g}" if abs(number["value"]) < 100 else f"{number['value']:.0f}"
        table.add_row(number["name"], f"{value} {number['unit']}".strip(), "", "", *_bound(number))
    console = out()
    console.print(table)
    for note in section["notes"]:
        console.print(f"  {note}")


def _bound(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["ok"] is None:
        return "", ""
    at_least = row["at_least"] is not None
    bound = row["at_least"] if at_least else row["at_most"]
    return f"{'at least' if at_least else 'at most'} {bound:g}", "yes" if row["ok"] else "NO"


def duration(seconds: float) -> str:
    """Seconds in a readable unit."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def in_words(machine: Mapping[str, Any] | None) -> str:
    """The machine in one line."""
    if machine is None:
        return "nothing was measured"
    on = machine["gpu"] or f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads"
    return f"{on}; load {machine['load']} at the start; torch {machine['torch']}, Python {machine['python']}"
