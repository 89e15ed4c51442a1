"""`pkd rm`: remove runs, after asking."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from pkdcli.api.runs.remove import RemoveOptions, remove
from pkdcli.cli.typer_options import spread
from pkdcli.errors import ExitCode, PkdError
from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.api.runs.remove import Removed


@spread
def command(
    options: RemoveOptions,
    output: Annotated[OutputOptions, Only("runs", "dry_run", "json")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them without asking.")] = False,
) -> None:
    """Remove runs with their weights, results and logs, and say how much that frees.

    A run that is running or queued stays, and so does a teacher that other runs have (unless --force).

    [bold]Examples[/bold]

      pkd rm gfl101-fcos50__mse-w10__2x__shapes-tiny__s0

      pkd rm fcos50__baseline gfl101-fcos50__pkd --yes
    """
    from pkdcli.cli.console import in_bytes

    found = remove(options, replace(output, dry_run=True))
    if not output.dry_run and not yes:
        _ask(found, output.json)
    if not output.dry_run:
        found = remove(options, output)
    if output.json:
        import json

        for path, size in found.sizes.items():
            print(json.dumps({"run": path.name, "path": str(path), "bytes": size, "removed": found.done}))
        return
    if yes or output.dry_run:  # who was asked has seen them
        _list(found)
    total = f"{in_bytes(found.total)} ({found.total:,} bytes)"
    print(f"freed {total}" if found.done else f"{total}; nothing is removed: leave --dry-run out")


def _list(found: Removed) -> None:
    from pkdcli.cli.console import in_bytes

    for path, size in found.sizes.items():
        print(f"{in_bytes(size):>10}  {path}")
    for path, runs in found.used.items():
        print(f"{path.name} is the teacher of {', '.join(runs)}")


def _ask(found: Removed, as_json: bool) -> None:
    import sys

    if as_json or not sys.stdin.isatty():
        raise PkdError("nothing is removed: there is nobody to ask.", "Add --yes; --dry-run shows what would go.")
    _list(found)
    if not typer.confirm(f"Remove {len(found.sizes)} run{'s' * (len(found.sizes) != 1)} for good?"):
        print("nothing is removed")
        raise typer.Exit(ExitCode.OK)
