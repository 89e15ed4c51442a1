"""What commands that carry runs out show: the plan of a dry run, notes before, and what came out."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from pkdcli.cli.console import metrics_table, out
from pkdcli.cli.streams import discard, reader_gone
from pkdcli.errors import ExitCode, Interrupted
from pkdcli.experiment.execute import Experiment, exit_code
from pkdcli.experiment.plan import PlannedRun
from pkdcli.experiment.prepare import config_py, recipe_yaml
from pkdcli.experiment.prove import no_gpu_here
from pkdcli.launch.kinds import launcher_of
from pkdcli.options import OutputOptions
from pkdcli.runs.collect import smoke
from pkdcli.runs.liveness import finished
from pkdcli.runs.store import read_json

if TYPE_CHECKING:
    from pkdcli.cli.progress.base import Watch


def typed() -> str:
    """The command as it was typed; a dry run's stands for the very run that it shows."""
    return f"pkd {shlex.join(word for word in sys.argv[1:] if word != '--dry-run')}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Say after Ctrl-C what goes on, and leave with its exit code; a lost terminal or reader counts as Ctrl-C."""
    # Losing the terminal is no reason to leave a worker behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    except Interrupted as stopped:
        print(stopped.message, file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except (BrokenPipeError, SystemExit) as error:
        if not reader_gone(error):
            raise
        discard()
        print("nobody reads the output any more: stopped; type the same command again to go on.", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def carry_out(experiment: Experiment, output: OutputOptions, watch: Watch, *, sweep: bool = False) -> None:
    """Show an experiment, or carry it out and show what came out; leaves with the command's exit code.

    Args:
        experiment: What is planned.
        output: How to print, and whether this is a dry run.
        watch: Shows progress.
        sweep: Show a table of all runs, and not the last one's metrics.
    """
    if not output.quiet and not output.json:
        say_notes(experiment)
    if output.dry_run:
        show_plan(experiment, output)
        return
    with interruptible():
        outcomes = experiment.execute(watch)
    if not any(outcome.job for outcome in outcomes.values()):
        show_results(experiment, output, sweep=sweep)
    raise typer.Exit(exit_code(outcomes))


def say_notes(experiment: Experiment) -> None:
    """Say what a user may not expect of the runs: mask heads that are dropped, code of their own."""
    from pkdcli.config.build import notes
    from pkdcli.config.own import own_summary
    from pkdcli.recipe.own import code_of

    dropped = {}
    for one in experiment.planned:
        for detector in (one.recipe.teacher, one.recipe.student):
            if one.recipe.mask_head and detector is not None and detector.mask:
                dropped[detector.title] = one.recipe.mask_head
    texts = [f"{title}'s mask head is {fate}." for title, fate in dropped.items()]
    for one in experiment.planned:
        if not finished(one.paths):
            texts += [text for text in (own_summary(one.recipe),) if text] + notes(one.recipe)
        if not one.paths.exists:  # once is enough
            texts += code_of(one.recipe)
    for text in dict.fromkeys(texts):
        print(f"note: {text}", file=sys.stderr)


def show_plan(experiment: Experiment, output: OutputOptions) -> None:
    """Print what would run, whatever a real run would refuse being refused here as well.

    Args:
        experiment: What is planned.
        output: As JSON, or for people; quietly.
    """
    launcher, planned = launcher_of(experiment.launcher), experiment.planned
    configs = {one.run: config_py(one, launcher.processes()) for one in planned if one.recipe.data.classes}
    if output.json:
        _plan_as_json(experiment)
    else:
        _plan_as_table(experiment, output, missing=len(configs) < len(planned))
    show_scripts(experiment.scripts(), output)


def show_scripts(scripts: Sequence[Mapping[str, Any]], output: OutputOptions) -> None:
    """Print what a cluster would be given.

    Args:
        scripts: `script` and `sbatch`, the command that submits it, each.
        output: As JSON, or for people.
    """
    for script in scripts:
        if output.json:
            print(json.dumps(script))
        else:
            print(f"\n# {shlex.join(script['sbatch'])}\n\n{script['script']}", end="")


def _plan_as_json(experiment: Experiment) -> None:
    jobs = {part.name: job for job in experiment.jobs() for part in job.parts}
    for one in experiment.planned:
        spec = jobs.get(one.run) or experiment.spec(one)
        record = {"run": one.run, "state": "done" if finished(one.paths) else "to do", "argv": list(spec.argv)}
        record["shared_with"] = [part.name for part in spec.parts if part.name != one.run]
        print(json.dumps({**record, "dir": str(one.paths.root), "recipe": one.recipe.model_dump(mode="json")}))
    for text in experiment.notes(dry_run=True):
        print(json.dumps({"event": "note", "text": text}), flush=True)


def _plan_as_table(experiment: Experiment, output: OutputOptions, *, missing: bool) -> None:
    from pkdcli.cli.progress.plain import sharing

    planned = experiment.planned
    if not output.quiet:
        if experiment.launcher.kind == "local" and any(one.recipe.amp for one in planned) and no_gpu_here():
            # A dry run may be typed where the run is not to be.
            print("note: --amp needs a GPU, and this machine has none: it would be refused here.", file=sys.stderr)
        for text in experiment.notes(dry_run=True):
            print(f"note: {text}.", file=sys.stderr, flush=True)
        for runs, teacher in experiment.sharing():
            print(sharing(runs, teacher))
    out().print(plan_table(planned, launcher_of(experiment.launcher).processes()))
    if len(planned) <= 2:
        print(recipe_yaml(planned[-1].recipe), end="")
    if missing:
        print("note: the data is not there, so steps and the run's final name are not known yet.", file=sys.stderr)


def plan_table(planned: Sequence[PlannedRun], devices: int):
    """The runs of a plan as rich's table.

    Args:
        planned: The runs.
        devices: Worker processes of each, which share a batch.
    """
    from rich.table import Table

    from pkdcli.config import schedule

    table = Table(title=f"{len(planned)} runs", title_justify="left", title_style="bold")
    for column in ("run", "role", "epochs", "steps", "lr", "state"):
        table.add_column(column, overflow="fold")
    for one in planned:
        known = one.recipe.data.train_images is not None and not one.recipe.weights
        table.add_row(
            one.run,
            one.recipe.role,
            "-" if one.recipe.weights else str(one.recipe.schedule.epochs),
            str(schedule.total_iters(schedule.in_parts(one.recipe, devices))) if known else "-",
            "-" if one.recipe.weights else f"{schedule.learning_rate(one.recipe):g}",
            "done" if finished(one.paths) else "to do",
        )
    return table


def show_results(experiment: Experiment, output: OutputOptions, *, sweep: bool) -> None:
    """Print what came out: a sweep's table, or a run's metrics beside its teacher's and its baseline's.

    Args:
        experiment: Carried out.
        output: As JSON, or for people; quietly.
        sweep: Show a table of all runs.
    """
    planned, runs = experiment.planned, experiment.runs
    results = {one.run: read_json(one.paths.result) for one in planned if finished(one.paths)}
    if output.json:
        for result in results.values():
            print(json.dumps({"event": "result", **result}))
        return
    if sweep:
        from pkdcli.cli.look.report import report_runs

        report_runs(runs, [one.run for one in planned if one.recipe.role != "teacher"])
        return
    last = planned[-1]
    result = results.get(last.run)
    if result is None:
        return
    rows = []
    if result.get("teacher_metrics"):
        rows.append((f"teacher {result['teacher_title']}", result["teacher_metrics"]))
    baseline = _baseline(experiment, result) if last.recipe.role == "distill" else None
    if baseline:
        rows.append((f"baseline {baseline['student_title']}", baseline["metrics"]))
    what = result["loss"] if last.recipe.role == "distill" else "baseline"
    rows.append((f"{what} {result['student_title']}", result["metrics"]))
    out().print(metrics_table(rows, title=last.run))
    if cut := smoke(result):
        print(f"a smoke run ({cut}): these numbers show that the code runs, and nothing else")
    if not output.quiet:
        print(f"{last.paths.root}")
        from pkdcli.api.diagnosis.diagnose import ending

        if line := ending(last.paths):
            print(line, file=sys.stderr)


def _baseline(experiment: Experiment, result: dict) -> dict | None:
    """The finished baseline that a result compares with, if there is one."""
    from pkdcli.runs.collect import collect

    record = next((record for record in collect(experiment.runs) if record["run"] == result["run"]), None)
    if record is None or not record.get("baseline"):
        return None
    return read_json(experiment.runs / record["baseline"] / "result.json")
