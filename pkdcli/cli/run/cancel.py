"""`pkd cancel`: stop runs, wherever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pkdcli.cli import typer_options as o

if TYPE_CHECKING:
    from pkdcli.launch.run_state import RunState


def command(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs' ids; their beginnings are enough.")],
    runs: o.Runs = None,
) -> None:
    """Stop runs: those at work save first, those in a queue leave it, and with a teacher its students.

    `pkd resume` goes on with them.

    [bold]Examples[/bold]

      pkd cancel gfl101-fcos50__mse-w10

      pkd cancel gfl101-fcos50__mse fcos50__baseline
    """
    from pkdcli.launch.slurm import cluster
    from pkdcli.launch.run_state import reconcile
    from pkdcli.launch.status import query_all
    from pkdcli.runs.find import all_runs, chosen
    from pkdcli.runs.status import note_cancel

    found = query_all(chosen(names, all_runs(runs)))
    active = [one for one in found if one.state in ("queued", "running")]
    for one in active:
        if one.state == "running" and one.job:
            note_cancel(one.paths)
    cluster.scancel([one.job for one in active if one.job])
    failed = False
    for one in found:
        if one not in active:
            reconcile(one)
            print(f"{one.paths.run}: is {one.state} already")
        elif one.job:
            _end_if_queued(one)
            print(f"{one.paths.run}: cancelled, Slurm {one.job}")
        elif one.state == "running":
            failed |= not _stop(one)
        else:
            _end_if_queued(one)  # which its queue sees when its turn comes
            print(f"{one.paths.run}: cancelled before it started")
    raise typer.Exit(1 if failed else 0)


def _end_if_queued(one: RunState) -> None:
    from pkdcli.launch.run_state import end

    if one.status.get("state") == "queued":
        end(one.paths, "interrupted", "cancelled before it started", 130, silent=False)


def _stop(one: RunState) -> bool:
    """Ask a run of this machine to save and stop; whether it could be asked."""
    import signal
    import socket

    from pkdcli.launch.local.os_processes import send
    from pkdcli.runs.status import note_cancel

    pid, host = one.status.get("pid"), one.status.get("host")
    if host != socket.gethostname():
        print(f"{one.paths.run}: runs on {host}; type the command there")
        return False
    note_cancel(one.paths)
    if one.status.get("shared_with"):
        print(f"{one.paths.run}: asked to save and stop; the runs that it trains together with go on")
        return True
    # The processes of a run agree between two steps to stop, so one of them is enough.
    send([pid], signal.SIGINT)
    print(f"{one.paths.run}: asked process {pid} to save and stop")
    return True
