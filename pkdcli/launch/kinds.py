"""Which launcher serves which kind of recipe, and which has a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pkdcli import plugins
from pkdcli.errors import PkdError, unknown

if TYPE_CHECKING:
    from pkdcli.launch.launcher import Launcher
    from pkdcli.launch.run_state import RunState
    from pkdcli.recipe.schema import Launcher as LauncherRecipe
    from pkdcli.runs.paths import RunPaths

KINDS = ("local", "slurm")
"""Those that are pkd's own; each is imported when it is wanted."""


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
