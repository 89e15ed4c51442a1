"""The experiment trackers that mmengine knows, with the packages they need, and those of plug-ins. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pkdcli import plugins
from pkdcli.errors import ExitCode, PkdError, unknown


@dataclass(frozen=True)
class Tracker:
    """One tracker.

    Attributes:
        backend: mmengine's visualization backend, or pkd's of it.
        module: What it imports.
        install: What to install for that.
        many: Whether several runs of one process can each have their own.
    """

    backend: str
    module: str
    install: str
    many: bool = False


TRACKERS = {
    "tensorboard": Tracker("TensorboardVisBackend", "tensorboard", "tensorboard", many=True),
    "mlflow": Tracker("PkdMLflow", "mlflow", "mlflow-skinny"),
    "wandb": Tracker("PkdWandb", "wandb", "wandb"),
    "dvclive": Tracker("DVCLiveVisBackend", "dvclive", "dvclive"),
    "aim": Tracker("AimVisBackend", "aim", "aim"),
    "clearml": Tracker("ClearMLVisBackend", "clearml", "clearml"),
    "neptune": Tracker("NeptuneVisBackend", "neptune", "neptune"),
}


def named(words: Iterable[str]) -> list[str]:
    """The trackers that `--tracker` names, repeated or with commas between them, each once.

    Raises:
        PkdError: No such tracker, or several of that name.
    """
    names = [name.strip() for word in words for name in word.split(",")]
    for name in names:
        plugin_of(name, where="--tracker")
    return list(dict.fromkeys(names))


def plugin_of(name: str, where: str | None = None) -> plugins.Plugin | None:
    """The plug-in that a tracker is of; None for those that mmengine knows.

    Args:
        name: Of the tracker.
        where: What names it, for errors.

    Raises:
        PkdError: No such tracker, or several of that name.
    """
    found = plugins.find("trackers", name, TRACKERS)
    if found is None and name not in TRACKERS:
        raise unknown("tracker", name, [*TRACKERS, *plugins.names("trackers")], where)
    return found


def plugin_tracker(plugin: plugins.Plugin) -> Callable[[Path, dict[str, Any]], dict[str, Any]]:
    """A plug-in's tracker, as a function from a run directory and what identifies the run to mmengine's config.

    Raises:
        PkdError: It can't be imported, or is neither such a function nor a config.
    """
    found = plugin.load()
    needed = "a dict with a `type`, or a function (run_dir, facts) that returns one"

    def config(run_dir: Path, facts: dict[str, Any]) -> dict[str, Any]:
        made = found(run_dir, facts) if callable(found) else dict(found)
        if not isinstance(made, dict) or not isinstance(made.get("type"), str):
            raise plugin.broken(f"{plugin.value} returned {made!r:.80}, and should return a dict with a `type`")
        return {"save_dir": str(run_dir / "trackers" / plugin.name), **made}

    if isinstance(found, type):
        raise plugin.broken(
            f"{plugin.value} is a class, and should be {needed}, such as "
            f"{{'type': '{found.__module__}.{found.__qualname__}'}}"
        )
    if not callable(found) and not (isinstance(found, dict) and isinstance(found.get("type"), str)):
        raise plugin.broken(f"{plugin.value} is no tracker: it should be {needed}")
    return config


def one_per_process(name: str) -> bool:
    """Whether runs that share a process can't each have a tracker of this name; of plug-ins this is taken to be so."""
    return name not in TRACKERS or not TRACKERS[name].many


def require(names: Iterable[str]) -> None:
    """Make sure that the packages of some trackers are there, and that those of plug-ins can be loaded.

    Raises:
        PkdError: Some are not, and how to install them; or there is no such tracker.
    """
    names = list(dict.fromkeys(names))
    for name in names:
        plugin = plugin_of(name, where="trackers")
        if plugin is not None:
            plugin_tracker(plugin)
    missing = [name for name in names if name in TRACKERS and find_spec(TRACKERS[name].module) is None]
    if missing:
        packages = " ".join(TRACKERS[name].install for name in missing)
        what = "its package is" if len(missing) == 1 else "their packages are"
        raise PkdError(
            f"--tracker {','.join(missing)}: {what} not installed.",
            f"Type: python -m pip install {packages}",
            ExitCode.MISSING,
        )


def backends(names: Iterable[str], run_dir: Path | str, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """mmengine's configs of trackers that write into a run directory.

    Args:
        names: Of the trackers.
        run_dir: The run directory; each tracker has a folder of its own in `trackers/`.
        facts: What identifies the run, for trackers that can search for it.

    Raises:
        PkdError: There is no such tracker, or a plug-in's is broken.
    """
    run_dir = Path(run_dir)
    more: dict[str, dict[str, Any]] = {
        "mlflow": {
            "exp_name": "pkd",
            "run_name": run_dir.name,
            "params": facts,
            # The run directory has its config and log already, and would hold copies of copies after each resume.
            "tracked_config_keys": [],
            "artifact_suffix": [],
        },
        "wandb": {"init_kwargs": {"project": "pkd", "name": run_dir.name, "config": facts, "allow_val_change": True}},
        "clearml": {"init_kwargs": {"project_name": "pkd", "task_name": run_dir.name}},
        "neptune": {"init_kwargs": {"name": run_dir.name, "mode": "offline"}},
    }
    found = []
    for name in names:
        plugin = plugin_of(name, where="trackers")
        if plugin is not None:
            found.append(plugin_tracker(plugin)(run_dir, facts))
        else:
            own = {"type": TRACKERS[name].backend, "save_dir": str(run_dir / "trackers" / name)}
            found.append({**own, **more.get(name, {})})
    return found
