"""What `pkd tune` shows: its plan, and what it has found."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pkdcli.cli.console import out, points
from pkdcli.cli.plan import show_scripts
from pkdcli.cli.progress.base import duration, values
from pkdcli.experiment.prepare import config_py
from pkdcli.launch.kinds import launcher_of
from pkdcli.options import OutputOptions

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from pkdcli.api.tune.plan import TunePlan
    from pkdcli.api.tune.result import Confirmation, Tuned


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


def confirmation_line(plan: TunePlan) -> str:
    """What the finalists on further seeds will cost, in a line."""
    time = f", about {duration(plan.confirm_steps * plan.rate)}" if plan.rate else ""
    seeds = _seeds(plan.confirm_seeds)
    runs = f"{plan.confirm_runs} run{'s' * (plan.confirm_runs != 1)}"
    return f"then the finalists on {seeds}: {runs}, {plan.confirm_steps:,} steps{time}, apart from the budget."


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
    known: list[dict[str, Any]] = [
        {"run": one.run, "params": dict(one.params), "steps": one.taken, "curve": dict(one.curve)} for one in plan.first
    ]
    if output.json:
        facts: dict[str, Any] = {"rungs": list(plan.rungs.steps), "trials": plan.trials, "steps": plan.steps}
        facts |= {"grid_runs": plan.searched.space.grid, "grid_steps": plan.grid_steps, "storage": str(plan.storage)}
        if plan.confirm_seeds:
            facts |= {"confirm_seeds": list(plan.confirm_seeds)}
            facts |= {"confirm_runs": plan.confirm_runs, "confirm_steps": plan.confirm_steps}
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
        if plan.confirm_seeds:
            print(confirmation_line(plan))
        print(f"storage: {plan.storage}")
    if scripts := plan.scripts():
        move = plan.next()
        if not output.quiet and move is not None:
            print(f"to the next comparison, after {move.step:,} step{'s' * (move.step != 1)}:")
        show_scripts(scripts, output)


def show_result(found: Tuned, output: OutputOptions, command: str) -> None:
    """Print what a search has found.

    Args:
        found: The best trial, and what it cost.
        output: As JSON, or for people; quietly.
        command: What was typed.
    """
    if output.json:
        print(json.dumps({"event": "tuned", **found.as_json()}))
        return
    from rich.table import Table

    names = list(found.params)
    if found.confirmation is not None:
        out().print(_confirmation_table(found, found.confirmation))
    table = Table(title="trials, the best first", title_justify="left", title_style="bold")
    for column in (*names, *(f"mAP after {step:,}" for step in found.rungs), "state", "run"):
        table.add_column(column, justify="right" if column not in ("state", "run") else "left", overflow="fold")
    for one in found.trials:
        curve = [points(one[f"mAP@{step}"]) for step in found.rungs]
        table.add_row(*_cells(one, names), *curve, one["state"], one["run"])
    out().print(table)
    for line in result_lines(found, command):
        print(line)


def _confirmation_table(found: Tuned, confirmed: Confirmation) -> RichTable:
    """The finalists, seed by seed."""
    from rich.table import Table

    table = Table(title="finalists on further seeds", title_justify="left", title_style="bold")
    names = list(found.params)
    for column in (*names, *(f"mAP, seed {seed}" for seed in confirmed.seeds), "mean"):
        table.add_column(column, justify="right", overflow="fold")
    rows = {one["run"]: one for one in found.trials}
    for run, reached in confirmed.mAP.items():
        table.add_row(*_cells(rows[run], names), *map(points, reached), points(confirmed.means[run]))
    return table


def _cells(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [f"{row[name]:g}" if isinstance(row[name], float) else str(row[name]) for name in names]


def result_lines(found: Tuned, command: str) -> list[str]:
    """What a search has found, in sentences.

    Args:
        found: The best trial, and what it cost.
        command: What was typed.
    """
    confirmed = found.confirmation
    over = f" over {_seeds(confirmed.seeds)}" if confirmed is not None else ""
    lines = [f"best: {values(found.params)}, mAP {found.mAP:.1f}{over}"]
    if found.runner_up is not None and found.lead is not None:
        other = next(one for one in found.trials if one["run"] == found.runner_up.id)
        lead, low, high = found.lead
        text = f"{lead:.1f} points above the runner-up, {values({name: other[name] for name in found.params})}"
        said = [] if low is None or high is None else [f"over images: {low:+.1f} to {high:+.1f}"]
        if confirmed is not None and confirmed.by_seeds is not None:
            said.append(f"over seeds: {confirmed.by_seeds[0]:+.1f} to {confirmed.by_seeds[1]:+.1f}")
        lines[0] += f"; {text}" + (f" (95 % {', '.join(said)})" if said else "")
    lines += [_interval(name, ends, found.params[name]) for name, ends in found.interval.items()]
    share = 100 * found.steps / found.grid_steps
    more = (0, 0.0) if confirmed is None else (confirmed.steps, confirmed.seconds)
    spent = f"spent: {found.steps + more[0]:,} steps in {duration(found.seconds + more[1])}"
    if confirmed is not None:
        spent += f", of which confirmation {more[0]:,} in {duration(more[1])}"
    of_grid = f"{share:.0f} %" if confirmed is None else f"the search {share:.0f} % of them"
    lines.append(f"{spent}; a full grid of {found.grid_runs} runs takes {found.grid_steps:,} ({of_grid})")
    if found.start is not None:
        lines.append(f"the weight that gives the distillation a tenth of the gradient at the start: {found.start:.2g}")
    if found.runner_up is not None and not found.decided:
        lines.append(f"which of the two is better is not decided; two more seeds may tell: {_on(found, command)}")
    each = "one seed each" if confirmed is None else "the finalists alone"
    lines.append(f"{each}: pkd report --verdict judges a gain over several. Its folder: {found.best.path}")
    return lines


def _on(found: Tuned, command: str) -> str:
    """The command that was typed, with two seeds more for the finalists."""
    words, rest = [], iter(shlex.split(command))
    for word in rest:
        if word == "--confirm-seeds":
            next(rest, None)
        elif not word.startswith("--confirm-seeds="):
            words.append(word)
    known = [] if found.confirmation is None else list(found.confirmation.seeds)
    last = max(found.best.recipe.seed, *known, 0)
    return shlex.join([*words, "--confirm-seeds", ",".join(map(str, (*known, last + 1, last + 2)))])


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"


def _interval(name: str, ends: tuple[float | None, float | None], best: Any) -> str:
    low, high = ends
    text = " and ".join(f"{one:g}" for one in ends if one is not None)
    if low is not None and high is not None:
        return f"the best {name} lies between {text}, the nearest tried that are worse"
    if low is None and high is None:
        return f"beside the best {name}, {best:g}, nothing tried is known to be worse: search on beyond both ends"
    side = "upper" if low is not None else "lower"
    return f"the best {name}, {best:g}, is at the {side} end of what was tried: search on beyond it"
