"""An experiment: its runs planned, carried out, and what they could not say themselves written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.config.trackers import require
from pkdcli.errors import ExitCode, Interrupted, PkdError
from pkdcli.experiment.data import with_data
from pkdcli.experiment.groups import groups
from pkdcli.experiment.plan import PlannedRun, plan, with_weights_hash
from pkdcli.experiment.prepare import prepare, spec
from pkdcli.experiment.prove import prove
from pkdcli.folders import cache_root, is_no_folder, runs_root
from pkdcli.launch.job import JobSpec, together
from pkdcli.launch.kinds import launcher_of
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.launch.run_state import end
from pkdcli.options import OutputOptions
from pkdcli.recipe.schema import Launcher as LauncherRecipe
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.liveness import finished, held_by
from pkdcli.runs.lock import holder
from pkdcli.runs.plugins import changed_plugins
from pkdcli.runs.status import FAILED, INTERRUPTED, QUEUED, RUNNING, Status

if TYPE_CHECKING:
    import pandas as pd


@dataclass(repr=False)
class Experiment:
    """Runs that belong together, and how they are carried out.

    Attributes:
        planned: The runs, teachers before their students, none twice.
        runs: The folder of runs.
        cache: The folder of the cache.
        launcher: Where they are carried out.
        command: What somebody typed or called for it.
        recipes: What was asked for, in that order, with the facts of their data.
        share: Students share a teacher: always, never, or (None) where it pays.
        wait: Wait for a cluster's jobs to end.
        outcomes: How each run ended, by its id, once `execute` has returned.
    """

    planned: list[PlannedRun]
    runs: Path
    cache: Path
    launcher: LauncherRecipe
    command: str
    recipes: Sequence[Recipe] = ()
    share: bool | None = None
    wait: bool = False
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.share and not launcher_of(self.launcher).shares_teachers:
            raise PkdError(
                f"--share-teacher: not for --launcher {self.launcher.name}, where each run is a task of its own.",
                "Leave it out.",
            )

    @property
    def done(self) -> list[str]:
        """The runs that have ended well before."""
        return [one.run for one in self.planned if finished(one.paths)]

    @property
    def todo(self) -> list[PlannedRun]:
        """The runs that have not."""
        return [one for one in self.planned if not finished(one.paths)]

    def groups(self) -> list[list[PlannedRun]]:
        """What is still to do, those runs side by side that train together."""
        launcher = launcher_of(self.launcher)
        return groups(self.todo, launcher.jobs_at_a_time(), self.share if launcher.shares_teachers else False)

    def sharing(self, jobs: Sequence[JobSpec] | None = None) -> list[tuple[list[str], str]]:
        """The runs of two or more that train together, each time with their teacher's title.

        Args:
            jobs: As `jobs` gives them, where they are known already.
        """
        titles = {one.run: one.recipe.teacher.title for one in self.planned if one.recipe.teacher}
        found = [[part.name for part in job.members] for job in (self.jobs() if jobs is None else jobs) if job.members]
        return [(runs, next(titles[run] for run in runs if run in titles)) for runs in found]

    def jobs(self) -> list[JobSpec]:
        """The jobs of what is still to do, one for each group."""
        return [together([self.spec(one) for one in group]) for group in self.groups()]

    def spec(self, one: PlannedRun) -> JobSpec:
        """The job of one run by itself."""
        return spec(one, self.cache, self.command)

    def notes(self, *, dry_run: bool = False) -> list[str]:
        """What there is to say of machines and memory before the runs begin."""
        recipes = [one.recipe for one in self.todo]
        own = launcher_of(self.launcher).notes(recipes, dry_run=dry_run)
        return [*self.plugin_notes(), *own] if dry_run else own

    def plugin_notes(self) -> list[str]:
        """What there is to say of plug-ins that are not here as the runs were made with them."""
        return changed_plugins(one.paths for one in self.planned)

    def scripts(self, before: Sequence[str] = ()) -> list[dict[str, Any]]:
        """What a cluster would be given: `script` and the command that submits it.

        Args:
            before: Runs that will have ended well by then.
        """
        todo = [self.spec(one) for one in self.todo]
        return launcher_of(self.launcher).describe(todo, [*self.done, *before], runs=self.runs)

    def check(self, one: PlannedRun) -> None:
        """Raise what kept a run from ending well.

        Raises:
            PkdError: In the run's own words, or how it ended.
        """
        outcome = self.outcomes.get(one.run)
        if outcome is None or not outcome.code:
            return
        code = outcome.code if outcome.code in iter(ExitCode) else ExitCode.RUN_FAILED
        error = Status(one.paths).fields.get("error")
        if isinstance(error, dict) and error.get("message") and not outcome.died_by:
            hint = "\n".join(text for text in (error.get("hint"), f"log: {one.paths.log}") if text)
            raise PkdError(f"{one.run}: {error['message']}", hint, code)
        raise PkdError(f"{one.run}: {outcome.cause}", f"log: {one.paths.log}", code)

    def frame(self) -> pd.DataFrame:
        """A row for each run of the plan: id, role, and whether it is done."""
        import pandas as pd

        rows = [(one.run, one.recipe.role, "done" if finished(one.paths) else "to do") for one in self.planned]
        return pd.DataFrame(rows, columns=["run", "role", "state"])

    def __repr__(self) -> str:
        return f"Experiment({len(self.planned)} runs, {len(self.todo)} to do: {self.command})"

    def _repr_html_(self) -> str:
        """The plan as a table, for notebooks."""
        from pkdcli.runs.run import html_table

        return html_table(("run", "role", "state"), self.frame().to_numpy().tolist(), self.command)

    def execute(self, watcher: Watcher) -> dict[str, Outcome]:
        """Carry out what is not finished yet.

        Args:
            watcher: Told of what happens.

        Returns:
            How each run ended, by its id.

        Raises:
            PkdError: Something is wrong before anything runs.
            Interrupted: After Ctrl-C, when the runs have saved and stopped.
        """
        for text in self.plugin_notes():  # before what is not known without them is refused
            watcher.on_note(text)
        require(name for one in self.planned for name in one.recipe.trackers)
        launcher = launcher_of(self.launcher)
        prove(self.planned, self.launcher, watcher)
        done, known = self.done, launcher.known([one.paths for one in self.planned])
        for one in self.planned:
            if one.run not in known:
                devices = launcher.processes(alone=one.recipe.weights is not None)
                prepare(one, self.cache, devices, self.launcher)
        for text in self.notes():
            watcher.on_note(text)
        jobs = self.jobs()
        for shared, teacher in self.sharing(jobs):
            watcher.on_share(shared, teacher)
        watcher.on_plan({one.run: one for one in self.planned}, done)
        try:
            self.outcomes = launcher.run(jobs, watcher, done, runs=self.runs, known=known, wait=self.wait)
        except Interrupted:
            raise
        except KeyboardInterrupt:
            settle_interrupted(self.planned)
            raise Interrupted("stopped; type the same command again to go on.") from None
        settle(self.planned, self.outcomes)
        return self.outcomes


def experiment(
    recipes: Sequence[Recipe],
    machines: LauncherRecipe,
    launch: LaunchOptions,
    output: OutputOptions,
    *,
    watcher: Watcher,
    command: str,
    share: bool | None = None,
) -> Experiment:
    """Plan the runs that some recipes need, on data that is there and checked.

    Args:
        recipes: Of the students.
        machines: Where the runs will be carried out, as `pkdcli.launch.options.launcher` makes it of `launch`.
        launch: Whether to wait for a cluster's jobs to end.
        output: Where runs are; a dry run needs neither data nor trackers.
        watcher: Told of data that is drawn or checked.
        command: What somebody typed or called.
        share: Students share a teacher: always, never, or (None) where it pays.

    Raises:
        PkdError: Something is wrong with a recipe, its files or its data.
    """
    cache, dry_run = cache_root(), output.dry_run
    if is_no_folder(cache):
        raise PkdError(f"{cache} is a file, not a folder for the cache.", "Set PKD_CACHE to a folder, or unset it.")
    runs = runs_root(output.runs)
    if not dry_run:
        require(name for recipe in recipes for name in recipe.trackers)
    # A checkpoint that is not there is said at once, not when the data has been drawn.
    recipes = [with_weights_hash(recipe) for recipe in recipes]
    complete = with_data(recipes, cache, machines, watcher, dry_run=dry_run, training=True)
    return Experiment(plan(complete, runs, cache), runs, cache, machines, command, complete, share, launch.wait)


def settle(planned: Sequence[PlannedRun], outcomes: Mapping[str, Outcome]) -> None:
    """Write into the status what a run could not say itself: that it was killed, or never started.

    Args:
        planned: The runs.
        outcomes: How each ended, by its id.
    """
    for one in planned:
        outcome = outcomes.get(one.run)
        if outcome is None or outcome.code == ExitCode.OK or holder(one.paths):  # whose status it is
            continue
        status = Status(one.paths)
        with suppress(PkdError):  # a full disk: the watcher has said what there is to say
            if outcome.lacked and outcome.code == ExitCode.INTERRUPTED:
                end(one.paths, INTERRUPTED, outcome.cause, int(outcome.code), silent=False)
            elif outcome.lacked:
                status.write(error={"message": outcome.cause, "hint": None, "code": int(outcome.code)})
            elif status.fields.get("state") in (QUEUED, RUNNING):
                end(one.paths, FAILED, outcome.cause, int(outcome.code), silent=True)


def settle_interrupted(planned: Sequence[PlannedRun]) -> None:
    """Write into the status of runs that were killed before they could say so that they were stopped."""
    for one in planned:
        if Status(one.paths).fields.get("state") == RUNNING and not held_by(one.paths):
            with suppress(PkdError):
                Status(one.paths).interrupt()


def exit_code(outcomes: Mapping[str, Outcome]) -> ExitCode:
    """The command's exit code: 0 when every run ended well, that of the only failure, else 1."""
    codes = {outcome.code for outcome in outcomes.values() if outcome.code and not outcome.lacked}
    if not codes:
        return ExitCode.OK if all(outcome.code == 0 for outcome in outcomes.values()) else ExitCode.RUN_FAILED
    only = codes.pop()
    return ExitCode(only) if not codes and only in iter(ExitCode) else ExitCode.RUN_FAILED
