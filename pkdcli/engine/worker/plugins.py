"""What is wrong with the plug-ins that are installed: each is imported, as a run that names it would."""

from __future__ import annotations

from collections.abc import Iterator

from pkdcli import plugins
from pkdcli.config import families, trackers
from pkdcli.errors import PkdError
from pkdcli.findings import Finding
from pkdcli.launch.plugin import launcher_class
from pkdcli.plugins import GROUPS, WORDS, Plugin
from pkdcli.recipe import library
from pkdcli.recipe.sources import folder_of


def findings() -> Iterator[Finding]:
    """One of each plug-in. A broken one is worth knowing and no more: nothing needs it that does not name it."""
    for kind in GROUPS:
        for plugin in plugins.offered(kind):
            what = f"plug-in {WORDS[kind]} {plugin.name}"
            where = f"{plugin.distribution} {plugin.version}"
            try:
                check(plugin)
                yield Finding(what, where, True)
            except PkdError as error:
                cause = error.message.removeprefix(f"{WORDS[kind]} {plugin.name!r} of the plug-in {plugin.source}: ")
                yield Finding(what, f"{where}: {cause}", None, error.hint or plugin.remedy)


def check(plugin: Plugin) -> None:
    """Load a plug-in and look whether it has what one of its kind promises.

    Raises:
        PkdError: It has not, or its name is taken.
    """
    if plugin.kind == "recipes":
        _recipes(plugin)
    elif plugin.kind == "losses":
        from pkdcli.engine.losses.registry import plugin_loss

        library.find("losses", plugin.name)
        plugin_loss(plugin)
    elif plugin.kind == "launchers":
        library.find("launchers", plugin.name)
        launcher_class(plugin)
    elif plugin.kind == "families":
        families.family_of(plugin.name)
    elif plugin.kind == "trackers":
        trackers.plugin_of(plugin.name)
        trackers.plugin_tracker(plugin)


def _recipes(plugin: Plugin) -> None:
    """Read every recipe in the plug-in's folder."""
    folder = folder_of(plugin)
    files = [(kind, path) for kind in library.KINDS for path in sorted((folder / kind).glob("*.yaml"))]
    if not files:
        raise plugin.broken(f"{folder} has no recipes: they lie in folders of their kinds, such as losses/NAME.yaml")
    for kind, path in files:
        library.load(kind, path.stem)
