"""The experiment trackers that mmengine knows, and the packages they need. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
        PkdError: No such tracker.
    """
    names = [name.strip() for word in words for name in word.split(",")]
    for name in names:
        if name not in TRACKERS:
            raise unknown("tracker", name, TRACKERS, where="--tracker")
    return list(dict.fromkeys(names))


def require(names: Iterable[str]) -> None:
    """Make sure that the packages of some trackers are there.

    Raises:
        PkdError: Some are not; says how to install them.
    """
    missing = [name for name in dict.fromkeys(names) if find_spec(TRACKERS[name].module) is None]
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
    return [
        {"type": TRACKERS[name].backend, "save_dir": str(run_dir / "trackers" / name), **more.get(name, {})}
        for name in names
    ]
