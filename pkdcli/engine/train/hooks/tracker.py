"""What a run writes into metrics.jsonl, handed on to the trackers its recipe names."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, VISBACKENDS
from mmengine.runner import Runner
from mmengine.visualization import MLflowVisBackend, WandbVisBackend

from pkdcli.runs.paths import RunPaths

_PLACE = ("kind", "epoch", "iter")  # where a record is of, not what was measured there


@HOOKS.register_module()
class PkdTrackerHook(Hook):
    """Tells trackers each record as it is written: losses and rates as `train/...`, AP points as `val/...`.

    The records are read back from the file, so that trackers and report never differ. A run that was resumed tells the
    trackers what is new.
    """

    priority = "LOWEST"  # behind the hook that writes the records

    def before_run(self, runner: Runner) -> None:
        """Begin at the end of what is there."""
        self._file = RunPaths(Path(runner.work_dir)).metrics
        self._told = self._size()

    def before_train(self, runner: Runner) -> None:
        """Begin at the end of what is there, now that records behind the point of resuming are gone."""
        self._told = self._size()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Tell what is new.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned: losses by name, or detections.
        """
        self._tell(runner)

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Tell what is new.

        Args:
            runner: The run's.
            metrics: AP points by name, 0 to 100.
        """
        self._tell(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """What has been told lasts as long as the state does: a run may be stopped right after.

        Args:
            runner: The run's.
            checkpoint: The training state as it is saved and loaded.
        """
        for backend in runner.visualizer._vis_backends.values():
            writer = getattr(backend, "_tensorboard", None)
            if writer is not None:
                writer.flush()

    def after_run(self, runner: Runner) -> None:
        """Let the trackers finish."""
        if is_main_process():
            self._tell(runner)
            runner.visualizer.close()

    def _size(self) -> int:
        return os.path.getsize(self._file) if self._file.is_file() else 0

    def _tell(self, runner: Runner) -> None:
        if not is_main_process() or self._size() <= self._told:
            return
        with open(self._file, "rb") as file:
            file.seek(self._told)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._told += len(whole)
        for line in whole.splitlines():
            record = json.loads(line)
            scalars = {
                f"{record.get('kind')}/{key}": float(value)
                for key, value in record.items()
                if key not in _PLACE and _finite(value)
            }
            if scalars and record.get("kind") in ("train", "val"):
                runner.visualizer.add_scalars(scalars, step=record["iter"])


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@VISBACKENDS.register_module()
class PkdMLflow(MLflowVisBackend):
    """mmengine's, writing where MLFLOW_TRACKING_URI says; else into the run directory."""

    def _init_env(self) -> None:
        self._tracking_uri = self._tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        self._artifact_suffix = tuple(self._artifact_suffix)
        if not self._tracking_uri:
            # MLflow 3 wants to be told that plain files, which need no server, are meant.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        super()._init_env()


@VISBACKENDS.register_module()
class PkdWandb(WandbVisBackend):
    """mmengine's, offline unless WANDB_MODE says otherwise: `wandb sync` uploads what is in the run directory."""

    def _init_env(self) -> None:
        os.environ.setdefault("WANDB_MODE", "offline")
        super()._init_env()

    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Nothing: what identifies the run is given when it begins, and config.py is in the run directory."""
