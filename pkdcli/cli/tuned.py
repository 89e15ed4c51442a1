"""What `pkd tune` shows: its plan, and what it has found."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from pkdcli.cli.console import out, points
from pkdcli.cli.plan import show_scripts
from pkdcli.cli.progress.base import duration, values
from pkdcli.experiment.prepare import config_py
from pkdcli.launch.kinds import launcher_of
from pkdcli.options import OutputOptions

if TYPE_CHECKING:
    from pkdcli.api.tune.result import Tuned
    from pkdcli.api.tune.tune import TunePlan


def plan_line(plan: TunePlan) -> str:
    """What a search will cost, in a line."""
    space, rungs = plan.searched.space, plan.rungs
    grid = f"a full grid of {space.grid} runs takes {plan.grid_steps:,}"
    if plan.trials is None:
        return f"as many trials as fit into {plan.budget.text}, by the speed of the first; {grid} steps."
    counts = [rungs.count(rung, plan.trials) for rung in range(len(rungs.steps))]
    ladder = ", ".join(f"{count} to step {step:,}" for count, step in zip(counts, rungs.steps, strict=True))
    steps = rungs.cost(plan.trials)
    share = f"{100 * steps / plan.grid_steps:.0f} %"
    time = f", about {duration(steps * plan.rate)}" if plan.rate else ""
    taken = sum(one.taken for one in plan.first)
    there = f"; the first trials have taken {taken:,} steps already, which it need not take" if taken else ""
    return f"{plan.trials} trials, {ladder}: {steps:,} steps{time}; {grid} ({share}){there}."


def show_plan(plan: TunePlan, output: OutputOptions) -> None:
    """Print what would run.

    Args:
        plan: The search.
        output: As JSON, or for people; quietly.

    Raises:
        PkdError: Something that a trial would refuse before it starts.
    """
    ahead = plan.ahead
    if ahead is not None:
        processes = launcher_of(ahead.launcher).processes()
        for planned in ahead.planned:
            config_py(planned, processes)  # whatever a real run would refuse is refused here as well
    notes = [] if ahead is None else ahead.notes(dry_run=True)
    known = [
        {"run": one.run, "params": dict(one.params), "steps": one.taken, "curve": dict(one.curve)} for one in plan.first
    ]
    if output.json:
        facts = {"rungs": list(plan.rungs.steps), "trials": plan.trials, "steps": plan.steps}
        facts |= {"grid_runs": plan.searched.space.grid, "grid_steps": plan.grid_steps, "storage": str(plan.storage)}
        print(json.dumps({"event": "plan", **facts, "first": known}))
        for text in notes:
            print(json.dumps({"event": "note", "text": text}))
        show_scripts(plan.scripts(), output)
        return
    if not output.quiet:
        for text in notes:
            print(f"note: {text}.", file=sys.stderr, flush=True)
    from rich.table import Table

    title = "the first trials; the others are chosen by what these reach"
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("run", "trial", "steps taken"):
        table.add_column(column, overflow="fold")
    for one in known:
        table.add_row(one["run"], values(one["params"]), f"{one['steps']:,} of {plan.rungs.total:,}")
    out().print(table)
    if not output.quiet:
        print(plan_line(plan))
        print(f"storage: {plan.storage}")
    if scripts := plan.scripts():
        if not output.quiet:
            step = plan.rungs.steps[0]
            print(f"to the first comparison, after {step:,} step{'s' * (step != 1)}:")
        show_scripts(scripts, output)


def show_result(found: Tuned, output: OutputOptions) -> None:
    """Print what a search has found.

    Args:
        found: The best trial, and what it cost.
        output: As JSON, or for people; quietly.
    """
    if output.json:
        print(json.dumps({"event": "tuned", **found.as_json()}))
        return
    from rich.table import Table

    table = Table(title="trials, the best first", title_justify="left", title_style="bold")
    names = list(found.params)
    for column in (*names, *(f"mAP after {step:,}" for step in found.rungs), "state", "run"):
        table.add_column(column, justify="right" if column not in ("state", "run") else "left", overflow="fold")
    for one in found.trials:
        cells = [f"{one[name]:g}" if isinstance(one[name], float) else str(one[name]) for name in names]
        curve = [points(one[f"mAP@{step}"]) for step in found.rungs]
        table.add_row(*cells, *curve, one["state"], one["run"])
    out().print(table)
    for line in result_lines(found):
        print(line)


def result_lines(found: Tuned) -> list[str]:
    """What a search has found, in sentences."""
    lines = [f"best: {values(found.params)}, mAP {found.mAP:.1f}"]
    if found.runner_up is not None and found.lead is not None:
        other = next(one for one in found.trials if one["run"] == found.runner_up.id)
        lead, low, high = found.lead
        text = f"{lead:.1f} points above the runner-up, {values({name: other[name] for name in found.params})}"
        if low is not None and high is not None:
            text += f" (95 % over images: {low:+.1f} to {high:+.1f})"
        lines[0] += f"; {text}"
    lines += [_interval(name, ends, found.params[name]) for name, ends in found.interval.items()]
    share = 100 * found.steps / found.grid_steps
    lines.append(
        f"spent: {found.steps:,} steps in {duration(found.seconds)}; a full grid of {found.grid_runs} runs takes "
        f"{found.grid_steps:,} ({share:.0f} %)"
    )
    if found.start is not None:
        lines.append(f"the weight that gives the distillation a tenth of the gradient at the start: {found.start:.2g}")
    lines.append(f"one seed each: pkd report --verdict judges a gain over several. Its folder: {found.best.path}")
    return lines


def _interval(name: str, ends: tuple[float | None, float | None], best: Any) -> str:
    low, high = ends
    text = " and ".join(f"{one:g}" for one in ends if one is not None)
    if low is not None and high is not None:
        return f"the best {name} lies between {text}, the nearest tried that are worse"
    side = "upper" if low is not None else "lower" if high is not None else "only"
    return f"the best {name}, {best:g}, is at the {side} end of what was tried: search on beyond it"
