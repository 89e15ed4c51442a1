"""Going on with runs that were interrupted, failed or lost: `pkdcli.resume()` and `pkd resume`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Watcher
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, chosen
from pkdcli.runs.status import paused

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.launch.run_state import RunState
    from pkdcli.runs.paths import RunPaths
    from pkdcli.runs.run_list import RunList

_PAUSED = " (paused by a search: --all leaves it alone)"


@dataclass(frozen=True)
class ResumeOptions:
    """Which runs go on.

    Attributes:
        names: Their ids, beginnings of these, or their folders.
        everything: Every run that has ended without a result, but those that have paused as they were to.
    """

    names: tuple[str, ...] = option(
        (), "Runs' ids, or their beginnings.", argument=True, repeatable=True, metavar="[RUN]..."
    )
    everything: bool = option(
        False, "Every run that has ended without a result, but those that a search has paused.", names=("--all",)
    )


@dataclass
class Resumption:
    """Runs that go on.

    Attributes:
        experiments: They, each behind its teacher, in one experiment for each way in which they were launched.
        others: Those that were named and need not go on.
        asked: The directories of those that were named or found, without their teachers.
        paused: Of all runs, those that stay as they are: a search (`pkd tune`) has paused them.
    """

    experiments: list[Experiment]
    others: list[RunState] = field(default_factory=list)
    asked: list[RunPaths] = field(default_factory=list)
    paused: list[RunPaths] = field(default_factory=list)

    def execute(self, watcher: Watcher) -> ExitCode:
        """Carry the runs on from their last checkpoints.

        Args:
            watcher: Told of what happens.

        Returns:
            What came of it: that of the first experiment whose runs did not end well.

        Raises:
            PkdError: Something is wrong before anything runs.
            Interrupted: After Ctrl-C.
        """
        from pkdcli.experiment.data import files_of_runs
        from pkdcli.experiment.execute import exit_code

        for one in self.experiments:
            files_of_runs(one.planned, one.cache, watcher)
        codes = [exit_code(one.execute(watcher)) for one in self.experiments]
        return next((code for code in codes if code), ExitCode.OK)


def resume(
    options: ResumeOptions,
    launch: Annotated[LaunchOptions, Only("wait")],
    output: Annotated[OutputOptions, Only("runs")],
    *,
    watcher: Watcher,
    command: str,
) -> RunList:
    """Carry on runs that were interrupted, failed or lost, from their last checkpoints, as they were launched before.

    A run whose teacher is missing has it trained first.

    Args:
        options: Which runs.
        launch: Whether a cluster's jobs are waited for.
        output: Where the runs are.
        watcher: Told of what happens.
        command: What somebody called, for the runs' records.

    Returns:
        The runs that were asked for, each in the state it is in now.

    Raises:
        PkdError: As `plan_resume` does.
        KeyboardInterrupt: After Ctrl-C, when the runs have saved and stopped.
    """
    from pkdcli.api.runs import runs_of

    found = plan_resume(options, launch, output, command=command)
    found.execute(watcher)
    return runs_of([*found.asked, *(one.paths for one in found.others)])


def plan_resume(
    options: ResumeOptions,
    launch: Annotated[LaunchOptions, Only("wait")],
    output: Annotated[OutputOptions, Only("runs")],
    *,
    command: str,
) -> Resumption:
    """The runs that are to go on, in the way they were launched before.

    Args:
        options: Which runs.
        launch: Whether a cluster's jobs are waited for.
        output: Where the runs are.
        command: What somebody typed or called, for the runs' records.

    Raises:
        PkdError: Neither runs nor all are asked for; there is no run of such a name, with the nearest; the recipe or
            job.json of one is absent or damaged.
    """
    from pkdcli.launch.run_state import reconcile
    from pkdcli.launch.status import query_all

    if bool(options.names) == options.everything:
        known = [one for one in query_all(all_runs(output.runs)) if one.resumable]
        listed = "".join(f"\n  {one.paths.run}{_PAUSED * bool(paused(one.status))}" for one in known)
        listed = listed or " There are none."
        raise PkdError("give runs, or --all, and not both.", f"Runs that ended without a result:{listed}")
    found = query_all(chosen(options.names, all_runs(output.runs)))
    left = [one for one in found if one.resumable and options.everything and paused(one.status)]
    todo = [one for one in found if one.resumable and one not in left]
    for one in todo:
        reconcile(one)
    others = [one for one in found if options.names and not one.resumable]
    experiments = _experiments(todo, launch, output, command)
    return Resumption(experiments, others, [one.paths for one in todo], [one.paths for one in left])


def _experiments(
    states: Sequence[RunState], launch: LaunchOptions, output: OutputOptions, command: str
) -> list[Experiment]:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.experiment.prepare import restored
    from pkdcli.folders import cache_root, runs_root
    from pkdcli.launch.options import launcher as default
    from pkdcli.recipe.library import parse
    from pkdcli.recipe.schema import Launcher
    from pkdcli.runs.plugins import changed_plugins

    found: dict[str, Experiment] = {}
    for state in states:
        planned, job = restored(state.paths, cache_root())
        noted = job.get("launcher")
        try:
            launcher = parse(Launcher, noted, str(state.paths.job)) if isinstance(noted, dict) else default()
        except PkdError as error:  # of a kind whose plug-in is gone, say
            hint = "".join(f"{text[0].upper()}{text[1:]}." for text in changed_plugins([state.paths]))
            raise PkdError(error.message, hint or error.hint, error.code) from None
        one = Experiment([], runs_root(output.runs), cache_root(), launcher, command, wait=launch.wait)
        kept = found.setdefault(launcher.model_dump_json(), one)
        kept.planned += [run for run in planned if run.run not in [known.run for known in kept.planned]]
    return list(found.values())
