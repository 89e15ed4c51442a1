"""Launchers of plug-ins: loaded where a recipe names their kind, and held to the protocol of launchers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from pkdcli import plugins
from pkdcli.errors import PkdError, unknown
from pkdcli.launch.launcher import Launcher
from pkdcli.recipe import library
from pkdcli.recipe.schema import LOCAL_KEYS, SLURM_KEYS
from pkdcli.recipe.schema.explain import explain
from pkdcli.runs.store import read_object

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Launcher as LauncherRecipe
    from pkdcli.runs.paths import RunPaths

METHODS = tuple(name for name, one in vars(Launcher).items() if callable(one) and not name.startswith("_"))
"""What a launcher has to have beside `shares_teachers`: see `pkdcli.launch.launcher.Launcher`."""


def launcher_class(plugin: plugins.Plugin) -> type:
    """The class of a plug-in's launcher, imported.

    Raises:
        PkdError: It can't be imported, or has not what the protocol wants.
    """
    found = plugin.load()
    if not isinstance(found, type):
        raise plugin.broken(f"{plugin.value} is no class")
    missing = [name for name in METHODS if not callable(getattr(found, name, None))]
    missing += ["shares_teachers"] if not hasattr(found, "shares_teachers") else []
    if missing:
        raise plugin.broken(f"{plugin.value} has no {', '.join(missing)}, as pkdcli.launch.launcher.Launcher says")
    keys = getattr(found, "Keys", None)
    if keys is not None and not (isinstance(keys, type) and issubclass(keys, BaseModel)):
        raise plugin.broken(f"{plugin.value}: Keys is no pydantic model")
    return found


def plugin_launcher(plugin: plugins.Plugin, recipe: LauncherRecipe) -> Launcher:
    """The launcher of a plug-in that carries runs out as a recipe of its kind says.

    Args:
        plugin: The plug-in that serves the recipe's kind.
        recipe: Of the launcher.

    Raises:
        PkdError: It is broken, or the recipe has keys that it does not take.
    """
    cls = launcher_class(plugin)
    where = f"launcher {recipe.name}"
    taken = getattr(cls, "takes", ())
    wrong = [key for key in (*LOCAL_KEYS, *SLURM_KEYS) if key in recipe.model_fields_set and key not in taken]
    if wrong:
        known = f"Of these it takes: {', '.join(taken)}." if taken else None
        raise PkdError(f"{where}: {', '.join(wrong)}: not for a launcher of kind {recipe.kind}.", known)
    _check_own(cls, recipe, f"{where}: own")
    return _Guarded(plugin, _guard(plugin, cls, "its beginning")(recipe))


def launcher_of_run(paths: RunPaths) -> Launcher | None:
    """The launcher of a plug-in that a run was given to; None where it was another, or can't be had here."""
    content = read_object(paths.job).get("launcher")
    if not isinstance(content, dict) or content.get("kind") in (None, "local", "slurm"):
        return None
    from pkdcli.recipe.schema import Launcher as LauncherRecipe

    try:
        recipe = library.parse(LauncherRecipe, content, str(paths.job))
        plugin = plugins.find("launchers", recipe.kind)
        return None if plugin is None else plugin_launcher(plugin, recipe)
    except PkdError:  # the run's own files tell of it without
        return None


def _check_own(cls: type, recipe: LauncherRecipe, where: str) -> None:
    keys: type[BaseModel] | None = getattr(cls, "Keys", None)
    known = list(keys.model_fields) if keys else []
    for key in recipe.own:
        if key not in known:
            raise unknown(f"key of launchers of kind {recipe.kind}", key, known, where)
    if keys is not None:
        try:
            keys.model_validate(recipe.own)
        except ValidationError as error:
            raise PkdError(*explain(keys, error, where)) from None


def _guard(plugin: plugins.Plugin, call: Callable[..., Any], what: str) -> Callable[..., Any]:
    """A function of a plug-in whose errors are told as the plug-in's."""

    @wraps(call, updated=())
    def guarded(*args: Any, **keywords: Any) -> Any:
        try:
            return call(*args, **keywords)
        except PkdError:
            raise
        except Exception as error:
            raise plugin.broken(f"{what}: {plugins.cause_of(error)}") from error

    return guarded


class _Guarded:
    """A plug-in's launcher, whose errors are told as the plug-in's."""

    def __init__(self, plugin: plugins.Plugin, launcher: Launcher) -> None:
        self._plugin, self._launcher = plugin, launcher

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._launcher, name)
        return _guard(self._plugin, found, name) if name in METHODS else found
