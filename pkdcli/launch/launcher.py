"""What carries runs out: this machine, a cluster, or what a plug-in brings. One protocol, and who serves which kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pkdcli import plugins
from pkdcli.errors import PkdError, unknown

if TYPE_CHECKING:
    from pkdcli.launch.job import JobSpec
    from pkdcli.launch.outcome import Outcome, Watcher
    from pkdcli.launch.run_state import RunState
    from pkdcli.recipe.schema import Launcher as LauncherRecipe
    from pkdcli.recipe.schema import Recipe
    from pkdcli.runs.paths import RunPaths


KINDS = ("local", "slurm")
"""Those that are pkd's own; each is imported when it is wanted."""


class Launcher(Protocol):
    """Carries jobs out, and knows what has become of them.

    Attributes:
        shares_teachers: Whether one job may carry out several runs beside one teacher.
        takes: The keys of a launcher's recipe that it heeds, of those that not every kind has.
    """

    shares_teachers: bool
    takes: Sequence[str]

    def processes(self, *, alone: bool = False) -> int:
        """Worker processes of one run, over all its machines; of one that only evaluates, where `alone`."""

    def jobs_at_a_time(self) -> int:
        """How many jobs run beside each other, as far as this launcher decides it."""

    def known(self, paths: Sequence[RunPaths]) -> dict[str, str]:
        """Those of some runs that it has already been given and that have not ended: run id -> its job."""

    def notes(self, recipes: Sequence[Recipe], *, dry_run: bool) -> list[str]:
        """What there is to say before runs begin: idle or crowded devices, memory that nobody asked for.

        Args:
            recipes: Of the runs that are still to do.
            dry_run: Nothing will run, so the state of this machine is no matter.
        """

    def run(
        self,
        specs: Sequence[JobSpec],
        watcher: Watcher,
        done: Sequence[str],
        *,
        runs: Path,
        known: Mapping[str, str],
        wait: bool,
    ) -> dict[str, Outcome]:
        """Carry jobs out, each after what it needs.

        Args:
            specs: The jobs; what one needs is among them, in `done` or in `known`.
            watcher: Told of what happens.
            done: Runs that have ended well before.
            runs: The runs folder, where scripts and the like may be kept.
            known: As `known` gave it.
            wait: Wait for the end, where the jobs would go on without us.

        Returns:
            How each run ended, by its id; with `job` where it was handed over and nobody waits.

        Raises:
            PkdError: Jobs can't be started, or are refused.
            KeyboardInterrupt: After Ctrl-C.
        """

    def describe(self, specs: Sequence[JobSpec], done: Sequence[str], *, runs: Path) -> list[dict[str, Any]]:
        """What it would start for these jobs beside their own commands, for a dry run: `script` and `sbatch`, say."""

    def status(self, paths: RunPaths) -> RunState:
        """What is known of one of its runs."""

    def cancel(self, states: Sequence[RunState]) -> None:
        """Stop runs that are queued or running, each after it has saved; does not wait for that."""


def launcher_of(recipe: LauncherRecipe) -> Launcher:
    """Who carries runs out as a launcher's recipe says.

    Args:
        recipe: Of a kind that is known here or comes with a plug-in.

    Raises:
        PkdError: Nobody serves its kind, several do, or the plug-in that does is broken.
    """
    plugin = plugins.find("launchers", recipe.kind, KINDS)
    if plugin is not None:
        from pkdcli.launch.plugin import plugin_launcher

        return plugin_launcher(plugin, recipe)
    if recipe.kind == "local":
        from pkdcli.launch.local.launcher import LocalLauncher

        return LocalLauncher(recipe)
    if recipe.kind == "slurm":
        from pkdcli.launch.slurm.launcher import SlurmLauncher

        return SlurmLauncher(recipe)
    raise unknown("kind of launcher", recipe.kind, [*KINDS, *plugins.names("launchers")])


def launcher_for(state: RunState) -> Launcher:
    """Who has, or had, a run: the launcher that its job.json names, or this machine's."""
    from pkdcli.recipe import library
    from pkdcli.recipe.schema import Launcher as LauncherRecipe
    from pkdcli.runs.store import read_object

    noted = read_object(state.paths.job).get("launcher")
    if isinstance(noted, dict):
        return launcher_of(library.parse(LauncherRecipe, noted, str(state.paths.job)))
    return launcher_of(library.load("launchers", "slurm" if state.job else "local"))


def by_launcher(
    states: Sequence[RunState],
) -> tuple[list[tuple[Launcher, list[RunState]]], dict[RunPaths, PkdError]]:
    """Runs by who has them; those of one launcher's recipe stand together.

    Args:
        states: Of the runs.

    Returns:
        Each launcher with its runs; and the runs whose launcher can't be had, with the reason.
    """
    found: dict[str, tuple[Launcher, list[RunState]]] = {}
    refused: dict[RunPaths, PkdError] = {}
    for one in states:
        try:
            launcher = launcher_for(one)
        except PkdError as error:  # a plug-in that is gone, say, which is no reason to leave the others alone
            refused[one.paths] = error
            continue
        found.setdefault(f"{type(launcher).__name__} {vars(launcher)}", (launcher, []))[1].append(one)
    return list(found.values()), refused
