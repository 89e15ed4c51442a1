"""`pkd resume`: go on with what was interrupted, failed or lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pkdcli.cli import typer_options as o

if TYPE_CHECKING:
    from pkdcli.launch.status import Found


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
    from pkdcli.api.train import Where
    from pkdcli.errors import PkdError
    from pkdcli.launch.status import look_all, settle
    from pkdcli.runs.find import all_runs, chosen

    if bool(names) == everything:
        known = [one.paths.run for one in look_all(all_runs(runs)) if one.resumable]
        listed = "".join(f"\n  {run}" for run in known) or " There are none."
        raise PkdError("give runs, or --all, and not both.", f"Runs that ended without a result:{listed}")
    found = look_all(chosen(names or [], all_runs(runs)))
    todo = [one for one in found if one.resumable]
    for one in found:
        if one.resumable:
            settle(one)
        elif names:
            print(f"{one.paths.run}: is {one.state}, {one.where or 'here'}")
    if not todo:
        if not quiet:
            print("nothing to resume")
        return
    raise typer.Exit(_go(todo, Where(runs=runs, json=json, quiet=quiet, wait=wait)))


def _go(todo: list[Found], where) -> int:
    from dataclasses import replace

    from pkdcli.api.train import carry_out
    from pkdcli.experiment import plan
    from pkdcli.folders import cache_root
    from pkdcli.launch.options import launcher as default
    from pkdcli.recipe.library import parse
    from pkdcli.recipe.schema import Launcher

    groups: dict[str, tuple[Launcher, list]] = {}
    for one in todo:
        planned, job = plan.restored(one.paths, cache_root())
        launcher = parse(Launcher, job["launcher"], str(one.paths.job)) if job.get("launcher") else default()
        members = groups.setdefault(launcher.model_dump_json(), (launcher, []))[1]
        members += [one for one in planned if one.run not in [member.run for member in members]]
    codes = []
    for launcher, planned in groups.values():
        try:
            codes.append(int(plan.exit_code(carry_out(planned, cache_root(), replace(where, launcher=launcher)))))
        except typer.Exit as left:
            codes.append(left.exit_code)
            if left.exit_code:
                break
    return next((code for code in codes if code), 0)
