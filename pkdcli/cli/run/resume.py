"""`pkd resume`: go on with what was interrupted, failed or lost."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.cli import typer_options as o


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Runs' ids, or their beginnings.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run that has ended without a result.")] = False,
    wait: o.Wait = False,
    runs: o.Runs = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Launch runs again that were interrupted, failed or lost, in the way they were launched before.

    They go on from their last checkpoints. A run whose teacher is missing has it trained first.

    [bold]Examples[/bold]

      pkd resume --all

      pkd resume gfl101-fcos50__mse-w10
    """
    from pkdcli.api.resume import resume
    from pkdcli.cli.plan import interruptible, typed
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.errors import PkdError
    from pkdcli.launch.run_state import reconcile
    from pkdcli.launch.status import query_all
    from pkdcli.runs.find import all_runs, chosen

    if bool(names) == everything:
        known = [one.paths.run for one in query_all(all_runs(runs)) if one.resumable]
        listed = "".join(f"\n  {run}" for run in known) or " There are none."
        raise PkdError("give runs, or --all, and not both.", f"Runs that ended without a result:{listed}")
    found = query_all(chosen(names or [], all_runs(runs)))
    todo = [one for one in found if one.resumable]
    for one in found:
        if one.resumable:
            reconcile(one)
        elif names:
            print(f"{one.paths.run}: is {one.state}, {one.where or 'here'}")
    if not todo:
        if not quiet:
            print("nothing to resume")
        return
    watch = watcher(json=json, quiet=quiet)
    with interruptible():
        raise typer.Exit(resume(todo, wait=wait, watcher=watch, command=typed(), runs=runs))
