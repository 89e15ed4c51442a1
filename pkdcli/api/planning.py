"""What the verbs that make runs have in common: machines and a request from the options, and from recipes to a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pkdcli.options import Only, OutputOptions

if TYPE_CHECKING:
    from pkdcli.launch.options import LaunchOptions
    from pkdcli.recipe.options import CommonOptions, RecipeOptions, TeacherOptions
    from pkdcli.recipe.resolve import Request
    from pkdcli.recipe.schema import Launcher

Planned = Annotated[OutputOptions, Only("runs", "dry_run")]
"""What a function that makes runs takes of these options: it never prints."""


def asked(
    what: CommonOptions, recipe: RecipeOptions, teacher: TeacherOptions, launch: LaunchOptions, output: OutputOptions
) -> tuple[Launcher, Request]:
    """The machines that were asked for, and the request that recipes are resolved from.

    Args:
        what: Of a run, a sweep or a table.
        recipe: How to train.
        teacher: Where its weights come from.
        launch: Where the runs are carried out.
        output: Whether only to plan: devices need not be there then.

    Raises:
        PkdError: A launcher, an option of it, or a tracker that there is not.
    """
    from pkdcli.config.trackers import named
    from pkdcli.launch.options import launcher, processes
    from pkdcli.recipe.options import request

    machines = launcher(launch, dry_run=output.dry_run)
    return machines, request(what, recipe, teacher, processes(machines), named(recipe.tracker))
