"""`pkd resume`: go on with what was interrupted, failed or lost."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.api.runs.resume import ResumeOptions, plan_resume
from pkdcli.cli.typer_options import spread
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import Only, OutputOptions


@spread
def command(
    options: ResumeOptions,
    launch: Annotated[LaunchOptions, Only("wait")],
    output: Annotated[OutputOptions, Only("runs", "json", "quiet")],
) -> None:
    """Launch runs again that were interrupted, failed or lost, in the way they were launched before.

    They go on from their last checkpoints. A run whose teacher is missing has it trained first. Runs that a search
    (pkd tune) has paused go on if they are named.

    [bold]Examples[/bold]

      pkd resume --all

      pkd resume gfl101-fcos50__mse-w10
    """
    from pkdcli.cli.plan import interruptible, typed
    from pkdcli.cli.progress.choose import watcher

    found = plan_resume(options, launch, output, command=typed())
    for one in found.others:
        print(f"{one.paths.run}: is {one.state}, {one.where or 'here'}")
    if found.paused and not output.quiet:
        count = f"{len(found.paused)} run{'s' * (len(found.paused) > 1)}"
        print(
            f"paused by a search, and left so: {count}. The same `pkd tune` goes on; "
            f"`pkd resume {found.paused[0].run}` takes one to its end."
        )
    if not found.experiments:
        if not output.quiet:
            print("nothing to resume")
        return
    with interruptible():
        raise typer.Exit(found.execute(watcher(json=output.json, quiet=output.quiet)))
