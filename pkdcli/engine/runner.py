"""mmengine's Runner, writing into the run directory and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner

from pkdcli.errors import PkdError
from pkdcli.runs.paths import RunPaths


class PkdRunner(Runner):
    """A Runner whose log goes to the process's output, which the launcher keeps as log.txt."""

    @property
    def timestamp(self) -> str:
        """Empty: mmengine makes a folder of this name inside the run directory."""
        return ""

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """A logger without a file of its own."""
        return MMLogger.get_instance(name=self._experiment_name, log_level=log_level, logger_name="pkd")

    def dump_config(self) -> None:
        """Nothing: config.py is already there."""


def latest_checkpoint(paths: RunPaths) -> Path | None:
    """The newest training state that can be read; a damaged one is passed over."""
    from pkdcli.engine.checkpoint import load_state

    for path in sorted(paths.checkpoints.glob("epoch_*.pth"), reverse=True):
        try:
            load_state(path)
            return path
        except PkdError as error:
            print(f"passing over {path.name}: {error.message}", flush=True)
    return None
