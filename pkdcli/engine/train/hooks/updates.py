"""How far the weights move: the size of a step beside that of the weights, part by part.

Appended to metrics.jsonl now and then as records of kind `updates`, for `pkd diagnose`:

- `backbone.update`: |change in this step| / |weights|, the median over a few weight tensors; so `neck`, `head` (all
  that is neither) and `adapters` (what is trained beside the student);
- `backbone.trained`: the share of the part's weights that are trained at all;
- `adapters.norm`: the norm of the largest of the adapters that are looked at.

A learning rate that fits moves the weights by a thousandth or so a step; one that is ten times too high shows here
before the loss tells it. Measuring copies a few small tensors, draws no random number and changes no weight.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from pkdcli.engine.train.hooks.diagnostics import RECORDS
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import append_jsonl

TENSORS = 4  # that are looked at of each part
LARGEST = 600_000  # elements of one of them: a 3x3 convolution of 256 channels, 2.4 MB
_BESIDE = "adapters"


def parts_of(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The weights (tensors of two dimensions or more) of backbone, neck, head and adapters.

    Args:
        model: A detector, or the algorithm around a student.
    """
    model = getattr(model, "module", model)
    student = getattr(model, "architecture", model)
    found: dict[str, list[nn.Parameter]] = {}
    for name, weight in student.named_parameters():
        if weight.ndim >= 2:
            part = name.partition(".")[0]
            found.setdefault(part if part in ("backbone", "neck") else "head", []).append(weight)
    beside = [one for one in getattr(model, "distiller", nn.Module()).parameters() if one.ndim >= 2]
    return {**found, _BESIDE: beside} if beside else found


def some_of(weights: list[nn.Parameter]) -> list[nn.Parameter]:
    """A few of the weights that are trained and not too large, evenly spread from the first to the last."""
    able = [one for one in weights if one.requires_grad and one.numel() <= LARGEST]
    count = min(TENSORS, len(able))
    return [able[round(n * (len(able) - 1) / max(1, count - 1))] for n in range(count)]


@HOOKS.register_module()
class PkdUpdatesHook(Hook):
    """Measures in some steps how far they move the weights.

    Args:
        records: About how many times in the run; 0 for never.
    """

    priority = "VERY_LOW"

    def __init__(self, records: int = RECORDS) -> None:
        self.records = records
        self._before: dict[str, list[Tensor]] = {}

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Note the weights down, where it is time to.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
        """
        if self.records and is_main_process() and self._due(runner):
            parts = parts_of(runner.model)
            self._before = {part: [one.detach().clone() for one in some_of(all_)] for part, all_ in parts.items()}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Append how far they have moved.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned: losses by name, or detections.
        """
        before, self._before = self._before, {}
        if before:
            head = {"kind": "updates", "epoch": runner.epoch + 1, "iter": runner.iter + 1}
            append_jsonl(RunPaths(Path(runner.work_dir)).metrics, {**head, **moved(parts_of(runner.model), before)})

    def _due(self, runner: Runner) -> bool:
        # Where the gradients of several steps are added, only the last of them moves the weights.
        together = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
        step, every = runner.iter + 1, max(1, runner.max_iters // self.records)
        return step % together == 0 and step // together % max(1, every // together) == 0


def moved(parts: dict[str, list[nn.Parameter]], before: dict[str, list[Tensor]]) -> dict[str, float]:
    """The values of one record by their names.

    Args:
        parts: The weights as they are, by part.
        before: Of `some_of` each part, as they were.
    """
    values = {}
    for part, weights in parts.items():
        now = [one.detach() for one in some_of(weights)]
        if now:
            norms = [torch.linalg.vector_norm(one.float()) for one in now]
            steps = [torch.linalg.vector_norm((a - b).float()) for a, b in zip(now, before[part], strict=True)]
            pairs = torch.stack([torch.stack(steps), torch.stack(norms)]).cpu().tolist()
            ratios = [step / max(norm, 1e-12) for step, norm in zip(*pairs, strict=True)]
            values[f"{part}.update"] = statistics.median(ratios)
            if part == _BESIDE:
                values[f"{part}.norm"] = max(pairs[1])
        total = sum(one.numel() for one in weights)
        values[f"{part}.trained"] = sum(one.numel() for one in weights if one.requires_grad) / max(1, total)
    return values
