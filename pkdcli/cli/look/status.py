"""`pkd status`: what every run is doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkdcli.api.runs import StatusOptions, status
from pkdcli.cli.console import NO_RUNS, out
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.launch.run_state import RunState
    from pkdcli.reporting.quick_table import QuickTable

SECONDS = 2.0  # between two looks with --watch
COLUMNS = ("run", "state", "epoch", "step", "loss", "it/s", "left", "where")


@spread
def command(
    options: StatusOptions,
    output: Annotated[OutputOptions, Only("runs", "json")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show what every run is doing: state, epoch, loss, speed, time left and where it runs.

    A run that was killed is shown as failed, with the end of its log and the likely reason.

    [bold]Examples[/bold]

      pkd status

      pkd status --watch

      pkd status gfl101-fcos50__mse --json
    """
    if output.json:
        import json

        for one in status(options, output):
            print(json.dumps(record(one)))
        return
    if watch:
        _watch(lambda: status(options, output))
        return
    found = status(options, output)
    if not found:
        print(NO_RUNS)
        return
    out().print(table(found))
    for line in explanations(found):
        print(line)


def record(found: RunState) -> dict[str, Any]:
    """A run as one JSON object."""
    from pkdcli.launch.logs import tail
    from pkdcli.runs.status import RUNNING

    keys = ("role", "phase", "phase_done", "phase_total", "epoch", "epochs", "iter", "iters")
    keys += ("train_loss", "it_per_s", "eta_s", "updated")
    fields = {key: found.status.get(key) for key in keys}
    if found.state != RUNNING:
        fields |= {"phase": None, "phase_done": None, "phase_total": None, "it_per_s": None, "eta_s": None}
    head = {"run": found.paths.run, "state": found.state, "reason": found.reason, "where": found.where}
    log = tail(found.paths.log) if found.silent else None
    return {**head, "job": found.job, **fields, "path": str(found.paths.root), "log": log}


def table(found: list[RunState]) -> QuickTable:
    """All runs, a line each."""
    from rich.text import Text

    from pkdcli.reporting.quick_table import QuickTable

    colours = {"running": "cyan", "done": "green", "failed": "bold red", "interrupted": "yellow"}
    result = QuickTable()
    for column in COLUMNS:
        right = column in ("epoch", "step", "loss", "it/s", "left")
        result.add_column(column, overflow="fold", justify="right" if right else "left")
    for one in found:
        state = Text(one.state, colours.get(one.state, ""))
        result.add_row(Text(one.paths.run), state, *map(Text, _cells(one)))
    return result


def _cells(one: RunState) -> list[str]:
    from pkdcli.cli.progress.base import describe, duration

    known, running = one.status, one.state == "running"
    epochs, iters = known.get("epochs"), known.get("iters")
    step = f"{known.get('iter')}/{iters}" if iters else ""
    if running and known.get("phase") != "train":
        step = describe(known)
    loss, speed, left = (known.get(key) for key in ("train_loss", "it_per_s", "eta_s"))
    return [
        f"{known.get('epoch')}/{epochs}" if epochs else "",
        step,
        f"{loss:.3f}" if isinstance(loss, float) else "",
        f"{speed:.2f}" if running and speed else "",
        duration(left) if running and left is not None else "",
        one.where or "",
    ]


def explanations(found: list[RunState]) -> list[str]:
    """Why runs wait, failed or stopped; with the end of the log of those that died without a word."""
    from pkdcli.launch.logs import tail

    lines = []
    for one in found:
        if one.reason:
            lines.append(f"{one.paths.run}: {one.state}: {one.reason}")
        if one.silent:
            lines += [f"  | {line}" for line in tail(one.paths.log)] + [f"  log: {one.paths.log}"]
    waiting = [one for one in found if one.resumable]
    if waiting:
        lines.append(f"pkd resume --all goes on with {len(waiting)} of them.")
    return lines


def _watch(look: Callable[[], list[RunState]]) -> None:
    import time

    from rich.console import Console, Group
    from rich.live import Live

    console = Console(highlight=False)

    def view() -> Group:
        found = look()
        reasons = [f"{one.paths.run}: {one.state}: {one.reason}" for one in found if one.reason]
        return Group(table(found), *reasons)

    with Live(view(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(SECONDS)
            live.update(view(), refresh=True)
