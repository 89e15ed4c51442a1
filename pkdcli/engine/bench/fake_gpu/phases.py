"""One training step on a fake GPU, counted phase by phase."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine.optim import OptimWrapper
from mmrazor.models.utils import add_prefix
from torch import nn

from pkdcli.engine.bench.fake_gpu.counts import Counts, counting


def distilled_step(algorithm: nn.Module, optimizer: OptimWrapper, batch: dict[str, Any]) -> dict[str, Counts]:
    """Take a step as `PkdDistill.train_step` does; what each of its phases launched and waited for.

    Args:
        algorithm: A PkdDistill on the device.
        optimizer: Wraps its weights; a mixed-precision one brings its autocast.
        batch: As the loader gives it.

    Returns:
        By the names `data`, `teacher`, `student`, `distillation losses`, `sum`, `backward and step`.
    """
    found: dict[str, Counts] = {}

    def phase(name: str, do: Callable[[], Any]) -> Any:
        with counting() as found[name]:
            return do()

    def student() -> dict[str, Any]:
        with algorithm.distiller.student_recorders:
            return dict(algorithm.student(data["inputs"], data["data_samples"], mode="loss"))

    with optimizer.optim_context(algorithm):
        data = phase("data", lambda: algorithm.data_preprocessor(batch, True))
        phase("teacher", lambda: algorithm.record_teacher(data["teacher_inputs"]))
        losses = phase("student", student)
        distilled = phase("distillation losses", algorithm.distiller.compute_distill_losses)
    losses.update(add_prefix(distilled, "distill"))
    total, _ = phase("sum", lambda: algorithm.parse_losses(losses))
    phase("backward and step", lambda: optimizer.update_params(total))
    return found


def whole_step(model: nn.Module, optimizer: OptimWrapper, batch: dict[str, Any]) -> Counts:
    """Take a step of any model of mmengine's, a stock one or ours; what it launched and waited for in all.

    Args:
        model: On the device, in training mode.
        optimizer: Its own.
        batch: As its loader gives it: `inputs` and `data_samples`.
    """
    with counting() as counts:
        model.train_step(batch, optimizer)
    return counts
