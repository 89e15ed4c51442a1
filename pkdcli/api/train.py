"""What `train` and `sweep` share: prepare the data, plan the runs, launch them, show what came out."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pkdcli.cli.console import metrics_table, out
from pkdcli.cli.notes import drawing, note, said_if_slow, tiny_command
from pkdcli.cli.progress.choose import watcher
from pkdcli.config.trackers import require
from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment import plan
from pkdcli.experiment.prove import check, no_gpu_here, prove
from pkdcli.folders import cache_root, runs_root
from pkdcli.launch.options import launcher as load_launcher
from pkdcli.launch.options import processes, said_of_load, said_of_spread, spread
from pkdcli.recipe.schema import Data, Recipe
from pkdcli.runs.collect import smoke
from pkdcli.runs.liveness import finished
from pkdcli.runs.store import read_json

if TYPE_CHECKING:
    from pkdcli.launch.local.queue import Outcome
    from pkdcli.recipe.schema import Launcher


@dataclass(frozen=True)
class Where:
    """Folders, manners and machines of a command.

    Attributes:
        launcher: Where runs are carried out; None for one process of this machine.
        wait: Wait for a cluster's jobs to end.
        share: Students share a teacher: always, never, or (None) where it pays.
    """

    runs: Path | None = None
    dry_run: bool = False
    json: bool = False
    quiet: bool = False
    launcher: Launcher | None = None
    wait: bool = False
    share: bool | None = None


def go(recipes: Sequence[Recipe], where: Where, *, sweep: bool = False) -> None:
    """Carry recipes out, and leave with the command's exit code.

    Raises:
        PkdError: Something is wrong before anything runs.
    """
    runs, cache = runs_root(where.runs), cache_root()
    if not where.dry_run:
        require(name for recipe in recipes for name in recipe.trackers)
    # A checkpoint that is not there is said at once, not when the data has been drawn.
    recipes = [plan.with_weights_hash(recipe) for recipe in recipes]
    planned = plan.plan(with_data(recipes, cache, where), runs, cache)
    if not where.quiet and not where.json:
        _say_mask_heads(planned)
        _say_left_out(planned)
    if where.dry_run:
        _show_plan(planned, cache, where)
        if where.launcher and where.launcher.kind == "slurm":
            from pkdcli.launch.slurm.launcher import show_scripts

            show_scripts(planned, runs, cache, where)
        return
    outcomes = carry_out(planned, cache, where)
    show_results(planned, runs, where, sweep)
    raise typer.Exit(plan.exit_code(outcomes))


def with_data(recipes: Sequence[Recipe], cache: Path, where: Where) -> list[Recipe]:
    """The recipes with the facts of their data, which is drawn or checked once; a dry run does without the data.

    Raises:
        PkdError: Data that is wrong, a module of the user's that is not there, or a job without the GPU it needs.
    """
    from pkdcli.config.data import check_sides
    from pkdcli.data.prepare import thinnest

    check(recipes, where.launcher)
    known: dict[str, Data] = {}
    for recipe in recipes:
        key = recipe.data.model_dump_json()
        if key not in known:
            known[key] = _prepared(recipe.data, cache, where)
    recipes = [recipe.model_copy(update={"data": known[recipe.data.model_dump_json()]}) for recipe in recipes]
    for recipe in recipes:
        check_sides(recipe, thinnest(recipe.data, cache))
    return recipes


def carry_out(planned: Sequence[plan.Planned], cache: Path, where: Where) -> dict[str, Outcome]:
    """Run what is not finished yet, and say how every run ended, by name.

    Raises:
        PkdError: Something is wrong before anything runs.
        typer.Exit: After Ctrl-C, with its exit code.
    """
    require(name for one in planned for name in one.recipe.trackers)
    launcher = where.launcher or load_launcher()
    _check_sharing(launcher, where)
    prove(planned, launcher, where.quiet or where.json)
    if launcher.kind == "slurm":
        from pkdcli.launch.slurm.launcher import submit_all

        return submit_all(planned, cache, launcher, where)
    for one in planned:
        plan.prepare(one, cache, processes(launcher), launcher)
    done = [one.run for one in planned if finished(one.paths)]
    todo = [one for one in planned if one.run not in done]
    watch = watcher({one.run: one for one in planned}, done, json=where.json, quiet=where.quiet)
    # Losing the terminal is no reason to leave a worker behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, signal.default_int_handler)
    from pkdcli.experiment import groups as sharing
    from pkdcli.launch.job import together
    from pkdcli.launch.local.queue import run_all
    from pkdcli.launch.local.slots import slots

    gpus = spread(launcher)
    room = slots(launcher.devices, launcher.processes, launcher.jobs, gpus, launcher.threads)
    note(said_of_spread(launcher, gpus), where)
    note(said_of_load(room), where)
    groups = sharing.groups(todo, launcher.jobs, where.share)
    _say_sharing(groups, where)
    jobs = [together([plan.spec(one, cache) for one in group]) for group in groups]
    try:
        with watch:
            outcomes = run_all(jobs, watch, done, room, launcher.retries)
    except KeyboardInterrupt:
        plan.settle_interrupted(planned)
        print("stopped; type the same command again to go on.", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    plan.settle(planned, outcomes)
    return outcomes


def _check_sharing(launcher: Launcher, where: Where) -> None:
    if where.share and launcher.kind == "slurm":
        raise PkdError(
            "--share-teacher: not for --launcher slurm, where each run is a task of its own.", "Leave it out."
        )


def _say_sharing(groups: Sequence[Sequence[plan.Planned]], where: Where) -> None:
    for group in groups:
        if len(group) == 1 or where.quiet:
            continue
        if where.json:
            print(json.dumps({"event": "sharing", "runs": [one.run for one in group]}), flush=True)
            continue
        title = next(one.recipe.teacher.title for one in group if one.recipe.teacher)
        lines = [f"{len(group)} runs train together, so that {title} sees each image once:"]
        lines += [f"  {one.run}" for one in group]
        print("\n".join(lines), file=sys.stdout if where.dry_run else sys.stderr, flush=True)


def _prepared(data: Data, cache: Path, where: Where) -> Data:
    from pkdcli.data.prepare import facts, prepare

    if where.dry_run:
        return facts(data, cache)
    try:
        with said_if_slow(f"checking the data set {data.name}", data.name, where):
            return prepare(data, cache, drawing(where))
    except PkdError as error:
        if error.hint and "{tiny}" in error.hint:
            error.hint = error.hint.replace("{tiny}", tiny_command())
        raise


def _say_mask_heads(planned: Sequence[plan.Planned]) -> None:
    dropped = {}
    for one in planned:
        for detector in (one.recipe.teacher, one.recipe.student):
            if one.recipe.mask_head and detector is not None and detector.mask:
                dropped[detector.title] = one.recipe.mask_head
    for title, fate in dropped.items():
        print(f"note: {title}'s mask head is {fate}.", file=sys.stderr)


def _say_left_out(planned: Sequence[plan.Planned]) -> None:
    from pkdcli.config.build import notes

    for text in dict.fromkeys(text for one in planned if not finished(one.paths) for text in notes(one.recipe)):
        print(f"note: {text}", file=sys.stderr)


def _say_no_gpu(planned: Sequence[plan.Planned], launcher: Launcher) -> None:
    """A dry run may be typed where the run is not to be."""
    if launcher.kind == "local" and any(one.recipe.amp for one in planned) and no_gpu_here():
        print("note: --amp needs a GPU, and this machine has none: it would be refused here.", file=sys.stderr)


def _show_plan(planned: Sequence[plan.Planned], cache: Path, where: Where) -> None:
    from rich.table import Table

    from pkdcli.config import schedule
    from pkdcli.experiment import groups as sharing
    from pkdcli.launch.job import together

    # Everything a real run would refuse is refused here as well.
    devices = processes(where.launcher) if where.launcher else 1
    configs = {one.run: plan.config_py(one, devices) for one in planned if one.recipe.data.classes}
    todo = [one for one in planned if not finished(one.paths)]
    launcher = where.launcher or load_launcher()
    _check_sharing(launcher, where)
    if not where.quiet and not where.json:
        _say_no_gpu(planned, launcher)
    groups = sharing.groups(todo, launcher.jobs, where.share if launcher.kind == "local" else False)
    gpus = spread(launcher)
    if where.json:
        jobs = [together([plan.spec(one, cache) for one in group]) for group in groups]
        jobs = {part.name: job for job in jobs for part in job.parts}
        for one in planned:
            spec = jobs.get(one.run) or plan.spec(one, cache)
            record = {"run": one.run, "state": "done" if finished(one.paths) else "to do", "argv": list(spec.argv)}
            record["shared_with"] = [part.name for part in spec.parts if part.name != one.run]
            print(json.dumps({**record, "dir": str(one.paths.root), "recipe": one.recipe.model_dump(mode="json")}))
        return
    note(said_of_spread(launcher, gpus), where)
    _say_sharing(groups, where)
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
    out().print(table)
    if len(planned) <= 2:
        last = planned[-1]
        print(plan.recipe_yaml(last.recipe), end="")
    missing = [one.run for one in planned if one.run not in configs]
    if missing:
        print("note: the data is not there, so steps and the run's final name are not known yet.", file=sys.stderr)


def show_results(planned: Sequence[plan.Planned], runs: Path, where: Where, sweep: bool) -> None:
    """Print what came out: a sweep's table, or a run's metrics beside its teacher's and its baseline's."""
    results = {one.run: read_json(one.paths.result) for one in planned if finished(one.paths)}
    if where.json:
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
    baseline = _baseline(runs, result) if last.recipe.role == "distill" else None
    if baseline:
        rows.append((f"baseline {baseline['student_title']}", baseline["metrics"]))
    what = result["loss"] if last.recipe.role == "distill" else "baseline"
    rows.append((f"{what} {result['student_title']}", result["metrics"]))
    out().print(metrics_table(rows, title=last.run))
    if cut := smoke(result):
        print(f"a smoke run ({cut}): these numbers show that the code runs, and nothing else")
    if not where.quiet:
        print(f"{last.paths.root}")


def _baseline(runs: Path, result: dict) -> dict | None:
    """The finished baseline that a result compares with, if there is one."""
    from pkdcli.runs.collect import collect

    record = next((record for record in collect(runs) if record["run"] == result["run"]), None)
    if record is None or not record.get("baseline"):
        return None
    return read_json(runs / record["baseline"] / "result.json")
