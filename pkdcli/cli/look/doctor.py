"""`pkd doctor`: what this machine has and lacks."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions


@spread
def command(output: Annotated[OutputOptions, Only("json")]) -> None:
    """Say what this machine has (versions, devices, data, cache), what it lacks, and the remedy.

    Leaves with exit code 3 where something needed is missing. COCO is not needed: scale tiny runs without.

    [bold]Examples[/bold]

      pkd doctor
    """
    from pkdcli.api.doctor import doctor
    from pkdcli.errors import ExitCode

    findings = doctor()
    if output.json:
        for finding in findings:
            print(finding.line())
    else:
        from rich.markup import escape
        from rich.table import Table

        from pkdcli.cli.console import out

        table = Table("", "what", "found", "remedy")
        marks = {True: "[green]ok[/]", False: "[red]missing[/]", None: "[yellow]note[/]"}
        for finding in findings:
            table.add_row(marks[finding.ok], finding.what, escape(finding.found), escape(finding.remedy))
        out().print(table)
    raise typer.Exit(ExitCode.OK if findings.ok else ExitCode.MISSING)
