"""Where a loss became NaN or infinite: found by taking the forward pass again, written to nan.json, put in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pkdcli.engine.data.rng import seed_step
from pkdcli.engine.distill import teacher as teaching
from pkdcli.engine.distributed import processes
from pkdcli.engine.train.optimizer import NotFinite
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json

_HINT = (
    "Lower the learning rate (--set scale.lr_factor=X), or the weight of the distillation loss (--weight); without "
    "--amp numbers overflow later. The batch's images and the losses are in {file}."
)


class Diverged(PkdError):
    """A training that has diverged, which all processes of it find out at the same point."""


def check_weights(runner: Any, step: int) -> None:
    """Refuse to save weights that are not finite: the state before would be lost to them.

    Args:
        runner: The run's.
        step: Steps taken, for the message.

    Raises:
        PkdError: Some are not.
    """
    nonfinite = _nonfinite_weights(runner.model)
    if nonfinite:
        raise Diverged(
            f"training diverged: {len(nonfinite)} weights, {nonfinite[0]} first, are no longer finite after step "
            f"{step}.",
            "Lower the learning rate (--set scale.lr_factor=X), or the weight of the distillation loss (--weight). "
            "The state saved before is whole.",
            ExitCode.RUN_FAILED,
        )


def _nonfinite_weights(model: nn.Module) -> list[str]:
    named = list(getattr(model, "module", model).named_parameters())
    if all(torch.stack([torch.isfinite(value).all() for _, value in named])):
        return []
    return [name for name, value in named if not torch.isfinite(value).all()]


def stopped(runner: Any, batch: Any, error: NotFinite) -> Diverged:
    """Look for the place where a loss became NaN or infinite, write it to nan.json, and put it in words.

    Called in all processes, and the same in all: the words of the first whose loss it is.

    Args:
        runner: Stands before the step, its weights untouched.
        batch: As the loader gave it.
        error: What the step raised.
    """
    found = locate_nonfinite(runner, batch)
    own = None if math.isfinite(error.loss) else _noted(runner, batch, error, found)
    message, hint = processes.first_given(own)
    return Diverged(message, hint, ExitCode.RUN_FAILED)


def _noted(runner: Any, batch: Any, error: NotFinite, found: Mapping[str, Any]) -> tuple[str, str]:
    """Write nan.json; a message and a hint."""
    file = RunPaths(Path(runner.work_dir)).root / "nan.json"
    rate = runner.optim_wrapper.get_lr()
    write_json(
        file,
        {
            "iter": runner.iter + 1,
            "epoch": runner.epoch + 1,
            "process": processes.rank(),
            "loss": str(error.loss),
            "lr": rate.get("base_lr", rate.get("lr"))[0],
            "images": [sample.img_path for sample in batch["data_samples"]],
            "began": {key: value for key, value in found.items() if key != "losses"},
            "losses": {name: str(value) for name, value in found.get("losses", {}).items()},
        },
    )
    message = f"training diverged: the loss is {error.loss} at step {runner.iter + 1}{_in_words(found)}."
    return message, _HINT.format(file=file)


def locate_nonfinite(runner: Any, batch: Any) -> dict[str, Any]:
    """Where a step's loss becomes NaN or infinite, found by taking its forward pass again.

    Args:
        runner: The run's, its weights as they were before the step.
        batch: As the loader gave it.

    Returns:
        As far as they are known: `weights` (names of those that are not finite), `detector` (student or teacher),
        `module` (the first whose output is not finite), `level` and `channel` (of the neck's outputs, from 0), and
        `losses` (each by its name; only for a process alone, since heads sum over the processes).
    """
    model = getattr(runner.model, "module", runner.model)
    found: dict[str, Any] = {}
    nonfinite = _nonfinite_weights(model)
    if nonfinite:
        found["weights"] = nonfinite[:10]
    seed_step(runner.seed, runner.iter, runner.rank)
    student = getattr(model, "architecture", model)
    teacher = model.teacher if getattr(model, "taught", False) else None
    features: dict[str, Sequence[Tensor]] = {}
    with torch.no_grad(), runner.optim_wrapper.optim_context(runner.model):
        data = model.data_preprocessor(batch, True)
        for name, detector, forward in (
            ("teacher", teacher, lambda: teaching.features(teacher, data["teacher_inputs"])),
            ("student", student, lambda: student.extract_feat(data["inputs"])),
        ):
            if detector is not None:
                with _first_nonfinite(detector) as modules:
                    features[name] = forward()
                if modules and "module" not in found:
                    found |= {"detector": name, "module": modules[0], **_first_channel(features[name])}
        if processes.world_size() == 1:
            found["losses"] = _losses(model, data)
    if "level" not in found:
        found |= _from_losses(model, found.get("losses", {}), features)
    return found


@contextmanager
def _first_nonfinite(detector: nn.Module) -> Iterator[list[str]]:
    """The names of modules, in the order they ran, whose output is the first not to be finite."""
    names: list[str] = []

    def watch(name: str):
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not names and any(not torch.isfinite(tensor).all() for tensor in _tensors(output)):
                names.append(name)

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in detector.named_modules()]
    try:
        yield names
    finally:
        for handle in handles:
            handle.remove()


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)


def _first_channel(levels: Sequence[Tensor]) -> dict[str, int]:
    """The first level with a value that is not finite, and its first such channel."""
    for level, tensor in enumerate(levels):
        nonfinite = (~torch.isfinite(tensor)).any(dim=(0, 2, 3)).nonzero().flatten()
        if len(nonfinite):
            return {"level": level, "channel": int(nonfinite[0])}
    return {}


def _losses(model: nn.Module, data: Mapping[str, Any]) -> dict[str, float]:
    losses = model(**data, mode="loss")
    return {name: float(sum(one.mean() for one in _tensors(value))) for name, value in losses.items() if "loss" in name}


def _from_losses(
    model: nn.Module, losses: Mapping[str, float], features: Mapping[str, Sequence[Tensor]]
) -> dict[str, Any]:
    """The level of the first distillation loss that is not finite over finite features, and its largest channel."""
    for name, (level, _) in getattr(getattr(model, "distiller", None), "level_pairs", {}).items():
        value = losses.get(f"distill.{name}")
        if value is not None and not torch.isfinite(torch.tensor(value)):
            size = features["student"][level].float().abs().amax(dim=(0, 2, 3))
            return {"detector": "student", "term": f"distill.{name}", "level": level, "channel": int(size.argmax())}
    nonfinite = [name for name, value in losses.items() if not torch.isfinite(torch.tensor(value))]
    return {"term": nonfinite[0]} if nonfinite else {}


def _in_words(found: Mapping[str, Any]) -> str:
    parts = []
    if "level" in found:
        parts.append(f"at level {found['level']}, channel {found['channel']}, of the {found['detector']}")
    if "module" in found:
        parts.append(f"in {'' if 'level' in found else 'the ' + found['detector'] + chr(39) + 's '}{found['module']}")
    if "term" in found:
        parts.append(f"in {found['term']}")
    if "weights" in found:
        parts.append(f"its weights were not finite before ({found['weights'][0]} first)")
    return f"; it began {', '.join(parts)}" if parts else ""
