"""What a finished run leaves for stock mmdet: the weights that were measured, and a config of the detector alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from pkdcli.compat import activate
from pkdcli.config import data, stock
from pkdcli.engine.checkpoint import export_student, with_classes
from pkdcli.engine.distributed import processes
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths

activate()

from pkdcli.engine.setup.config import run_config  # noqa: E402
from pkdcli.engine.setup.detector import build_detector  # noqa: E402
from pkdcli.engine.sizes import Size, detector_size, size_at  # noqa: E402
from pkdcli.engine.train.runner import detector  # noqa: E402  (mmdet is importable only after activate)

Weights = Mapping[str, torch.Tensor]


def remember(runner: Runner) -> None:
    """Note down the weights that an evaluation is about to measure, if it is the last one.

    Hooks may put other weights into the model for the time of an evaluation, as mmengine's EMAHook does.
    """
    if is_main_process() and is_last(runner):
        runner.pkd_measured = _copied(runner)


def is_last(runner: Runner) -> bool:
    """Whether an evaluation now is the run's last."""
    return runner.iter >= runner.max_iters if runner.max_iters else True


def measured_weights(runner: Runner) -> Weights | None:
    """The weights that the run's last evaluation has measured, on the CPU; None in all processes but the first."""
    known = processes.broadcast(hasattr(runner, "pkd_measured"))
    if not known and any(_may_change_weights(hook) for hook in runner.hooks):
        runner.val_loop.run()  # killed between its evaluation and its end, and resumed: it is measured once more
    if not is_main_process():
        return None
    if (found := getattr(runner, "pkd_measured", None)) is not None:
        return found
    # The same, where the averages stand beside the weights.
    averages = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    for hook in averages:
        hook._swap_ema_parameters()
    found = _copied(runner)
    for hook in reversed(averages):
        hook._swap_ema_parameters()
    return found


def _may_change_weights(hook: Hook) -> bool:
    """Whether a hook of the user's does something before an evaluation."""
    own = type(hook).__module__.partition(".")[0] in ("pkdcli", "mmengine")
    return not own and any(
        getattr(type(hook), name) is not getattr(Hook, name) for name in ("before_val", "before_val_epoch")
    )


def _copied(runner: Runner) -> Weights:
    state = detector(runner.model).state_dict()
    for key, value in state.items():
        state[key] = value.detach().to("cpu", copy=True)
    return state


def write(recipe: Recipe, paths: RunPaths, weights: Weights, classes: Sequence[str] | None) -> Size | None:
    """Write the exported detector and its config; returns how large it is, None where that can't be found out.

    Args:
        recipe: The run's.
        paths: Its directory.
        weights: By their names in the detector.
        classes: In the order of the labels, where that is not the data's.

    Raises:
        PkdError: They can't be written.
    """
    names = list(classes or recipe.data.classes or [])
    meta: dict[str, Any] = {"dataset_meta": {"classes": names, "palette": stock.palette(names)}, "run": paths.run}
    config, _ = run_config(recipe, paths.root)
    if recipe.weights and len(names) != len(recipe.data.classes or []):
        with_classes(config["model"], len(names))
    stock.write(recipe, paths, names, config)
    export_student(weights, paths.weights(recipe.role), meta)
    return _size(recipe, paths, names, config)


def _size(recipe: Recipe, paths: RunPaths, classes: Sequence[str], config: dict[str, Any]) -> Size | None:
    """How large the exported detector is; whatever goes wrong here costs no finished run."""
    try:
        longest, shorter = data.evaluation_size(recipe)
        model = build_detector(recipe, classes, paths.root, config)
        found = detector_size(model, size_at(model, shorter, longest))
    except Exception as error:
        print_log(f"its parameters and operations were not counted: {error}", "current")
        return None
    if found.why:
        print_log(f"its operations were not counted: {found.why}", "current")
    return found
