"""The paper's three problems as numbers, level by level: magnitude, dominant levels, dominant channels.

Measured now and then during training and appended to metrics.jsonl as records of kind `levels`:

- `level0.loss`: the level's weighted loss;
- `level0.r`: Pearson's correlation of student and teacher per channel over the batch, averaged over the channels
  (0 where a map is constant);
- `level0.grad_norm`: the norm of the loss's gradient with respect to the student's level, the neck's output;
- `level0.grad_share`: that norm over the sum of all levels' norms;
- `level0.top10_share`: the ten largest channels' share in the sum of the gradient's norms per channel;
- `level0.detection_grad_norm`: the norm of the gradient of the detector's own losses with respect to the same level;
- `level0.constant_student`, `level0.constant_teacher`: the shares of channels that are constant over the batch.

The number behind `level` is the student's. Measuring draws no random number and leaves every gradient alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from pkdcli.engine.distill.level_stats import LevelMeasures
from pkdcli.engine.train.hooks.teaching import last_taught_step
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import append_jsonl

RECORDS = 50  # about so many measurements a run


def record(measured: dict[int, LevelMeasures]) -> dict[str, float]:
    """The measurements of one step by their names in metrics.jsonl."""
    total = sum(float(one.grad_norm) for one in measured.values())
    values = {}
    for level, one in measured.items():
        norm = float(one.grad_norm)
        values[f"level{level}.loss"] = float(one.loss)
        values[f"level{level}.r"] = float(one.r)
        values[f"level{level}.grad_norm"] = norm
        values[f"level{level}.grad_share"] = norm / total if total else float("nan")
        values[f"level{level}.top10_share"] = float(one.top10_share)
        if one.detection_grad_norm is not None:
            values[f"level{level}.detection_grad_norm"] = float(one.detection_grad_norm)
        values[f"level{level}.constant_student"] = float(one.constant_student)
        values[f"level{level}.constant_teacher"] = float(one.constant_teacher)
    return values


@HOOKS.register_module()
class PkdDiagnosticsHook(Hook):
    """Measures the levels in some steps of a distilled run, the first and the last with the teacher among them.

    Args:
        records: About how many times in the run; 0 for never.
    """

    priority = "VERY_LOW"

    def __init__(self, records: int = RECORDS) -> None:
        self.records = records

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Ask the distiller to measure, where it is time to.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
        """
        if self.records and is_main_process() and self._due(runner):
            distiller_of(runner).measuring = True

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Append what was measured.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned: losses by name, or detections.
        """
        if self.records and is_main_process() and self._due(runner):
            head = {"kind": "levels", "epoch": runner.epoch + 1, "iter": runner.iter + 1}
            append_jsonl(RunPaths(Path(runner.work_dir)).metrics, {**head, **record(distiller_of(runner).measured)})

    def _due(self, runner: Runner) -> bool:
        step, last = runner.iter + 1, last_taught_step(runner)
        return step <= last and (step in (1, last) or step % max(1, runner.max_iters // self.records) == 0)


def distiller_of(runner: Runner) -> Any:
    """The distiller of a run, without DDP's wrapper."""
    return getattr(runner.model, "module", runner.model).distiller
