"""`pkd doctor`: what this machine has and lacks."""

from __future__ import annotations

import typer

from pkdcli.cli import typer_options as o


def command(json: o.Json = False) -> None:
    """Say what this machine has (versions, devices, data, cache), what it lacks, and the remedy.

    Leaves with exit code 3 where something needed is missing. COCO is not needed: scale tiny runs without.

    [bold]Examples[/bold]

      pkd doctor
    """
    import os
    import subprocess
    import sys

    from pkdcli.api.doctor import Finding, checks
    from pkdcli.cores import variables

    findings = checks()
    # torch stays behind a process boundary: what it sees, its own process says.
    answer = subprocess.run(
        [sys.executable, "-m", "pkdcli.engine.worker.doctor"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **variables()},
        check=False,
    )
    findings += Finding.read(answer.stdout) or [
        Finding("torch", "the stack does not start", False, (answer.stderr.strip().splitlines() or ["no answer"])[-1])
    ]
    if json:
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
    raise typer.Exit(3 if any(finding.ok is False for finding in findings) else 0)
