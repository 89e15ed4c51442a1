"""Going on with runs that were interrupted, failed or lost: `pkdcli.resume()` and `pkd resume`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pkdcli.errors import PkdError
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Watcher
from pkdcli.options import Only, OutputOptions, option

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.launch.run_state import RunState
    from pkdcli.runs.run_list import RunList


@dataclass(frozen=True)
class ResumeOptions:
    """Which runs go on.

    Attributes:
        names: Their ids, beginnings of these, or their folders.
        everything: Every run that has ended without a result.
    """

    names: tuple[str, ...] = option(
        (), "Runs' ids, or their beginnings.", argument=True, repeatable=True, metavar="[RUN]..."
    )
    everything: bool = option(False, "Every run that has ended without a result.", names=("--all",))


@dataclass
class Resumption:
    """Runs that were asked for, and how those of them that can go on do so.

    Attributes:
        states: All that were asked for.
        experiments: Those that go on, each behind its teacher, by the way they were launched before.
    """

    states: list[RunState]
    experiments: list[Experiment] = field(default_factory=list)


def plan_resume(
    options: ResumeOptions,
    launch: Annotated[LaunchOptions, Only("wait")],
    output: Annotated[OutputOptions, Only("runs")],
    *,
    command: str,
) -> Resumption:
    """Find the runs that are to go on, each behind its teacher, in the way they were launched before.

    Args:
        options: Which runs.
        launch: Whether to wait for a cluster's jobs.
        output: Where the runs are.
        command: What somebody typed or called.

    Raises:
        PkdError: Neither runs nor `everything` were given, or both; no such run; a damaged recipe or job.json.
    """
    from pkdcli.launch.run_state import reconcile
    from pkdcli.launch.status import query_all
    from pkdcli.runs.find import all_runs, chosen

    if bool(options.names) == options.everything:
        known = [one.paths.run for one in query_all(all_runs(output.runs)) if one.resumable]
        listed = "".join(f"\n  {run}" for run in known) or " There are none."
        raise PkdError("give runs, or --all, and not both.", f"Runs that ended without a result:{listed}")
    found = query_all(chosen(options.names, all_runs(output.runs)))
    for one in found:
        if one.resumable:
            reconcile(one)
    todo = [one for one in found if one.resumable]
    return Resumption(found, _experiments(todo, launch, output, command))


def resume(
    options: ResumeOptions,
    launch: Annotated[LaunchOptions, Only("wait")],
    output: Annotated[OutputOptions, Only("runs")],
    *,
    watcher: Watcher,
    command: str,
) -> RunList:
    """Carry on runs that were interrupted, failed or lost, from their last checkpoints.

    A run whose teacher is missing has it trained first.

    Args:
        options: Which runs.
        launch: Whether to wait for a cluster's jobs.
        output: Where the runs are.
        watcher: Told of what happens.
        command: What somebody called, for the runs' records.

    Returns:
        The runs that were asked for, each in the state it is in now.

    Raises:
        PkdError: Neither runs nor `everything` were given, or both; no such run; a damaged recipe or job.json.
        KeyboardInterrupt: After Ctrl-C, when the runs have saved and stopped.
    """
    from pkdcli.api.runs import runs_of

    found = plan_resume(options, launch, output, command=command)
    for one in found.experiments:
        one.execute(watcher)
    return runs_of(one.paths for one in found.states)


def _experiments(
    states: Sequence[RunState], launch: LaunchOptions, output: OutputOptions, command: str
) -> list[Experiment]:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.experiment.prepare import restored
    from pkdcli.folders import cache_root, runs_root
    from pkdcli.launch.options import launcher as default
    from pkdcli.recipe.library import parse
    from pkdcli.recipe.schema import Launcher

    runs, cache = runs_root(output.runs), cache_root()
    found: dict[str, Experiment] = {}
    for state in states:
        planned, job = restored(state.paths, cache)
        launcher = parse(Launcher, job["launcher"], str(state.paths.job)) if job.get("launcher") else default()
        kept = found.setdefault(
            launcher.model_dump_json(), Experiment([], runs, cache, launcher, command, wait=launch.wait)
        )
        kept.planned += [one for one in planned if one.run not in [known.run for known in kept.planned]]
    return list(found.values())
