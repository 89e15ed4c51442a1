"""Stop runs, wherever they are: `pkdcli.cancel()` and `pkd cancel`."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, chosen

if TYPE_CHECKING:
    from pkdcli.launch.run_state import RunState


@dataclass(frozen=True)
class CancelOptions:
    """Which runs are stopped.

    Attributes:
        names: Their ids, beginnings of these, or their folders.
    """

    names: tuple[str, ...] = option(
        help="Runs' ids; their beginnings are enough.", argument=True, repeatable=True, metavar="RUN..."
    )


class Cancelled(NamedTuple):
    """What became of one run.

    Attributes:
        run: Its id.
        text: What was done, in words.
        ok: Whether it stops or has ended; not so for one that another machine has, which this one can't reach, or
            whose launcher is not to be had.
    """

    run: str
    text: str
    ok: bool = True


def cancel(options: CancelOptions, output: Annotated[OutputOptions, Only("runs")]) -> list[Cancelled]:
    """Stop runs: those at work save first, those in a queue leave it, and with a teacher its students.

    Args:
        options: Which runs.
        output: Where they are.

    Returns:
        What became of each. It does not wait for the runs to end.

    Raises:
        PkdError: There is no run of such a name, with the nearest.
    """
    from pkdcli.launch.kinds import by_launcher
    from pkdcli.launch.status import query_all

    found = query_all(chosen(options.names, all_runs(output.runs))) if options.names else []
    active = [one for one in found if one.state in ("queued", "running")]
    groups, refused = by_launcher(active)
    for launcher, states in groups:
        launcher.cancel(states)
    return [
        Cancelled(one.paths.run, f"is not asked to stop: {refused[one.paths].message}", ok=False)
        if one.paths in refused
        else _cancelled(one)
        for one in found
    ]


def _cancelled(one: RunState) -> Cancelled:
    from pkdcli.launch.run_state import reconcile

    run = one.paths.run
    if one.state not in ("queued", "running"):
        reconcile(one)
        return Cancelled(run, f"is {one.state} already")
    if one.job:
        _end_if_queued(one)
        return Cancelled(run, f"cancelled, Slurm {one.job}")
    if one.state == "running":
        return _stop(one)
    _end_if_queued(one)  # which its queue sees when its turn comes
    return Cancelled(run, "cancelled before it started")


def _end_if_queued(one: RunState) -> None:
    from pkdcli.launch.run_state import end

    if one.status.get("state") == "queued":
        end(one.paths, "interrupted", "cancelled before it started", 130, silent=False)


def _stop(one: RunState) -> Cancelled:
    """What becomes of a run that is at work, which its launcher has asked to save and stop."""
    run, pid, host = one.paths.run, one.status.get("pid"), one.status.get("host")
    if host != socket.gethostname():
        from pkdcli.launch.plugin import launcher_of_run

        if launcher_of_run(one.paths) is not None:
            return Cancelled(run, "asked its launcher to have it save and stop")
        return Cancelled(run, f"runs on {host}; type the command there", ok=False)
    if one.status.get("shared_with"):
        return Cancelled(run, "asked to save and stop; the runs that it trains together with go on")
    return Cancelled(run, f"asked process {pid} to save and stop")
